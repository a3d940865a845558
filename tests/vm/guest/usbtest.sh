#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The kernel's usbtest on the virtual source and sink: bulk, queued, unlink,
# control, isochronous.
. "$top_srcdir/tests/e2e/lib.sh"
PATH=$top_builddir/tests/vm:$PATH

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

# Like the defaults of the kernel's own testusb, with fewer rounds.  The source
# sends full packets: whoever asks for less than one gets an overflow, as from
# any such device.
cases() { # PACKET
	try 0 1 0 0 0
	try 9 20 0 0 0
	try 1 40 1024 0 0
	try 2 40 1024 0 0
	try 3 40 1024 79 0
	try 4 40 2048 "$1" 0
	try 5 10 1024 0 32
	try 6 10 1024 0 32
	try 7 10 1024 79 32
	try 8 10 2048 "$1" 32
	try 10 20 0 0 8
	try 11 20 1024 0 0
	try 12 20 1024 0 0
	try 13 20 0 0 0
	try 14 20 512 79 0
	try 17 40 1024 0 0
	try 18 40 1024 0 0
	try 19 40 1024 0 0
	try 20 40 1024 0 0
	try 21 20 512 79 0
	try 24 20 1024 0 8
	try 29 40 0 0 0
}
try() {
	local status=0 said
	said=$(timeout 60 usbtest "$device" "$@" 2>&1) || status=$?
	case $status in
	0)	note "$said" ;;
	*)	fail "usbtest $*: $said (status $status)" ;;
	esac
}

# Those need the alternate setting that has the endpoints.
isochronous_cases() {
	try 15 4 1024 0 8
	try 16 4 1024 0 8
	try 22 4 1023 0 8
	try 23 4 1024 0 8
}

# with_module PARAMETERS...: usbtest as it is asked for.
with_module() {
	modprobe -r usbtest 2>/dev/null
	modprobe usbtest "$@" || skip "no module usbtest"
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
