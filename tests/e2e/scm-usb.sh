#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Devices whose sockets muxd opens, as devices of its own USB: libusb's part.
. "${0%/*}/usb.sh"
. "${0%/*}/scm-lib.sh"
check=$top_srcdir/tests/tools/scm_check.py
size=$(scaled $((16 << 20)))

make_bytes "$size" >"$DIR/www/big"
sum=$(sha256sum <"$DIR/www/big")
serve 127.0.0.1 127.0.0.1
rules 'allow-special * * 127.0.0.0/8 *' 'allow-special * * ::1 *' \
    'limit * sockets 20' 'limit * connects-per-second 0' \
    'limit * buffered 1M'
forward=forward=0=127.0.0.1:$port

muxd_under() {
	for_ours
	"${under[@]}" muxd --foreground -v -S "$SOCKET" -P NONE -C "$RECORDS" \
	    --control "$CONTROL" --scm-conf "$DIR/scm.conf" \
	    >>"$DIR/muxd.log" 2>&1 &
	muxd_pid=$!
	started+=("$muxd_pid")
	must_await 10 answers
	wait_ready 2
}

through() {
	local n fetches i
	for n in 1 2; do
		step "device $n: $size bytes, four at once"
		fetches=()
		for i in 1 2 3 4; do
			fetch "$(local_port $n 0)" big >"$DIR/sum.$i" &
			fetches+=($!)
		done
		wait "${fetches[@]}"
		for i in 1 2 3 4; do
			equals "$sum" "$(<"$DIR/sum.$i")" "the sum of fetch $i"
		done
		step "device $n: answers, datagrams, sockets that come and go"
		for i in tcp udp early_close "overflow $n 120" \
		    "cycles $n $(scaled 100)"; do
			case $i in
			*' '*) ;;
			*)	i="$i $n" ;;
			esac
			# shellcheck disable=SC2086 # words
			must python3 "$check" "$PHONE_CONTROL" $i
		done
		must_await 10 no_sockets $n
	done
	step "the cable is pulled amid a transfer, and the device comes back"
	for n in 1 2; do
		curl -sS "http://127.0.0.1:$(local_port $n 0)/big" \
		    --limit-rate 4M >"$DIR/part" 2>"$DIR/curl.log" &
		curl_pid=$!
		started+=("$curl_pid")
		must_await 20 test -s "$DIR/part"
		phone unplug $n >"$DIR/answer"
		must_await 20 gone "$curl_pid"
		wait_ready 1
		phone plug $n >"$DIR/answer"
		wait_ready 2
		equals "$sum" "$(fetch "$(local_port $n 0)" big)" "the sum"
		rm "$DIR/part"
	done
}

step "devices of a USB/IP server, in libusb's list"
gadgets "scm:$forward" "scm:dialect=12,$forward"
muxd_under
through
stop_daemon
stop_phones
equals 0 "$(violations)" violations

step "devices that are simulated in muxd's own process"
rm -f "$REPORT"
simulate "scm,$forward" "scm,dialect=12,$forward"
virtual_control=$PHONE_CONTROL
muxd_under
through
finish
