#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Two thousand idle clients; and a daemon whose descriptors have run out.
. "${0%/*}/lib.sh"

phones 2
idle=2000
[ "$MUXD_SANITIZE" = no ] || idle=300
# The daemon takes one descriptor for each, and leaves an eighth to phones.
ulimit -n $((idle * 3 / 2)) 2>/dev/null || idle=$(($(ulimit -n) * 2 / 3))

step "$idle clients connect and say nothing"
daemon
load_beside idle idle $idle
idler=$beside
must_await 20 has_connections "$idle"

step "others are served as ever"
must load --all -c 4 echo "$(scaled 1048576)"
at_most 250 "$(threads_of "$muxd_pid")" "threads: idle clients need none"
note "descriptors $(fds_of "$muxd_pid"), threads $(threads_of "$muxd_pid"), memory $(rss_kib "$muxd_pid") KiB"
kill "$idler"
wait "$idler" 2>/dev/null
# Those that were lent to workers are kept for the next, but not all.
few_left() {
	[ "$(fds_of "$muxd_pid")" -lt 105 ]
}
must_await 20 few_left
stop_daemon

# The daemon may be born with descriptors that it knows nothing of.  One more or
# less of them decides whether a client's socket or its worker is the first that
# cannot be had.
descriptors_are_out() {
	[ "$(fds_of "$muxd_pid")" -ge 105 ]
}
need prlimit
muxd_limits=(prlimit --nofile=128:128)
for more in 20 21; do
step "with 128 descriptors, $more of them its parent's, 300 clients are more than the daemon can hold"
inherited=()
for ((i = 0; i < more; i++)); do
	exec {fd}</dev/null
	inherited+=("$fd")
done
daemon
for fd in "${inherited[@]}"; do
	exec {fd}<&-
done
load_beside idle idle 300
idler=$beside
must_await 20 descriptors_are_out
gone "$muxd_pid" && fail "muxd ended"

step "it does not spin while it cannot accept"
before=$(cpu_ms "$muxd_pid")
load_beside late --all info
late=$beside
await 1 gone "$late"
at_most $((500 * MUXD_TEST_PATIENCE)) $(($(cpu_ms "$muxd_pid") - before)) \
    "milliseconds of processor time"
gone "$idler" && fail "a client that was let in was hung up on: $(cat "$DIR/idle.log")"

step "who had to wait is served when the others leave"
kill "$idler"
wait "$idler" 2>/dev/null
must load --all info
stop_daemon
done
finish
