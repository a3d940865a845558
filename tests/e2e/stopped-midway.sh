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
		load_beside load --all -c 2 "$kind" $((1 << 40))
		pids+=("$beside")
	done
	load_beside stall --all stall
	must_await 10 has_connections 21
	stop_daemon

	step "its clients find the end of their connections, its socket is gone"
	for pid in "${pids[@]}"; do
		must_await 5 gone "$pid"
	done
	[ ! -e "$SOCKET" ] || fail "the socket $SOCKET was left behind"
done
finish
