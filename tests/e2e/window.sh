#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon never sends past a phone's window, however small that becomes.
. "${0%/*}/lib.sh"

size=$(scaled $((16 << 20)))
phones 1
daemon

for window in 65536 4096 512 256; do
	step "a window of $window bytes"
	phone window 1 $window >/dev/null
	must load echo $((size * window / 65536 + 4096))
done

step "the phone shrinks its window while data is on its way"
load_beside load -c 2 echo "$size"
loader=$beside
i=0
while kill -0 "$loader" 2>/dev/null; do
	phone window 1 $((i++ % 2 ? 131072 : 1024)) >/dev/null
done
wait "$loader" || fail "muxload ended with $?: $(cat "$DIR/load.log")"
note "the window changed $i times"
finish
