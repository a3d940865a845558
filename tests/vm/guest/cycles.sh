#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A listener hears of each phone that the kernel gets or loses within two seconds
# of the kernel's own word; also of many that come at once.
# shellcheck source=tests/e2e/lib.sh
. "$top_srcdir/tests/e2e/lib.sh"
PATH=$top_builddir/tests/vm:$PATH

cycles() { # COUNT UDID...
	local said
	said=$(must shake -s "$SOCKET" -c "$PHONE_CONTROL" cycles "$@")
	while IFS= read -r line; do
		note "$line"
	done <<<"$said"
}

phones 3
daemon
mapfile -t udids < <(phone_udids)

step "a phone comes and goes forty times, with two others there"
cycles 40 "${udids[0]}"

step "three come and go at once, sixty in all"
cycles 60 "${udids[@]}"

step "and work"
wait_phones 3
must load --all echo 64K
finish
