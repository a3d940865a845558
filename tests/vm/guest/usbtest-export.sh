#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The kernel's usbtest through usbexportd: muxphone's source and sink, which the
# kernel has imported, is exported over the packaged libusb and usbfs, and
# imported once more.  No case is left out: usbfs and libusb can do all of them.
. "${0%/*}/../../e2e/usb.sh"
. "${0%/*}/exporter.sh"
. "${0%/*}/usbtest_cases.sh"

# usbtest wants the pattern as it is loaded, so both have the same.
pattern=1
phones 0 --device "sourcesink:pattern=$pattern,serial=high,speed=high" \
    --device "sourcesink:pattern=$pattern,serial=super,speed=super"
# Apart from what comes back: see there.
vhciattach "unix:$PHONES" 1 &
started+=("$!")
exporter -d 0525:a4a0:high -d 0525:a4a0:super

# through SERIAL: its node, as the kernel has it from usbexportd, is in $device.
through() {
	must_await 20 state_is "$1" free
	attach "$1"
	must_await 20 driver_is "$imported_at" usbtest
	device=$(node_of "$imported_at")
}

step "bulk, queued, unlink, control: high speed"
with_module pattern="$pattern"
through high
cases 512
detach

step "the same at super speed"
through super
cases 1024
detach

step "isochronous, high speed"
with_module pattern="$pattern" alt=1
through high
isochronous_cases
detach

step "the same at super speed"
through super
isochronous_cases
detach
stop_exporter
usb_finish
