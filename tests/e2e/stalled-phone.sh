#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A phone that hangs holds up nobody: not the others, not those that come.
. "${0%/*}/lib.sh"

size=$(scaled $((64 << 20)))
phones 3
daemon
one=$(id_of_phone 1) two=$(id_of_phone 2)
muxctl -c "$CONTROL" --json watch >"$DIR/watch.json" 2>>"$DIR/watch.log" &
started+=("$!")
must_await 5 heard attached 3

# replug TIMES: phone 3 goes and comes; the milliseconds until a listener knew
# of it, each time, are in left and came.
replugged=0
replug() {
	local since i
	left=() came=()
	for ((i = 0; i < $1; i++)); do
		replugged=$((replugged + 1))
		since=$(now_ms)
		phone unplug 3 >/dev/null
		must_await 5 heard detached $replugged
		left+=($(($(now_ms) - since)))
		since=$(now_ms)
		phone plug 3 >/dev/null
		must_await 5 heard attached $((replugged + 3))
		came+=($(($(now_ms) - since)))
	done
	note "milliseconds until a listener knew: gone ${left[*]}, there ${came[*]}"
}

# The middle one: a busy host may hold up this very script.
median() {
	printf '%s\n' "$@" | sort -n | sed -n $((($# + 1) / 2))p
}

step "phone 3 goes and comes"
replug 3
leaving=$(median "${left[@]}") coming=$(median "${came[@]}")

step "phone 1 stops answering USB requests while it carries a connection"
load_beside victim -d "$one" echo $((1 << 40))
victim=$beside
must_await 10 has_connections 1
phone stall 1 >/dev/null

step "phone 2 runs at full speed meanwhile"
must load -d "$two" -c 2 echo "$size"

step "phone 3 goes and comes while phone 1 hangs: no 100 ms later than before"
replug 5
at_most $((leaving + 100 * MUXD_TEST_PATIENCE)) "$(median "${left[@]}")" \
    "milliseconds to go"
at_most $((coming + 100 * MUXD_TEST_PATIENCE)) "$(median "${came[@]}")" \
    "milliseconds to come"

step "who wants to connect to phone 1 meanwhile is refused in time"
since=$(now_ms)
must load -d "$one" -c 3 --refused connect 1
at_most $((5000 * MUXD_TEST_PATIENCE)) $(($(now_ms) - since)) milliseconds

step "phone 1 goes on where it stopped when it answers again"
phone resume 1 >/dev/null
kill -0 "$victim" 2>/dev/null || fail "its connection ended: $(cat "$DIR/victim.log")"
must load -d "$one" echo "$size"
kill "$victim"
finish
