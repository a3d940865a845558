#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The kernel's usbtest on the virtual source and sink: bulk, queued, unlink,
# control, isochronous.
. "$top_srcdir/tests/e2e/lib.sh"
. "${0%/*}/usbtest_cases.sh"

pattern=0
node() {
	local device
	for device in /sys/bus/usb/devices/*; do
		[ "$(cat "$device/idVendor" 2>/dev/null)" = 0525 ] || continue
		[ -e "$device:1.0/driver" ] || return 1
		printf '/dev/bus/usb/%03d/%03d\n' "$(cat "$device/busnum")" \
		    "$(cat "$device/devnum")"
		return 0
	done
	return 1
}
gone_from_bus() {
	! grep -qx 0525 /sys/bus/usb/devices/*/idVendor
}

# sink_and_source OPTIONS...: one, bound to the kernel's driver; its node is in
# $device.
source_sink() {
	muxphone --device "sourcesink:pattern=$pattern${1:+,$1}" \
	    --listen 127.0.0.1:3240 --report "$REPORT" >"$DIR/said" \
	    2>>"$DIR/muxphone.log" &
	muxphone_pid=$!
	started+=("$muxphone_pid")
	must_await 10 grep -qx ready "$DIR/said"
	must usbip attach -r 127.0.0.1 -b "$(awk 'NR == 1 { print $1 }' "$DIR/said")"
	must_await 20 node
	device=$(node)
}

for kind in high:512:0 super:1024:1; do
	IFS=: read -r speed packet pattern <<<"$kind"
	step "$speed speed, pattern $pattern"
	with_module pattern="$pattern"
	source_sink "speed=$speed"
	cases "$packet"
	stop_phones
	must_await 10 gone_from_bus
	step "$speed speed, pattern $pattern, isochronous"
	with_module pattern="$pattern" alt=1
	source_sink "speed=$speed"
	isochronous_cases
	stop_phones
	must_await 10 gone_from_bus
done
finish
