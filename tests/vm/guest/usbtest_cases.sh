# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The kernel's usbtest on the device whose node is in $device; beside
# tests/e2e/lib.sh, which is sourced before.

PATH=$top_builddir/tests/vm:$PATH

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

# Those need the alternate setting that has the endpoints.
isochronous_cases() {
	try 15 4 1024 0 8
	try 16 4 1024 0 8
	try 22 4 1023 0 8
	try 23 4 1024 0 8
}

try() {
	local status=0 said
	said=$(timeout 60 usbtest "$device" "$@" 2>&1) || status=$?
	case $status in
	0)	note "$said" ;;
	*)	fail "usbtest $*: $said (status $status)" ;;
	esac
}

# with_module PARAMETERS...: usbtest as it is asked for.
with_module() {
	modprobe -r usbtest 2>/dev/null
	modprobe usbtest "$@" || skip "no module usbtest"
}

# The node of the device at BUSID.
node_of() {
	printf '/dev/bus/usb/%03d/%03d\n' \
	    "$(cat "/sys/bus/usb/devices/$1/busnum")" \
	    "$(cat "/sys/bus/usb/devices/$1/devnum")"
}
