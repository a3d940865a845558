# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Debian's usbmuxd in the place of muxd, for tests that know nothing of it:
# what it does on the same list says how much a test asks.  It has one socket,
# and no muxctl: who is connected is told by the kernel, a device's id by its
# log.  Sourced by tests/e2e/lib.sh.

# shellcheck source=tests/vm/guest/bus.sh
. "${MUXD_TEST_BUS%/*}/bus.sh"

SOCKET=/var/run/usbmuxd
export USBMUXD_SOCKET_ADDRESS=UNIX:$SOCKET

muxd_alone() {
	attach_beside
	usbmuxd --foreground --verbose --verbose >>"$DIR/muxd.log" 2>&1 &
	muxd_pid=$!
	started+=("$muxd_pid")
}

answers() {
	[ -S "$SOCKET" ] && timeout 10 idevice_id -l
}

phone_count() {
	timeout 10 idevice_id -l | grep -c .
}

has_connections() { # COUNT
	[ "$(grep -c " 03 .*$SOCKET\$" /proc/net/unix)" = "$1" ]
}

id_of_phone() { # N
	local udid
	udid=$(udid_of_phone "$1")
	sed -n "s/.*device \([0-9]*\) on location .* serial number ${udid//-/-\\{0,1\\}}.*/\1/p" \
	    "$DIR/muxd.log" | tail -n 1
}
