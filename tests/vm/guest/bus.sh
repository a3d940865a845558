# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Another way from muxphone to muxd, for tests that know nothing of it: the
# kernel imports each phone as soon as it is plugged, and muxd sees it through
# the libusb of the system.  Sourced by tests/e2e/lib.sh.

# Imports what is plugged and not yet imported, as long as the test runs.
attach_phones() {
	local busid
	while :; do
		# A plain list leaves out what is imported.
		while read -r busid; do
			usbip attach -r 127.0.0.1 -b "$busid" >/dev/null 2>&1
		done < <(usbip list -r 127.0.0.1 2>/dev/null |
		    sed -n 's/^ *\([0-9][0-9.-]*\): .*/\1/p')
		read -rt 0.2 -u "$never" _ || :
	done
}

muxphone_more=(--listen 127.0.0.1:3240)

attacher=
attach_beside() {
	if [ -z "$attacher" ] && [ -n "$muxphone_pid" ]; then
		attach_phones &
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
