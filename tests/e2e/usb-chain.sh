#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The chain under load: muxphone, usbexportd under usbnet, then muxd and usbnet.
. "${0%/*}/usb.sh"

[ -z "$real_libusb" ] || skip "there is no chain without usbnet"
EXPORT=$DIR/export

exporter() {
	servers=unix:$PHONES for_ours
	"${under[@]}" usbexportd -v -l "unix:$EXPORT" \
	    --control "$DIR/exportctl" >>"$DIR/usbexportd.log" 2>&1 &
	exporter_pid=$!
	started+=("$exporter_pid")
	must_await 10 muxctl -c "$DIR/exportctl" usb list
}

step "usbexportd exports what muxphone does: two phones, source and sink, loop"
phones 2 --device sourcesink:pattern=1 --device sourcesink:loop
exporter
servers=unix:$EXPORT
must_await 10 usb usbload -p 1 once

amount=$(scaled $((256 << 20)))
step "$((amount >> 20)) MiB each way, 32 transfers in flight, every byte compared"
usb_load -p 1 -b "$amount" in
usb_load -p 1 -b "$amount" out
usb_load -p 1 -s 262144 -b "$amount" in
usb_load -k 1 -p none -b "$amount" loop

step "cancels, time limits, a storm of both"
usb_load -k 1 -p none -n "$(scaled 5000)" cancel
usb_load -k 1 -p none -n "$(scaled 500)" timeout
usb_load -k 1 -p none -s 2048 -n "$(scaled 100000)" storm
usb_load -p 1 -s 2048 -n "$(scaled 100000)" storm

step "events, control transfers, halts, isochronous transfers"
usb_load -k 1 -p none events
usb_load -n "$(scaled 1000)" control
usb_load -p 1 interface
usb_load -p 1 -q 8 -n "$(scaled 2000)" iso
usb_load -p 1 -n "$(scaled 200)" attach

step "muxd reaches the phones through it: $((amount >> 20)) MiB there and back"
PHONES=$EXPORT muxd_alone
must_await 20 phones_are 2
note "$(must load echo "$amount" | tail -n 1)"

step "a device that is unplugged at the far end is lost at this one"
usb_load_beside gone -p 1 gone
must_await 10 grep -q running "$DIR/gone.out"
phone unplug 3 >/dev/null
must_end "$beside" 10
equals '' "$(cat "$DIR/gone.log")" "what usbload found wrong"
note "$(tail -n 1 "$DIR/gone.out")"

step "the exporter is killed: the same"
usb_load_beside gone -p none gone
must_await 10 grep -q running "$DIR/gone.out"
kill -KILL "$exporter_pid"
wait "$exporter_pid" 2>/dev/null
must_end "$beside" 10
equals '' "$(cat "$DIR/gone.log")" "what usbload found wrong"
must_await 10 phones_are 0

step "another exporter finds everything free"
exporter
must_await 20 phones_are 2
usb_load -p none -b 4M loop
finish
