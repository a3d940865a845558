#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Devices that usbnet simulates in the program itself: transfers, and muxd.
. "${0%/*}/usb.sh"

simulate sourcesink,pattern=1 sourcesink,loop sourcesink,pattern=1,speed=super
amount=$(scaled $((256 << 20)))

step "$((amount >> 20)) MiB each way, 32 transfers in flight, every byte compared"
usb_load -p 1 -b "$amount" in
usb_load -p 1 -b "$amount" out
usb_load -k 1 -p none -b "$amount" loop
usb_load -p 1 -b "$((amount / 64))" -s 512 in
usb_load -k 2 -p 1 -b "$amount" -s 262144 -q 1 out
usb_load -k 1 -p none -b "$((amount / 16))" -s 3000 loop

step "a transfer that is cancelled, or whose time is up, ends once"
usb_load -k 1 -p none -n "$(scaled 4000)" cancel
usb_load -k 1 -p none -n "$(scaled 400)" timeout
usb_load -p 1 -s 2048 -n "$(scaled 100000)" storm
usb_load -k 1 -p none -s 512 -q 200 -n "$(scaled 100000)" storm

step "every way to handle events, threads, forks"
usb_load -k 1 -p none events
usb_load -p 1 -T 8 -n "$(scaled 400)" threads
# ThreadSanitizer lets no thread begin in a child of threads.
[ "$MUXD_SANITIZE" = thread ] || usb_load -p 1 -n 200 fork

step "control transfers, interfaces, halted endpoints, isochronous transfers"
usb_load -n "$(scaled 2000)" control
usb_load -k 0 -p 1 interface
usb_load -p 1 -q 8 -n "$(scaled 4000)" iso

step "contexts that come and go leave nothing behind"
usb_load -p 1 once
usb_load -p 1 -n "$(scaled 50)" attach

step "a wire of 40 MB/s carries 20 MB in half a second, and not sooner"
simulate sourcesink,pattern=1,pace=40000000
line=$(must usb usbload -p 1 -b 20000000 out)
note "$line"
hundredths=$(sed -n 's/.* in \([0-9]*\)\.\([0-9][0-9]\) s,.*/\1\2/p' <<<"$line")
at_most "$((10#$hundredths))" 50 "hundredths of a second"
equals '[20000000,0]' "$(jq -c '.devices[0] | [.bytes_in, .mismatches]' "$REPORT")"

step "muxd with 3 phones in its own process"
simulate phone=3
virtual_control=$PHONE_CONTROL
for_ours
"${under[@]}" muxd --foreground -v -S "$SOCKET" -P NONE -C "$RECORDS" \
    --control "$CONTROL" >>"$DIR/muxd.log" 2>&1 &
muxd_pid=$!
started+=("$muxd_pid")
must_await 10 answers
wait_phones 3
amount=$(scaled $((64 << 20)))
note "$(must load --all -c 2 echo "$amount" | tail -n 1)"
note "$(must load --all discard "$amount" | tail -n 1)"
note "$(must load --all chargen "$amount" | tail -n 1)"

step "a phone that is unplugged amid transfers, and comes back, harms no other"
load_beside others -d "$(id_of_phone 1)" chargen $((1 << 40))
others=$beside
load_beside pulled -d "$(id_of_phone 2)" chargen $((1 << 40))
pulled=$beside
must_await 5 has_connections 2
phone unplug 2 >/dev/null
must_await 10 gone "$pulled"
wait_phones 2
phone plug 2 >/dev/null
wait_phones 3
gone "$others" && fail "its connection ended: $(cat "$DIR/others.log")"
kill "$others"
wait "$others" 2>/dev/null
note "$(must load -d "$(id_of_phone 2)" echo 1M | tail -n 1)"

step "a phone that is stalled does not hold up another"
load_beside stalled -d "$(id_of_phone 3)" echo $((1 << 40))
stalled=$beside
must_await 5 has_connections 1
phone stall 3 >/dev/null
note "$(must load -d "$(id_of_phone 1)" echo "$amount" | tail -n 1)"
phone resume 3 >/dev/null
note "$(must load -d "$(id_of_phone 3)" echo 1M | tail -n 1)"
gone "$stalled" && fail "its connection ended: $(cat "$DIR/stalled.log")"
kill "$stalled"
wait "$stalled" 2>/dev/null

step "nobody wakes up while nothing happens"
quiet() {
	phone threads | jq '[.threads[] | .sleeps] | add'
}
must_await 10 has_connections 0
before=$(quiet)
rest() {
	[ "$(now_ms)" -ge "$1" ]
}
must_await 10 rest $(($(now_ms) + 1000))
equals "$before" "$(quiet)" "sleeps begun"

step "the devices' processor time is told apart from the daemon's"
all=$(($(cpu_ms "$muxd_pid") * 1000))
devices=$(simulated_us)
note "$devices us of $all us"
[ "$devices" -gt 0 ] || fail "the devices have cost nothing"
at_most "$all" "$devices" "us of devices"
finish
