#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# usbexportd exports a phone that is plugged into this machine, as a gadget of
# dummy_hcd; the kernel's usbip imports it; and muxd, and Debian's usbmuxd, use
# what the kernel has then, through the system's libusb.
. "${0%/*}/../../e2e/usb.sh"
. "${0%/*}/exporter.sh"
. "${0%/*}/gadget.sh"
need usbip
controllers

remote=(usbip --tcp-port "$PORT")
muxphone_more=(--gadget=configurations=4)
phones 1
udid=$(udid_of_phone 1)
must_await 10 gadget_busid "$udid"
udevadm settle --timeout=20
busid=$(gadget_busid "$udid")
configuration() {
	cat "/sys/bus/usb/devices/$1/bConfigurationValue"
}
first=$(configuration "$busid")

step "the kernel's usbip lists it"
exporter -b "$busid"
must_await 10 state_is "$udid" free
contains "$(must "${remote[@]}" list -r 127.0.0.1)" "$busid: Apple, Inc."

step "it imports it, and a second time it may not"
attach "$udid"
equals "$udid" "$(cat "/sys/bus/usb/devices/$imported_at/serial")" "serial number"
must_fail "${remote[@]}" attach -r 127.0.0.1 -b "$busid" >"$DIR/refused.log"
contains "$(cat "$DIR/refused.log")" "Device busy"
state_is "$udid" imported || fail "the refusal has ended the import"

step "what is detached is free, and in the configuration that it had"
detach
must_await 10 state_is "$udid" free
equals "$first" "$(configuration "$busid")" "configuration"

step "20 times attached and detached"
import=/sys/devices/platform/vhci_hcd.0/usb${imported_at%-*}/$imported_at
# No more than a look at a file each time: every process costs.
for _ in {1..20}; do
	# Busy, as long as it is being given back.
	must_await 10 "${remote[@]}" attach -r 127.0.0.1 -b "$busid"
	must_await 10 test -e "$import/serial"
	detach
	must_await 10 test ! -e "$import"
done
must_await 10 state_is "$udid" free

# ---- The daemon ------------------------------------------------------------

node=$(printf '/dev/bus/usb/%03d/%03d' \
    "$(cat "/sys/bus/usb/devices/$busid/busnum")" \
    "$(cat "/sys/bus/usb/devices/$busid/devnum")")

# A daemon would see the original, too, which has no node while it is imported.
attach_alone() {
	attach "$udid"
	udevadm settle --timeout=20
	mv "$node" /dev/original
}
free_again() {
	mv /dev/original "$node"
	must_await 10 state_is "$udid" free
}

amount=$(scaled $((8 << 20)))
step "muxd, with the system's libusb, uses what the kernel has imported"
attach_alone
muxd_alone() {
	muxd --foreground -v -S "$SOCKET" -P NONE -C "$RECORDS" \
	    --control "$CONTROL" >>"$DIR/muxd.log" 2>&1 &
	muxd_pid=$!
	started+=("$muxd_pid")
}
muxd_alone
must_await 10 answers
wait_phones 1 30
must load --all -c 2 echo "$amount"
must load chargen "$amount"
must load discard "$amount"

step "a phone that is detached leaves its list"
detach
wait_phones 0 20
stop_daemon
free_again

# ---- Debian's --------------------------------------------------------------

# It asks lockdown before it lists a phone, as any other client of its own
# socket: if its environment names another one, it lists none, for ever.
SOCKET=/var/run/usbmuxd
export USBMUXD_SOCKET_ADDRESS=UNIX:$SOCKET
lists() { # UDIDS
	[ "$(timeout 10 idevice_id -l)" = "$1" ]
}

step "Debian's usbmuxd uses it, too"
attach_alone
usbmuxd --foreground --verbose >"$DIR/usbmuxd.log" 2>&1 &
stock=$!
started+=("$stock")
must_await 20 lists "$udid"
contains "$(must timeout 20 ideviceinfo -s -u "$udid")" "DeviceName: muxphone"
must load --all -c 2 echo "$amount"

step "and loses it when it is detached"
detach
must_await 20 lists ""
kill -KILL "$stock"
free_again
stop_exporter
finish
