# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Another way from muxphone to muxd, for tests that know nothing of it: the
# kernel imports each phone as soon as it is plugged, and muxd sees it through
# the libusb of the system.  Sourced by tests/e2e/lib.sh.

# For those tests that call usbip(8) themselves.
muxphone_more=(--listen 127.0.0.1:3240)

PATH=$top_builddir/tests/vm:$PATH
attacher=
attach_beside() {
	if [ -z "$attacher" ] && [ -n "$muxphone_pid" ]; then
		vhciattach "unix:$PHONES" &
		attacher=$!
		started+=("$attacher")
	fi
}

muxd_alone() {
	attach_beside
	"${muxd_limits[@]}" muxd --foreground -v -S "$SOCKET" -P NONE \
	    -C "$RECORDS" --control "$CONTROL" "$@" >>"$DIR/muxd.log" 2>&1 &
	muxd_pid=$!
	started+=("$muxd_pid")
}
