#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A phone leaves in the middle of transfers: its clients are told, and only they.
. "${0%/*}/lib.sh"

rounds=$((20 / MUXD_TEST_SCALE < 3 ? 3 : 20 / MUXD_TEST_SCALE))
size=$((1 << 40)) # more than can pass
phones 2
daemon

step "phone 2 is at work all the time"
two=$(id_of_phone 2)
load_beside other -d "$two" echo "$size"
other=$beside

for ((i = 1; i <= rounds; i++)); do
	step "round $i: phone 1 is unplugged in mid-transfer"
	one=$(id_of_phone 1)
	pids=()
	for kind in echo discard chargen; do
		load_beside victim -d "$one" -c 2 "$kind" "$size"
		pids+=("$beside")
	done
	must_await 10 has_connections 7
	phone unplug 1 >/dev/null
	for pid in "${pids[@]}"; do
		must_await 5 gone "$pid"
		! wait "$pid" || fail "muxload ended well although its phone left"
	done
	wait_phones 1
	phone plug 1 >/dev/null
	wait_phones 2
done

step "phone 2 noticed nothing"
kill -0 "$other" 2>/dev/null || fail "its connection ended: $(cat "$DIR/other.log")"
kill "$other"
wait "$other" 2>/dev/null

step "phone 1 works again"
must load --all info
finish
