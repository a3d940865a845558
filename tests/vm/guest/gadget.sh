# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Devices of the kernel's own: composite gadgets of configfs at the controllers
# of dummy_hcd, each of which has a bus of its own.  Sourced by tests of this
# folder, beside tests/e2e/lib.sh.

gadgets_at=/sys/kernel/config/usb_gadget

controllers() {
	[ -d /sys/module/dummy_hcd ] || modprobe dummy_hcd num=4 is_super_speed=1 ||
	    skip "no module dummy_hcd"
	[ -d /sys/module/libcomposite ] || modprobe libcomposite ||
	    skip "no module libcomposite"
}

# make_gadget NAME SPEED VENDOR:PRODUCT FUNCTION...: NAME is its serial number,
# too; SPEED is high or super; a function is one of configfs' kinds, as
# SourceSink, Loopback, acm.
make_gadget() {
	local at=$gadgets_at/$1 speed=$2 ids=$3 function count=0
	mkdir -p "$at/strings/0x409" "$at/configs/c.1/strings/0x409"
	echo "$speed-speed" >"$at/max_speed"
	echo "0x${ids%:*}" >"$at/idVendor"
	echo "0x${ids#*:}" >"$at/idProduct"
	echo 0x0123 >"$at/bcdDevice"
	echo "$1" >"$at/strings/0x409/serialnumber"
	echo kernel >"$at/strings/0x409/manufacturer"
	echo "gadget $1" >"$at/strings/0x409/product"
	echo "all of $1" >"$at/configs/c.1/strings/0x409/configuration"
	shift 3
	for function; do
		count=$((count + 1))
		mkdir "$at/functions/$function.$count" ||
		    fail "no function $function"
		ln -s "$at/functions/$function.$count" "$at/configs/c.1/"
	done
}

# plug_gadget NAME N: into the N-th controller, from 0.
plug_gadget() {
	echo "dummy_udc.$2" >"$gadgets_at/$1/UDC" ||
	    fail "the gadget $1 cannot be plugged into dummy_udc.$2"
	must_await 10 gadget_busid "$1"
	udevadm settle --timeout=20
}

remove_gadget() { # NAME
	local at=$gadgets_at/$1
	echo >"$at/UDC"
	find "$at/configs/c.1" -type l -delete
	rmdir "$at/configs/c.1/strings/0x409" "$at/configs/c.1" \
	    "$at"/functions/* "$at/strings/0x409" "$at"
}

# The place of a gadget on its bus; fails while it has none.
gadget_busid() { # SERIAL
	local at serial
	for at in /sys/devices/platform/dummy_hcd.*/usb*/*-*/serial; do
		[ -r "$at" ] && read -r serial <"$at" && [ "$serial" = "$1" ] ||
		    continue
		at=${at%/serial}
		echo "${at##*/}"
		return 0
	done
	return 1
}
