#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A stream whose window was full goes on within 5 ms of being read, however busy.
. "${0%/*}/lib.sh"

phones 2
daemon
one=$(id_of_phone 1) two=$(id_of_phone 2)

step "phone 2 streams all the time"
load_beside busy -d "$two" chargen $((1 << 40))
busy=$beside
must_await 10 has_connections 1

step "a client of phone 1 lets its window fill, then reads all, ten times"
mkfifo "$DIR/go" "$DIR/gap"
resume "$one" <"$DIR/go" >"$DIR/gap" 2>>"$DIR/resume.log" &
started+=("$!")
exec {go}>"$DIR/go" {gap}<"$DIR/gap"
read -rt 10 -u "$gap" line
equals connected "$line"
full() {
	phone counters 1 | jq '[.. | .windows_full? | numbers] | add // 0'
}
fuller_than() {
	[ "$(full)" -gt "$1" ]
}
was=0 gaps=()
for _ in {1..10}; do
	must_await 10 fuller_than "$was"
	was=$(full)
	echo go >&"$go"
	read -rt $((10 * MUXD_TEST_PATIENCE)) -u "$gap" us bytes ||
	    fail "the stream did not go on: $(cat "$DIR/resume.log")"
	gaps+=("$us")
done
note "bytes read the last time: $bytes; microseconds until there was more: ${gaps[*]}"
median=$(printf '%s\n' "${gaps[@]}" | sort -n | sed -n 5p)
at_most $((5000 * MUXD_TEST_PATIENCE)) "$median" "microseconds, median"
kill "$busy"
finish
