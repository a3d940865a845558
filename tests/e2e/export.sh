#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# usbexportd, whose libusb is usbnet's: it exports what muxphone does, and muxd
# and programs under usbnet import that.
. "${0%/*}/usb.sh"
need socat jq
[ -z "$real_libusb" ] || skip "the virtual machine has a test of its own"

EXPORT=$DIR/export
EXPORT_CONTROL=$DIR/exportctl

# exporter [OPTION...]: usbexportd beside the test, once it serves.
exporter_pid=
exporter() {
	exporter_alone -l "unix:$EXPORT" --control "$EXPORT_CONTROL" "$@"
	must_await 10 test -S "$EXPORT"
	must_await 10 usb_list
	must_await 10 none_is_probed
}

# The same without a word about where.  With a sanitizer the library takes the
# place of the system's in the search, because the program has the runtime.
over_usbnet=(env "LD_LIBRARY_PATH=$usb_libs" "USBNET_SERVERS=$servers")
exporter_alone() {
	"${over_usbnet[@]}" usbexportd -v "$@" >>"$DIR/usbexportd.log" 2>&1 &
	exporter_pid=$!
	started+=("$exporter_pid")
}

# stop_exporter: SIGTERM; status 0 within two seconds.
stop_exporter() {
	local status=0 start
	start=$(now_ms)
	kill -TERM "$exporter_pid"
	must_await 10 gone "$exporter_pid"
	wait "$exporter_pid" || status=$?
	equals 0 "$status" "exit status of usbexportd"
	at_most $((2000 * MUXD_TEST_PATIENCE)) $(($(now_ms) - start)) \
	    "milliseconds from SIGTERM to the end of usbexportd"
}

usb_list() {
	muxctl -c "$EXPORT_CONTROL" --json usb list
}

none_is_probed() {
	[ "$(usb_list | jq '[.[] | select(.state == "probing")] | length')" = 0 ]
}

# state_of BUSID, and a thing to wait for.
state_of() {
	usb_list | jq -r --arg busid "$1" \
	    '[.[] | select(.busID == $busid) | .state][0] // "absent"'
}

state_is() { # BUSID STATE
	[ "$(state_of "$1")" = "$2" ]
}

# tries ADDRESS BUSID: the answer to an import there.
tries() {
	python3 "$top_srcdir/tests/tools/usbip_import.py" "$1" "$2"
}

import_from_exporter() {
	PHONES=$EXPORT muxd_alone
	must_await 10 answers
}

size=$(scaled $((64 << 20)))
phones 2 --device sourcesink:loop,serial=loop-1 --device sourcesink:pattern=1 \
    --device hid
gadget=$(sed -n 's/ loop-1$//p' "$DIR/devices")

step "all devices are listed, with their names and serial numbers"
exporter
list=$(usb_list)
equals 5 "$(jq length <<<"$list")" devices
equals loop-1 "$(jq -r --arg b "$gadget" '.[] | select(.busID == $b).serial' <<<"$list")"
equals '["free"]' "$(jq -c 'map(.state) | unique' <<<"$list")"
contains "$(muxctl -c "$EXPORT_CONTROL" usb list)" "iPhone"

step "muxd imports the phones through it, $((size >> 20)) MiB come back unharmed"
import_from_exporter
wait_phones 2
must load --all -c 2 echo $((size / 4))
must load chargen "$size"
must load discard "$size"
must load sizes 1,511,512,513,16383,16384,65535,65536,131072
equals 2 "$(usb_list | jq 'map(select(.state == "imported")) | length')"
[ "$(usb_list | jq 'map(.rxBytes // 0) | add')" -gt "$size" ] ||
    fail "fewer bytes counted than moved"

step "other programs use another device through it meanwhile"
servers=unix:$EXPORT
usb_load -b "$size" loop
usb_load -n 500 control
usb_load -n 200 cancel
usb_load -n 1000 storm
usb_load -k 1 -p 1 -b "$size" in
usb_load -k 1 -p 1 -b "$size" out
usb_load -k 1 -p 1 interface
usb_load -k 1 -p 1 -n 200 iso
must_await 5 state_is "$gadget" free

step "$(scaled 400) imports, one after another, cost nothing that stays"
usb_load -n 20 attach
must_await 5 state_is "$gadget" free
fds=$(fds_of "$exporter_pid") threads=$(threads_of "$exporter_pid")
usb_load -n "$(scaled 400)" attach
must_await 5 state_is "$gadget" free
costs_the_same() {
	[ "$(fds_of "$exporter_pid")" = "$fds" ] &&
	    [ "$(threads_of "$exporter_pid")" = "$threads" ]
}
must_await 5 costs_the_same

step "a second importer is told that the device is busy"
equals "busy" "$(tries "unix:$EXPORT" 1-1)"
equals "no such device" "$(tries "unix:$EXPORT" 7-7)"
must load chargen $((1 << 20))

step "muxctl takes a device from its importer, which may have it again"
before=$(id_of_phone 1)
must muxctl -c "$EXPORT_CONTROL" usb kick 1-1
again() {
	[ "$(id_of_phone 1)" -gt "$before" ]
}
must_await 10 again
must load --all echo $((size / 16))
contains "$(must_fail muxctl -c "$EXPORT_CONTROL" usb kick "$gadget")" \
    "nobody has imported"
contains "$(must_fail muxctl -c "$EXPORT_CONTROL" usb kick 9-9)" 9-9

step "a phone that is unplugged goes, also amid a transfer, and comes back"
load_beside cut -u "$(udid_of_phone 2)" chargen 100G
cut=$beside
must_await 10 has_connections 1
phone unplug 2
must_await 10 gone "$cut"
wait "$cut" && fail "100 GiB came from a phone that was unplugged"
wait_phones 1
must_await 10 state_is 1-2 absent
phone plug 2
wait_phones 2 20
must load --all echo $((size / 16))

step "SIGTERM gives every device back and ends it"
stop_exporter
wait_phones 0
not_imported() {
	[ "$(phone list | jq '[.phones[] | select(.imported)] | length')" = 0 ]
}
must_await 10 not_imported
[ ! -e "$EXPORT" ] || fail "its socket is left"
[ ! -e "$EXPORT_CONTROL" ] || fail "its control socket is left"

step "it comes again, and so do the phones"
exporter
wait_phones 2 20
must load --all echo $((size / 16))
stop_daemon
must_await 10 not_imported

step "only what is named, but for what is denied"
stop_exporter
exporter -d 05ac:12a8
equals '["1-1","1-2"]' "$(usb_list | jq -c 'map(select(.state == "free").busID) | sort')"
contains "$(muxctl -c "$EXPORT_CONTROL" usb list)" "it is not named"
stop_exporter
exporter -d "0525:a4a0:loop-1" -d 0525:a4a0:none -b 1-2
equals "[\"1-2\",\"$gadget\"]" "$(usb_list | jq -c 'map(select(.state == "free").busID) | sort')"
contains "$(cat "$DIR/usbexportd.log")" "device 0525:a4a0:none is not there"
stop_exporter
exporter --deny 03 --all # phones have such an interface, too
equals 2 "$(usb_list | jq 'map(select(.state == "free")) | length')"
contains "$(muxctl -c "$EXPORT_CONTROL" usb list)" "its class is denied"
stop_exporter

step "the socket of the server that came after is left to it"
exporter
first=$exporter_pid
rm "$EXPORT" "$EXPORT_CONTROL"
exporter
after=$exporter_pid exporter_pid=$first
stop_exporter
exporter_pid=$after
equals "imported" "$(tries "unix:$EXPORT" 1-1)"
stop_exporter

step "a second SIGTERM ends it though a device does not answer"
exporter
import_from_exporter
wait_phones 2 20
kill -STOP "$muxphone_pid"
kill -TERM "$exporter_pid"
must_await 10 test ! -e "$EXPORT"
kill -TERM "$exporter_pid"
must_await 2 gone "$exporter_pid"
status=0
wait "$exporter_pid" || status=$?
equals 143 "$status" "exit status of usbexportd"
kill -CONT "$muxphone_pid"
stop_daemon
must_await 10 not_imported

step "who may come, by address"
port=$(free_port)
exporter -l "127.0.0.1:$port" --allow-from 127.0.0.2 --allow-from fd00::/8
equals "closed" "$(tries "127.0.0.1:$port" 1-1)"
equals "imported" "$(tries "unix:$EXPORT" 1-1)"
stop_exporter
exporter -l "127.0.0.1:$port" --allow-from 10.0.0.0/8 --allow-from 127.0.0.0/8
equals "imported" "$(tries "127.0.0.1:$port" 1-1)"
stop_exporter

step "one peer each on standard input and output, as through ssh"
printf '#!/bin/sh\nexec %s usbexportd --stdio 2>>%s\n' "${over_usbnet[*]}" \
    "$DIR/stdio.log" >"$DIR/far"
chmod +x "$DIR/far"
for kind in EXEC:"$DIR/far" EXEC:"$DIR/far",pipes; do
	socat "UNIX-LISTEN:$EXPORT,fork" "$kind" 2>>"$DIR/socat.log" &
	relay=$!
	started+=("$relay")
	must_await 10 test -S "$EXPORT"
	import_from_exporter
	wait_phones 2 30
	must load --all echo $((size / 16))
	equals "busy" "$(tries "unix:$EXPORT" 1-1)"
	stop_daemon
	must_await 10 not_imported
	kill "$relay"
	wait "$relay" 2>/dev/null
	rm -f "$EXPORT"
done

step "it ends when nobody reads its standard output any more"
without_reader() {
	python3 "$top_srcdir/tests/tools/usbip_stdio.py" "$1" 1-1 "$DIR/far"
}
equals "ended" "$(without_reader closed)"
must_await 10 not_imported
equals "ended" "$(without_reader unread)"
must_await 10 not_imported

step "what keeps it from starting is said in one sentence"
refuses() { # STATUS PART OPTION...
	local said status=0 wanted=$1 part=$2
	shift 2
	said=$(timeout 10 "${over_usbnet[@]}" usbexportd "$@" 2>&1) || status=$?
	note "$said"
	equals "$wanted" "$status" "exit status"
	contains "$said" "$part"
	equals 1 "$(grep -c . <<<"$said")" "lines of complaint"
}
socat "TCP-LISTEN:$port,bind=127.0.0.1,fork" OPEN:/dev/null &
started+=("$!")
listening() {
	(: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}
must_await 10 listening
refuses 1 "choose another" -l "127.0.0.1:$port"
refuses 1 "-l unix:PATH" -l "unix:$DIR/none/socket"
refuses 1 "--control" -l "unix:$EXPORT" --control "$DIR/none/socket"
refuses 1 "name an address of this host" -l 192.0.2.1:3240
refuses 2 "no network" --allow-from 10.0.0.0/33
refuses 2 "'--frobnicate'" --frobnicate
refuses 2 "names no device" -d iPhone
exporter
refuses 1 busy -l "unix:$EXPORT"
stop_exporter
finish
