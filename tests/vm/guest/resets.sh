#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Another program resets phones, at any moment of their lives: their clients find
# the end, never a wrong byte, and they are there again within seconds.
# shellcheck source=tests/e2e/lib.sh
. "$top_srcdir/tests/e2e/lib.sh"
PATH=$top_builddir/tests/vm:$PATH

# shellcheck disable=SC2034 # a frame may be on its way then
violations_expected=yes

# The phones cannot count them: a hub resets its port without a request to them.
resets() {
	dmesg | grep -c ': reset .* USB device number'
}

before=$(resets)
phones 4
daemon
mapfile -t udids < <(phone_udids)
step "40 times phones are reset, while they come up and later"
note "$(must shake -x 2 -s "$SOCKET" -c "$PHONE_CONTROL" reset 40 "${udids[@]}")"
resets=$(($(resets) - before))
note "the kernel tells of $resets resets"
[ "$resets" -ge 40 ] || fail "the phones were not reset"

step "all phones are there, and work"
wait_phones 4 20
must load --all echo 64K
finish
