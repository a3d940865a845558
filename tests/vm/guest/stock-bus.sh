# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Debian's usbmuxd in the place of muxd, for tests that know nothing of it:
# what it does on the same list says how much a test asks.  It has one socket,
# and no control socket: of muxctl there is what the client protocol tells, and
# who is connected is told by the kernel.  Sourced by tests/e2e/lib.sh.

# shellcheck source=tests/vm/guest/bus.sh
. "${MUXD_TEST_BUS%/*}/bus.sh"

SOCKET=/var/run/usbmuxd
export USBMUXD_SOCKET_ADDRESS=UNIX:$SOCKET

muxd_alone() {
	attach_beside
	usbmuxd --foreground --verbose >>"$DIR/muxd.log" 2>&1 &
	muxd_pid=$!
	started+=("$muxd_pid")
}

muxctl() { # -c CONTROL [--json] list|watch
	[ "$3" != --json ] || shift
	muxlisten "$SOCKET" "$3"
}

# Without those who only listen.
has_connections() { # COUNT
	local all
	all=$(grep -c " 03 .*$SOCKET\$" /proc/net/unix)
	[ $((all - $(pgrep -xc muxlisten))) = "$1" ]
}
