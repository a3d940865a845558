#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Debian's dfu-util and PyUSB reach devices of muxphone through usbnet's libusb.
. "${0%/*}/usb.sh"

need_foreign
need dfu-util
# Debian's PyUSB belongs to Debian's Python, which need not be the first one.
for python in python3 /usr/bin/python3 ''; do
	"$python" -c 'import usb.core' 2>/dev/null && break
done
[ -n "$python" ] || skip "PyUSB is not installed"
gadgets dfu sourcesink:loop,serial=loop-1 sourcesink:pattern=1,serial=plain-2

step "dfu-util lists the device"
found=$(must foreign dfu-util -l)
contains "$found" 'Found DFU'
note "$(grep 'Found DFU' <<<"$found" | head -n 1)"

amount=$(scaled $((64 << 20)))
step "PyUSB: $((amount >> 20)) MiB into the loop and back, compared"
said=$(must foreign timeout $((300 * MUXD_TEST_PATIENCE)) \
    "$python" "$top_srcdir/tests/tools/usb_loop.py" "$amount")
note "$said"
contains "$said" "$amount bytes there and back"
usb_finish
