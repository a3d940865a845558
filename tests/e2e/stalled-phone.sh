#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A phone that hangs holds up nobody: not the others, not those that come.
. "${0%/*}/lib.sh"

size=$(scaled $((64 << 20)))
phones 3
daemon
one=$(id_of_phone 1) two=$(id_of_phone 2)

step "phone 1 stops answering USB requests while it carries a connection"
load_beside victim -d "$one" echo $((1 << 40))
victim=$beside
must_await 10 has_connections 1
phone stall 1 >/dev/null

step "phone 2 runs at full speed meanwhile"
must load -d "$two" -c 2 echo "$size"

step "phone 3 goes and comes while phone 1 hangs, within 100 ms"
muxctl -c "$CONTROL" --json watch >"$DIR/watch.json" 2>>"$DIR/watch.log" &
started+=("$!")
must_await 5 heard attached 3
took=()
for i in 1 2 3 4 5; do
	since=$(now_ms)
	phone unplug 3 >/dev/null
	must_await 5 heard detached "$i"
	took+=($(($(now_ms) - since)))
	since=$(now_ms)
	phone plug 3 >/dev/null
	must_await 5 heard attached $((i + 3))
	took+=($(($(now_ms) - since)))
done
note "milliseconds until a listener knew: ${took[*]}"
# The middle one: a busy host may hold up this very script.
at_most $((100 * MUXD_TEST_PATIENCE)) \
    "$(printf '%s\n' "${took[@]}" | sort -n | sed -n 5p)" "milliseconds"

step "phone 1 goes on where it stopped when it answers again"
phone resume 1 >/dev/null
kill -0 "$victim" 2>/dev/null || fail "its connection ended: $(cat "$DIR/victim.log")"
must load -d "$one" echo "$size"
kill "$victim"
finish
