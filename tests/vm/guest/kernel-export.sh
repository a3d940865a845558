#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The kernel's server, usbip-host and usbipd, exports gadgets of the kernel's own
# and a phone; programs under usbnet, and muxd, import them.
. "${0%/*}/../../e2e/usb.sh"
. "${0%/*}/gadget.sh"
need usbip usbipd
modprobe usbip-host || skip "no module usbip-host"
controllers

# usbnet's libusb, and not what the kernel shows, as elsewhere here.
real_libusb=
servers=127.0.0.1:3242

usbipd --tcp-port 3242 >"$DIR/usbipd.log" 2>&1 &
started+=("$!")

is_exported() { # BUSID
	usbip --tcp-port 3242 list -r 127.0.0.1 2>/dev/null | grep -q "^ *$1: "
}

# The server resets what it gets back; meanwhile it is not in its list.
kernel_exports() { # BUSID
	must usbip bind -b "$1" >/dev/null
	must_await 10 is_exported "$1"
}

# Everything that lsusb -v says of a device, but where it is; and its three names,
# which lsusb has from the kernel's sysfs, where usbnet's devices are not.  Those
# of configurations and interfaces come from the device.
shown() { # COMMAND...
	"$@" lsusb -v -d "$ids" 2>&1 | sed -E \
	    -e 's/^Bus [0-9]+ Device [0-9]+: (ID [0-9a-f:]+) .*/\1/' \
	    -e 's/^( +i(Manufacturer|Product|Serial) +[0-9]+).*/\1/'
}

# compared SERIAL SPEED VENDOR:PRODUCT FUNCTION...: a gadget, plugged in, looked
# at here and, exported, over usbnet.
compared() {
	ids=$3
	make_gadget "$@"
	plug_gadget "$1" 0
	busid=$(gadget_busid "$1")
	shown env >"$DIR/here"
	contains "$(cat "$DIR/here")" "all of $1"
	kernel_exports "$busid"
	shown foreign >"$DIR/there"
	diff "$DIR/here" "$DIR/there" >"$DIR/lsusb.log" ||
	    fail "lsusb -v of $1 says something else over usbnet"
	# Nor may it take another's there, whose numbers are the same.
	equals "ID $ids" "$(foreign lsusb -d "$ids" | sed 's/.*: //; s/ *$//')" names
	note "$(wc -l <"$DIR/here") lines of lsusb -v"
}

gone_from_kernel() {
	! is_exported "$busid"
}

not_compared() { # SERIAL
	remove_gadget "$1"
	must_await 10 gone_from_kernel
}

step "lsusb -v over usbnet is the local one: a source and sink of super speed"
compared super-1 super 0525:a4a0 SourceSink
usb_load -n 50 control
not_compared super-1

step "a serial port and a network card in one device"
compared serial-net high 0525:a4a7 acm ecm
not_compared serial-net

step "a source and sink of high speed, and load on it"
compared high-1 high 0525:a4a0 SourceSink
amount=$(scaled $((32 << 20)))
usb_load -n 50 control
usb_load -b "$amount" in
usb_load -b "$amount" -s 262144 -q 4 in
usb_load -b "$amount" out
not_compared high-1

step "a loop"
compared loop-1 high 0525:a4a0 Loopback
usb_load -b "$amount" loop
usb_load -n 20 cancel
not_compared loop-1

# ---- A phone ---------------------------------------------------------------

muxd_alone() {
	muxd --foreground --no-usb -v --usbip "$servers" -S "$SOCKET" \
	    -P NONE -C "$RECORDS" --control "$CONTROL" >>"$DIR/muxd.log" 2>&1 &
	muxd_pid=$!
	started+=("$muxd_pid")
}

# What comes back to a place that was bound may be bound already.  It is not
# looked for in the server's list: muxd may have it by then.
phone_exported() {
	must_await 10 gadget_busid "$udid"
	busid=$(gadget_busid "$udid")
	udevadm settle --timeout=20
	[ -e "/sys/bus/usb/drivers/usbip-host/$busid" ] ||
	    must usbip bind -b "$busid" >/dev/null
}

step "muxd takes a phone from the kernel's server"
muxphone_more=(--gadget="configurations=4,udc=dummy_udc.0")
phones 1
udid=$(udid_of_phone 1)
phone_exported
muxd_alone
must_await 10 answers
wait_phones 1 30
must load --all -c 2 echo $((amount / 4))
must load chargen $((amount / 4))
must load discard $((amount / 4))

step "one that is unplugged leaves the list"
phone unplug 1 >/dev/null
wait_phones 0 20

step "one that is plugged in again, and exported, comes back"
phone plug 1 >/dev/null
phone_exported
wait_phones 1 30
must load --all -c 2 echo $((amount / 4))
finish
