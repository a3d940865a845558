#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Others set a phone's configuration, too: the rule of Debian's usbmuxd does when
# it comes (0), the kernel does (1), and here a program does at any moment (0, 1,
# or muxd's own once more).  muxd has the phone again each time.
# shellcheck source=tests/e2e/lib.sh
. "$top_srcdir/tests/e2e/lib.sh"
PATH=$top_builddir/tests/vm:$PATH

# A frame may be on its way to a phone that has just lost its session.
# shellcheck disable=SC2034 # for lib.sh
violations_expected=yes

# In how many cases a phone that was in muxd's configuration was given another,
# or the same once more, and then muxd's.
races() {
	awk '/phone [0-9]+: (imported|unplugged)/ {
		before[$3] = ""; taken[$3] = 0
	    }
	    /: configuration [0-9]/ {
		if (before[$3] == 4) taken[$3] = 1
		if ($NF == 4 && taken[$3]) { taken[$3] = 0; races++ }
		before[$3] = $NF
	    }
	    END { print races + 0 }' "$DIR/muxphone.log"
}

rm -f /etc/udev/rules.d/39-usbmuxd.rules
udevadm control --reload
phones 4 --verbose
daemon
mapfile -t udids < <(phone_udids)

step "200 times others set a configuration, while it comes up and later"
note "$(must shake -x 2 -s "$SOCKET" -c "$PHONE_CONTROL" race 200 "${udids[@]}")"
races=$(races)
note "$races races"
[ "$races" -ge 100 ] || fail "there were too few races to tell"

step "all phones are there, and work"
wait_phones 4 20
must load --all echo 64K
finish
