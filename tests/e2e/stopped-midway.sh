#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon is told to stop in the middle of transfers, and started again.
. "${0%/*}/lib.sh"

phones 3
for round in 1 2 3; do
	step "round $round: the daemon starts; all phones are there"
	daemon
	wait_phones 3

	step "it is stopped with six connections at work in each direction"
	pids=()
	for kind in echo discard chargen; do
		load --all -c 2 "$kind" $((4 << 30)) >>"$DIR/load.log" 2>&1 &
		pids+=($!)
	done
	load stall >>"$DIR/load.log" 2>&1 &
	pids+=($!)
	started+=("${pids[@]}")
	must_await 10 has_connections 19
	stop_daemon

	step "its clients find the end of their connections"
	for pid in "${pids[@]}"; do
		must_await 5 gone "$pid"
	done
	[ ! -e "$SOCKET" ] || fail "the socket $SOCKET was left behind"
done
finish
