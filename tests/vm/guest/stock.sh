#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Debian's own usbmuxd with the same phones: it proves the phones, not us.
. "$top_srcdir/tests/e2e/lib.sh"

# shellcheck disable=SC2034 # it is its affair what it does to the phones
violations_expected=yes

imported() {
	[ "$(grep -lx 05ac /sys/bus/usb/devices/*/idVendor | wc -l)" = "$1" ]
}
# It comes when all is there: phones with which udev has finished.
daemon_when_settled() {
	attach_beside
	must_await 20 imported 3
	udevadm settle
	daemon
}

# It deadlocks or loses a phone when udev's rule and it set the configuration at
# the same time, which is not in question here: it has one processor, and phones
# with which udev has finished.
echo 0 >/sys/devices/system/cpu/cpu1/online
trap 'echo 1 >/sys/devices/system/cpu/cpu1/online; clean_up' EXIT

phones 3
step "it lists three phones"
daemon_when_settled
equals "$(phone_udids | sort)" "$(timeout 20 idevice_id -l | sort)"

step "idevice programs reach each of them"
for udid in $(phone_udids); do
	contains "$(must timeout 20 ideviceinfo -s -u "$udid")" "DeviceName: muxphone"
done

step "a megabyte to the echo service of each and back, compared"
must timeout 120 muxload -s "$SOCKET" --all echo 1048576 <&"$never"

step "a phone that is unplugged leaves its list"
phone unplug 2 >/dev/null
must_await 10 phones_are 2
stop_phones
note "violations that the phones counted: $(violations)"
kill -KILL "$muxd_pid"
muxd_pid=
finish
