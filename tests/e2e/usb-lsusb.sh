#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Debian's lsusb -v prints of every kind of device what the kernel's USB gives.
. "${0%/*}/usb.sh"

need lsusb
# tests/golden/lsusb/ has what lsusb says in the virtual machine, in which these
# devices are the kernel's; there this test prints the texts after @@@ lines.
golden=$top_srcdir/tests/golden/lsusb
[ -n "$real_libusb" ] || need_foreign

# The places of devices, the names that a file of names gives to numbers, and
# the device's own strings, which lsusb has from the kernel's sysfs and not from
# libusb, are left out; so is what it says of a request that stalls.
told() {
	sed -E -e 's/^Bus .*: (ID [0-9a-f:]*).*/\1/' \
	    -e 's/^( *i(Manufacturer|Product|Serial) +[0-9]+).*/\1/' \
	    -e 's/^( *id(Vendor|Product) +0x[0-9a-f]+).*/\1/' \
	    -e 's/^( *b(Device|Interface|Function)(Class|SubClass|Protocol) +[0-9]+).*/\1/' \
	    -e '/Report Descriptor: \(length/,/Endpoint Descriptor:/ {
		/Item\(|Descriptor:/!d
		}' \
	    -e 's/ *$//' -e '/^$/d'
}

# Of hid the kernel's driver must let go, or lsusb cannot ask it.
let_go() {
	local interface
	[ -n "$real_libusb" ] || return 0
	for interface in /sys/bus/usb/drivers/usbhid/*:*; do
		[ ! -e "$interface" ] ||
		    echo "${interface##*/}" >/sys/bus/usb/drivers/usbhid/unbind
	done
}

imported() { # COUNT
	[ "$(lsusb | grep -vc -e 1d6b: -e 46f4:)" = "$1" ]
}

# compare NAME VID:PID: the only device with these ids.
compare() {
	local text
	text=$(foreign lsusb -v -d "$2" 2>"$DIR/lsusb.log" | told)
	if [ -n "$real_libusb" ]; then
		printf '@@@ %s\n%s\n' "$1" "$text" >&"$talk"
		return
	fi
	diff -u "$golden/$1.txt" - <<<"$text" >&"$talk" ||
	    fail "lsusb -v of $1 is not that of tests/golden/lsusb/$1.txt"
	note "$1: $(wc -l <<<"$text") lines"
}

one() { # NAME VID:PID KIND[:OPTION]...
	gadgets "$3"
	let_go
	compare "$1" "$2"
	stop_phones
}

step "each kind of device"
one sourcesink 0525:a4a0 sourcesink:serial=one
one sourcesink-super 0525:a4a0 sourcesink:speed=super,serial=one
one sourcesink-full 0525:a4a0 sourcesink:speed=full,serial=one
one cdc-acm 0525:a4a7 cdc-acm:serial=one
one hid 0525:a4ac hid:serial=one
one dfu 1209:0001 dfu:serial=one
step "a phone"
phones 1 --udid 000102030405060708090a0b0c0d0e0f10111213
[ -z "$real_libusb" ] || kernel_imports
compare phone 05ac:12a8
stop_phones

if [ -z "$real_libusb" ]; then
	step "all of them at once are on one bus"
	gadgets sourcesink cdc-acm hid dfu
	list=$(must foreign lsusb)
	note "$(head -n 1 <<<"$list")"
	equals 4 "$(wc -l <<<"$list")" "lines of lsusb"
	equals 4 "$(grep -c "^Bus $(printf %03d "$(nth_bus 1)") Device " <<<"$list")" \
	    "devices on the first bus"
	stop_phones
fi
usb_finish
