#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A client that never reads costs nobody else anything.
. "${0%/*}/lib.sh"

size=$(scaled $((64 << 20)))
phones 2
daemon
one=$(id_of_phone 1) two=$(id_of_phone 2)

step "a client asks phone 1 for a stream without end, and does not read it"
load_beside stall -d "$one" stall
stalled=$beside
window_is_full() {
	[ "$(phone counters 1 | jq '[.. | .windows_full? | numbers] | add // 0')" -gt 0 ]
}
must_await 10 window_is_full

step "others at phone 1 and phone 2 run, every byte right"
must load -d "$one" -c 4 echo "$size"
must load -d "$two" -c 4 echo "$size"

step "the daemon holds a window for the client that does not read, no more"
held=$(rss_kib "$muxd_pid")
must load -d "$one" echo "$size"
[ "$MUXD_SANITIZE" != no ] ||
    at_most $((held + 4096)) "$(rss_kib "$muxd_pid")" "KiB of memory"

step "the client is killed with its window full: no processor time is burnt"
kill -KILL "$stalled"
wait "$stalled" 2>/dev/null
gone_from_list() {
	[ "$(muxctl -c "$CONTROL" --json connections | jq length)" = 0 ]
}
must_await 5 gone_from_list
before=$(cpu_ms "$muxd_pid")
must load -d "$two" info
at_most $((100 * MUXD_TEST_PATIENCE)) $(($(cpu_ms "$muxd_pid") - before)) \
    "milliseconds of processor time"

step "and the phone was told with a RST"
[ "$(phone counters 1 | jq '[.. | .rst_received? | numbers] | add // 0')" -gt 0 ] ||
    fail "phone 1 saw no RST: $(phone counters 1)"
finish
