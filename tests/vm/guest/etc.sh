# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What `make install` puts into the system, and phones that the kernel imports.

# shellcheck disable=SC2034 # for who sources this
rules=/usr/lib/udev/rules.d/70-muxd.rules

# Ours instead of those of Debian's usbmuxd.
install_rules() {
	mkdir -p /etc/udev/rules.d
	ln -sf /dev/null /etc/udev/rules.d/39-usbmuxd.rules
	cp /muxd/src/etc/udev/70-muxd.rules "$rules"
	udevadm control --reload
}

install_units() {
	local unit
	mkdir -p /etc/systemd/system
	rm -f /usr/lib/systemd/system/usbmuxd.service
	cp /muxd/src/etc/systemd/*.socket /etc/systemd/system/
	for unit in muxd usbexportd; do
		sed "s|@sbindir@|/muxd/build|" \
		    "/muxd/src/etc/systemd/$unit.service.in" \
		    >"/etc/systemd/system/$unit.service"
	done
}

attach() { # N: muxphone's N-th phone
	local busid
	busid=$(phone list | jq -r --argjson n "$1" \
	    '.phones[] | select(.n == $n).busid')
	must usbip attach -r 127.0.0.1 -b "$busid"
}

# The phones that the kernel has, by their folders in /sys.
devices_of_phones() {
	local product
	for product in /sys/bus/usb/devices/*/idProduct; do
		[ "$(<"$product")" != 12a8 ] || echo "${product%/*}"
	done
}

imported() { # COUNT
	[ "$(devices_of_phones | wc -l)" = "$1" ]
}

node_of() { # FOLDER
	printf '/dev/bus/usb/%03d/%03d' "$(<"$1/busnum")" "$(<"$1/devnum")"
}
