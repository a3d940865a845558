#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# usbexportd over Debian's libusb and the kernel's usbfs.  The kernel imports
# the devices of muxphone, so they are plugged into this machine; usbexportd
# exports them; and programs under usbnet, muxd, and the kernel once more import
# that.
. "${0%/*}/../../e2e/usb.sh"
. "${0%/*}/exporter.sh"

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
exporter
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
attach hid-3
must_await 10 driver_is "$hid" usbfs
detach
must_await 10 driver_is "$hid" usbhid

step "the kernel imports a device from it, and the system's libusb has both"
# Numbers, since the two look the same.
before=$(lsusb -d 0525:a4a0 | wc -l)
attach loop-1
twice() {
	[ "$(lsusb -d 0525:a4a0 | wc -l)" = $((before + 1)) ]
}
must_await 10 twice
real_libusb=yes
usb_load -k "$before" -b "$amount" loop
usb_load -k "$before" -n 100 control
usb_load -k "$before" -n 100 cancel
real_libusb=
detach
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
stop_exporter
must_await 10 driver_is "$hid" usbhid
finish
