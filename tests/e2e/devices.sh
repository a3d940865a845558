#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Virtual devices that are no phones: each kind through all of its paths.
. "${0%/*}/lib.sh"
need python3
export PYTHONDONTWRITEBYTECODE=1

devices() { # KIND[:OPTION,...]...
	local kind options=()
	for kind; do
		options+=(--device "$kind")
	done
	phones 0 "${options[@]}"
}

step "muxphone offers devices of each kind"
devices sourcesink:pattern=1 sourcesink:loop \
    sourcesink:speed=full,pattern=1,iso-pace=on cdc-acm hid hid:fido dfu \
    hid:boot-keyboard,configured
must python3 "$top_srcdir/tests/tools/device_check.py" \
    "unix:$PHONES" "$PHONE_CONTROL" "$MUXD_TEST_SCALE"

step "its report has the counters of each"
stop_phones
equals 8 "$(jq '.devices | length' "$REPORT")" "devices in the report"
equals 1 "$(jq '.devices[0].mismatches' "$REPORT")" "mismatches of the first"

step "phones and other devices beside one another: phones come first"
devices hid phone dfu:serial=SN-1 phone
equals "phone phone hid dfu" "$(phone list |
    jq -r '[(.phones[] | "phone"), (.devices[] | .kind)] | join(" ")')" kinds
equals SN-1 "$(phone list | jq -r '.devices[1].serial')" "serial number"
daemon
wait_phones 2
must load --all echo 100000
stop_daemon
stop_phones

step "options that make no sense are refused in a sentence"
refused() { # OPTION-TEXT CAUSE
	contains "$(must_fail muxphone -l "unix:$DIR/none" --device "$1")" "$2"
}
refused printer "'printer' is none of phone, sourcesink, cdc-acm, hid, dfu and scm"
refused hid:interval=x "interval: 'x' is no number from 1 to 10000"
refused sourcesink:loop=2 "loop: takes no value"
refused phone:loop "a phone has no options here"
contains "$(must_fail muxphone --gadget=configurations=2)" "'2' is neither 1 nor 4"
contains "$(must_fail muxphone --gadget=speed=high)" \
    "'speed' is neither configurations=1|4 nor udc=NAME"
contains "$(must_fail muxphone --gadget=udc=a,udc=b)" "2 UDCs for 1 phones"
finish
