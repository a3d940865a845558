#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon is killed in mid-transfer, so that the phone is left in the middle of
# a session, with packets half sent; the next one begins anew.
# shellcheck source=tests/e2e/lib.sh
. "$top_srcdir/tests/e2e/lib.sh"

# shellcheck disable=SC2034 # "the session begins anew amid connections"
violations_expected=yes

# Four connections, each with bytes both to and from the phone.
at_work() {
	phone counters 1 | jq -e '[.phones[0].connections[] |
	    select(.bytes_in > 65536 and .bytes_out > 65536)] | length == 4'
}

phones 1
for round in {1..20}; do
	step "round $round: the phone is taken over, and all bytes are right"
	muxd_alone
	must_await 10 load echo 64K
	load_beside stream -c 4 echo $((1 << 40))
	must_await 10 at_work
	kill -KILL "$muxd_pid"
	wait "$muxd_pid" 2>/dev/null
	muxd_pid=
	# What was on its way from the phone never arrived.
	left=$(phone counters 1 | jq '[.phones[0].connections[].unacknowledged] | add')
	note "$left bytes were on their way"
	[ "${left:-0}" -gt 0 ] || fail "nothing was in flight"
done

step "the last one ends in order"
daemon
must load echo 64K
stop_daemon
stop_phones

# A frame that was cut off is missing its end, or the next one is taken for it.
step "the phone saw nothing wrong but sessions amid connections, and cut frames"
equals 0 "$(jq '[.phones[].by_kind | del(.version, .zlp_missing, .length) |
    add] | add' "$REPORT")" violations
finish
