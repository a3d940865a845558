#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# usbexportd over Debian's libusb and the kernel's usbfs.  The kernel imports
# the devices of muxphone, so they are plugged into this machine; usbexportd
# exports them; and programs under usbnet, muxd, and the kernel once more import
# that.
. "${0%/*}/../../e2e/usb.sh"

EXPORT=$DIR/export
EXPORT_CONTROL=$DIR/exportctl
PORT=3241

usb_list() {
	muxctl -c "$EXPORT_CONTROL" --json usb list
}

# The busid here of the device with that serial number, once it is STATE.
place() { # SERIAL
	usb_list | jq -r --arg serial "$1" '[.[] | select(.serial == $serial).busID][0] // ""'
}

state_is() { # SERIAL STATE
	[ "$(usb_list | jq -r --arg serial "$1" \
	    '[.[] | select(.serial == $serial).state][0] // "absent"')" = "$2" ]
}

count_is() { # COUNT STATE
	[ "$(usb_list | jq --arg state "$2" 'map(select(.state == $state)) | length')" = "$1" ]
}

# The driver of interface 0 of the device at BUSID.
driver_of() {
	local link
	link=$(readlink "/sys/bus/usb/devices/$1:1.0/driver") || :
	echo "${link##*/}"
}

driver_is() { # BUSID DRIVER
	[ "$(driver_of "$1")" = "$2" ]
}

phones 2 --device sourcesink:loop,serial=loop-1 \
    --device sourcesink:pattern=1,serial=plain-2 --device hid:serial=hid-3
while read -r busid _; do
	case $busid in
	listening | ready) continue ;;
	esac
	# The program cannot while the kernel is busy with the one before.
	must_await 10 usbip attach -r 127.0.0.1 -b "$busid"
done <"$DIR/devices"

step "what the kernel has is exported, its hubs are not"
usbexportd -v -l "unix:$EXPORT" -l "127.0.0.1:$PORT" \
    --control "$EXPORT_CONTROL" >>"$DIR/usbexportd.log" 2>&1 &
exporter=$!
started+=("$exporter")
must_await 10 usb_list
for serial in loop-1 plain-2 hid-3; do
	must_await 10 state_is "$serial" free
done
note "$(muxctl -c "$EXPORT_CONTROL" usb list | grep -v "it is a hub")"
[ "$(usb_list | jq 'map(select(.reason == "it is a hub")) | length')" -gt 0 ] ||
    fail "no hub"

# A storm of unlinks is not for the kernel's importer: it may send an UNLINK
# before the SUBMIT that it means, and does not survive the answer.
amount=$(scaled $((32 << 20)))
servers=unix:$EXPORT
step "programs under usbnet use the devices through usbfs"
usb_load -b "$amount" loop
usb_load -n 200 control
usb_load -n 100 cancel
usb_load -k 1 -p 1 -b "$amount" in
usb_load -k 1 -p 1 -b "$amount" -s 262144 in
usb_load -k 1 -p 1 -b "$amount" -s 262144 out
usb_load -k 1 -p 1 interface
usb_load -k 1 -p 1 -n 100 iso
must_await 10 state_is loop-1 free

step "its driver loses a device to the importer, and gets it back"
hid=$(place hid-3)
must_await 10 driver_is "$hid" usbhid
must_await 10 usbip --tcp-port "$PORT" attach -r 127.0.0.1 -b "$hid"
must_await 10 state_is hid-3 imported
must_await 10 driver_is "$hid" usbfs
port=$(usbip port 2>/dev/null | sed -n "s/^Port \([0-9]*\):.*/\1/p" | tail -n 1)
must usbip detach -p "$port"
must_await 10 driver_is "$hid" usbhid

step "the kernel imports a device from it, and the system's libusb has both"
# Numbers, since the two look the same.
before=$(lsusb -d 0525:a4a0 | wc -l)
must_await 10 usbip --tcp-port "$PORT" attach -r 127.0.0.1 -b "$(place loop-1)"
twice() {
	[ "$(lsusb -d 0525:a4a0 | wc -l)" = $((before + 1)) ]
}
must_await 10 twice
must_await 10 state_is loop-1 imported
real_libusb=yes
usb_load -k "$before" -b "$amount" loop
usb_load -k "$before" -n 100 control
usb_load -k "$before" -n 100 cancel
real_libusb=
port=$(usbip port 2>/dev/null | sed -n "s/^Port \([0-9]*\):.*/\1/p" | tail -n 1)
must usbip detach -p "$port"
must_await 10 state_is loop-1 free

# Not what the kernel shows, as elsewhere here.
step "muxd imports the phones from it"
muxd_alone --no-usb --usbip "unix:$EXPORT"
must_await 10 answers
wait_phones 2 30
must load --all -c 2 echo $((amount / 16))
must load chargen "$amount"
must load discard "$amount"

step "a phone that the kernel loses leaves the list"
phone unplug 2
wait_phones 1 20
stop_daemon

step "SIGTERM gives everything back"
kill -TERM "$exporter"
must_end "$exporter" 10
must_await 10 driver_is "$hid" usbhid
finish
