#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A long stream through one connection, both ways at once, byte for byte.
. "${0%/*}/lib.sh"

size=$(scaled $((1 << 30)))
phones 1
daemon
step "$((size >> 20)) MiB go through the echo service of one phone"
mkfifo "$DIR/in" "$DIR/out"
muxrelay --stdio 7 <"$DIR/in" >"$DIR/out" 2>>"$DIR/muxrelay.log" &
relay=$!
started+=("$relay")
make_bytes "$size" | tee >(sha256sum >"$DIR/sent.sum") >"$DIR/in" &
head -c "$size" <"$DIR/out" | sha256sum >"$DIR/back.sum"
must_await 5 test -s "$DIR/sent.sum"
# The phone never ends an echo, so muxrelay would wait for more.
kill "$relay"

step "what came back has the SHA-256 of what was sent"
note "$(cat "$DIR/sent.sum")"
equals "$(cat "$DIR/sent.sum")" "$(cat "$DIR/back.sum")" SHA-256

step "the same amount goes one way: to the discard service, then from chargen"
must load discard "$size"
must load chargen "$size"
finish
