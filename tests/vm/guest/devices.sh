#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The kernel's own drivers take muxphone's devices for what they are, cdc-acm and
# usbhid; so does dfu-util with the system's libusb.

# shellcheck source=tests/e2e/lib.sh
. "$top_srcdir/tests/e2e/lib.sh"
need usbip modprobe dfu-util
muxphone_more=(--listen 127.0.0.1:3240)

# device KIND[:OPTION,...]: the only one that the kernel has imported; its
# directory in sysfs is in `at`.
device() {
	phones 0 --device "$1"
	must usbip attach -r 127.0.0.1 -b 1-1
	must_await 10 attached
	udevadm settle --timeout=20
}

attached() {
	local serial
	for serial in /sys/bus/usb/devices/*/serial; do
		at=${serial%/serial}
		case $(readlink -f "$at") in
		*/vhci_hcd.*) ;;
		*) continue ;;
		esac
		[ ! -e "$at:1.0" ] || return 0
	done
	return 1
}

no_device() {
	stop_phones
	must_await 10 detached
}

detached() {
	! attached
}

driver_of() { # INTERFACE
	basename "$(readlink "$at:1.$1/driver")"
}

counter() { # NAME
	phone counters 1 | jq ".devices[0].$1"
}

step "the driver cdc-acm has a terminal that echoes"
device cdc-acm
must_await 10 test -c /dev/ttyACM0
stty -F /dev/ttyACM0 115200 raw -echo
exec {tty}<>/dev/ttyACM0
head -c 100000 /dev/urandom >"$DIR/out"
timeout 60 head -c 100000 <&"$tty" >"$DIR/in" &
cat "$DIR/out" >&"$tty"
wait $!
cmp "$DIR/out" "$DIR/in" || fail "what came back is not what was sent"
equals 115200 "$(phone list | jq '.devices[0].bits_per_second')" "line coding"
equals true "$(phone list | jq '.devices[0].dtr')" DTR
exec {tty}>&-
no_device

# ---- usbhid -----------------------------------------------------------------

step "the driver usbhid has reports in time"
device hid:interval=20
equals usbhid "$(driver_of 0)" driver
raw=/dev/$(basename "$at:1.0"/*/hidraw/hidraw*)
must_await 10 test -c "$raw"
timeout 20 head -c 80 "$raw" | xxd -p -c 8 >"$DIR/reports"
equals 10 "$(wc -l <"$DIR/reports")" reports
previous=$((0x$(head -c 2 "$DIR/reports") - 1))
while IFS= read -r report; do
	equals $((previous + 1)) $((0x${report:0:2})) "counter of $report"
	previous=$((previous + 1))
done <"$DIR/reports"
no_device

step "a boot keyboard is a keyboard"
device hid:boot-keyboard
must_await 10 grep -q 'Handlers=.*kbd.*event' /proc/bus/input/devices
contains "$(cat /proc/bus/input/devices)" "muxphone Human interface device"
no_device

# ---- DFU --------------------------------------------------------------------

step "dfu-util downloads and uploads"
device dfu
contains "$(must dfu-util -l)" 'name="64 KiB of memory"'
head -c 65536 /dev/urandom >"$DIR/firmware"
must dfu-util -d 1209:0001 -D "$DIR/firmware" >"$DIR/dfu.log"
must dfu-util -d 1209:0001 -U "$DIR/uploaded" >>"$DIR/dfu.log"
cmp "$DIR/firmware" "$DIR/uploaded" || fail "the upload is another firmware"
equals 0 "$(counter errors)" errors
no_device
finish
