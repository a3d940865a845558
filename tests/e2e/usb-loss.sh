#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The server of a program's USB devices is lost, at every stage there is.
. "${0%/*}/usb.sh"

step "$(scaled 1000) times: open, claim, transfer, close"
gadgets sourcesink:pattern=1 sourcesink:loop
usb_load -p 1 -n "$(scaled 1000)" attach

patterns=(1 none)

# gone_when WHAT COMMAND...: transfers are in flight when COMMAND runs.
gone_when() {
	local what=$1
	shift
	for k in 0 1; do
		step "$what: every transfer ends with NO_DEVICE (device $k)"
		usb_load_beside gone -k $k -p "${patterns[k]}" gone
		must_await 10 grep -q running "$DIR/gone.out"
		"$@" "$k" >/dev/null
		must_end "$beside" 10
		note "$(tail -n 1 "$DIR/gone.out")"
		equals '' "$(cat "$DIR/gone.log")" "what usbload found wrong"
		return_of "$k"
	done
}

unplug() { # K
	phone unplug $(($1 + 1))
}
kill_server() {
	kill -KILL "$muxphone_pid"
	wait "$muxphone_pid" 2>/dev/null
	muxphone_pid=
}
return_of() { # K
	if [ -n "$muxphone_pid" ]; then
		phone plug $(($1 + 1)) >/dev/null
	else
		gadgets sourcesink:pattern=1 sourcesink:loop
	fi
	await_device "$1" || fail "device $1 does not come back"
}
await_device() {
	await 10 usb usbload -k "$1" -p "${patterns[$1]}" once
}

gone_when "a device is unplugged" unplug
gone_when "the server is killed" kill_server

step "a server that is not there has no devices"
launcher=no servers=unix:$DIR/nothing
status=0
usb usbload once >"$DIR/once.out" 2>&1 || status=$?
equals 3 "$status" "exit status without a server"

step "a whole conversation, to know its length"
delayed "unix:$DIR/cut" "unix:$PHONES" 0
proxy=$beside
servers=unix:$DIR/cut
usb_load -p 1 once
kill -TERM "$proxy"
must_end "$proxy" 5
total=$(cat "$DIR"/delay-*.out | awk '/^up/ { print $2 + $4 }')
note "$total bytes"
[ "$total" -gt 3000 ] || fail "only $total bytes passed"

# Every byte of the first and of each PDU would take too long: a stride that
# meets each residue, by closing and by resetting in turn.
stride=$((total * MUXD_TEST_SCALE / 150 + 1))
step "the same, cut after N bytes, N in steps of $stride"
cuts=0 lost=0
for ((n = 1; n < total; n += stride)); do
	options=(-x "$n")
	[ $((cuts % 2)) = 0 ] || options+=(-r)
	rm -f "$DIR"/delay-*
	delayed "unix:$DIR/cut" "unix:$PHONES" 0 "${options[@]}"
	status=0
	usb usbload -P $((20 * MUXD_TEST_PATIENCE)) -p 1 once \
	    >"$DIR/once.out" 2>"$DIR/once.log" || status=$?
	case $status in
	0) ;;
	3) lost=$((lost + 1)) ;;
	*) fail "cut after $n bytes: status $status: $(cat "$DIR/once.log")" ;;
	esac
	kill -TERM "$beside" 2>/dev/null
	wait "$beside" 2>/dev/null
	cuts=$((cuts + 1))
done
note "$cuts cuts, $lost of them lost the device"
[ "$lost" -gt $((cuts / 2)) ] || fail "the cuts had no effect"

step "after all that the devices can be had"
launcher=yes servers=unix:$PHONES
usb_load -p 1 once
usb_load -k 1 -p none -b 4M loop
usb_finish
