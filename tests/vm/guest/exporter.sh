# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# usbexportd over Debian's libusb, for tests that import from it; beside
# tests/e2e/usb.sh, which is sourced before.

EXPORT=$DIR/export
EXPORT_CONTROL=$DIR/exportctl
PORT=3241

# exporter [OPTION...]: usbexportd, once it answers.
exporter_pid=
exporter() {
	usbexportd -v -l "unix:$EXPORT" -l "127.0.0.1:$PORT" \
	    --control "$EXPORT_CONTROL" "$@" >>"$DIR/usbexportd.log" 2>&1 &
	exporter_pid=$!
	started+=("$exporter_pid")
	must_await 10 usb_list
}

# SIGTERM; its devices are given back when this returns.
stop_exporter() {
	kill -TERM "$exporter_pid"
	must_end "$exporter_pid" 10
}

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

# The driver of an interface of the device at BUSID.
driver_of() { # BUSID [INTERFACE]
	local link
	link=$(readlink "/sys/bus/usb/devices/$1:1.${2:-0}/driver") || :
	echo "${link##*/}"
}

driver_is() { # BUSID DRIVER [INTERFACE]
	[ "$(driver_of "$1" "${3:-0}")" = "$2" ]
}

# The kernel imports the device with that serial number from usbexportd; its
# busid on the bus to which it has come so is in $imported_at, the port that
# detach() wants in $imported_port.
attach() { # SERIAL
	local before after from
	from=$(place "$1")
	before=$(vhci_devices)
	must usbip --tcp-port "$PORT" attach -r 127.0.0.1 -b "$from" >/dev/null
	must_await 20 one_more "$before"
	after=$(vhci_devices)
	imported_at=$(comm -13 <(echo "$before") <(echo "$after"))
	imported_port=$(must port_of "$from")
}

# The port to which usbip has attached what is at BUSID there.
port_of() { # BUSID
	usbip port 2>/dev/null | awk -v from="usbip://127.0.0.1:$PORT/$1" '
	    /^Port / { port = $2 + 0 }
	    $NF == from { print port; found = 1 }
	    END { exit !found }'
}

detach() {
	must usbip detach -p "$imported_port" >/dev/null
}

vhci_devices() {
	local device
	for device in /sys/devices/platform/vhci_hcd.*/usb*/*-*; do
		case ${device##*/} in
		*:* | *-0) ;;
		*)	[ ! -e "$device/serial" ] || echo "${device##*/}" ;;
		esac
	done | sort
}

one_more() { # LIST
	[ "$(comm -13 <(echo "$1") <(vhci_devices) | grep -c .)" = 1 ]
}
