#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A program's transfers through usbnet's libusb: streams, cancels, time limits.
. "${0%/*}/usb.sh"

gadgets sourcesink:pattern=1 sourcesink:loop \
    sourcesink:pattern=1,speed=super
amount=$(scaled $((256 << 20)))

step "$((amount >> 20)) MiB each way, 32 transfers in flight, every byte compared"
usb_load -p 1 -b "$amount" in
usb_load -p 1 -b "$amount" out
usb_load -k 1 -p none -b "$amount" loop

step "the same with other sizes, and at super speed"
usb_load -p 1 -b "$((amount / 64))" -s 512 in
usb_load -p 1 -b "$((amount / 64))" -s 1536 out
usb_load -p 1 -b "$amount" -s 262144 in
usb_load -p 1 -b "$amount" -s 262144 out
usb_load -k 1 -p none -b "$((amount / 16))" -s 3000 loop
usb_load -k 2 -p 1 -b "$amount" in
usb_load -k 2 -p 1 -b "$amount" -q 1 out

step "a transfer that is cancelled ends once, as cancelled"
usb_load -k 1 -p none -n "$(scaled 20000)" cancel
step "a transfer whose time is up ends once, as timed out"
usb_load -k 1 -p none -n "$(scaled 1000)" timeout
step "$(scaled 100000) transfers, each cancelled at a random time"
usb_load -p 1 -s 2048 -n "$(scaled 100000)" storm
usb_load -k 1 -p none -s 2048 -n "$(scaled 100000)" storm
usb_load -k 1 -p none -s 512 -q 200 -n "$(scaled 100000)" storm
if [ -z "$real_libusb" ]; then
	step "the same with half a millisecond of way"
	delayed "unix:$DIR/far" "unix:$PHONES" 0.25
	servers=unix:$DIR/far
	usb_load -p 1 -s 2048 -n "$(scaled 50000)" storm
	usb_load -k 1 -p none -s 2048 -n "$(scaled 50000)" storm
	step "everything else with 10 ms of way"
	delayed "unix:$DIR/farther" "unix:$PHONES" 5
	servers=unix:$DIR/farther
	usb_load -k 1 -p none events
	usb_load -k 1 -p none -n 320 cancel
	usb_load -k 1 -p none -n 64 timeout
	usb_load -n 50 control
	usb_load -p 1 interface
	usb_load -p 1 -q 8 -n 200 iso
	usb_load -p 1 -n 20 attach
	usb_load -p 1 -n 20 fork
	servers=unix:$PHONES
fi

step "every way to handle events"
usb_load -k 1 -p none events
usb_load -p 1 -T 8 -n "$(scaled 400)" threads

step "control transfers, interfaces, halted endpoints"
usb_load -n "$(scaled 2000)" control
usb_load -k 0 -p 1 interface
usb_load -k 2 -p 1 interface
step "isochronous transfers"
usb_load -p 1 -q 8 -n "$(scaled 4000)" iso
usb_load -k 2 -p 1 -q 8 -n "$(scaled 4000)" iso

step "a parent and its children each have connections of their own"
usb_load -p 1 -n 200 fork
usb_finish
