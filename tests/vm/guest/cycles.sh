#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A listener hears of each phone that the kernel gets or loses, within two
# seconds; under emulation, where udevd needs most of that.
# shellcheck source=tests/e2e/lib.sh
. "$top_srcdir/tests/e2e/lib.sh"
PATH=$top_builddir/tests/vm:$PATH

phones 2
daemon
mapfile -t udids < <(phone_udids)

step "two phones come and go a hundred times"
note "$(must shake -s "$SOCKET" -c "$PHONE_CONTROL" cycles 100 "${udids[@]}")"

step "and work"
wait_phones 2
must load --all echo 64K
finish
