#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Devices whose sockets muxd opens: bytes both ways, refusals, misbehaviour.
. "${0%/*}/scm-lib.sh"

size=$(scaled $((16 << 20)))
make_bytes "$size" >"$DIR/www/big"
make_bytes 100000 >"$DIR/www/small"
sum=$(sha256sum <"$DIR/www/big")
small_sum=$(sha256sum <"$DIR/www/small")

step "HTTP servers on the loopback, of IPv4 and of IPv6"
serve 127.0.0.1 127.0.0.1
port4=$port
serve ::1 '[::1]'
port6=$port
closed=$(free_port)
never_reads
sink=$port
rules 'allow-special * * 127.0.0.0/8 *' 'allow-special * * ::1 *' \
    'deny * * * *' 'limit * buffered 2M'

forwards="forward=0=127.0.0.1:$port4,forward=0=[::1]:$port6"
forwards+=",forward=0=127.0.0.1:$closed,forward=0=192.0.2.1:80"
forwards+=",forward=0=127.0.0.1:$sink,linger=0"
scm_devices "$forwards" "dialect=12,$forwards" \
    "dialect=12,shipped,interrupt=off,$forwards" \
    "misbehave=split,$forwards" \
    "misbehave=pack/3,window=256,write=1000,$forwards" \
    "misbehave=never-ack,$forwards"
scm_daemon
wait_ready 6

step "clients of the usbmuxd protocol see none of them"
must_fail load --all info >"$DIR/answer"
contains "$(<"$DIR/answer")" "no such device"

step "a device that never answers gets the beginning, and then no more"
fetch "$(local_port 6 0)" big >"$DIR/never.sum" 2>"$DIR/never.log" &
never_pid=$!
started+=("$never_pid")

for n in 1 2 3 4 5; do
	step "device $n: $size bytes come through it whole"
	equals "$sum" "$(fetch "$(local_port $n 0)" big)" "the sum"

	step "eight at once"
	eight_fetch "$n" "$sum"

	if [ $n != 3 ]; then
		step "an address of IPv6"
		equals "$small_sum" "$(fetch "$(local_port $n 1)" small)" \
		    "the sum"
	fi

	step "a closed port, and an address that no rule allows, are resets"
	is_reset "$(must_fail curl -sS "http://127.0.0.1:$(local_port $n 2)/")"
	is_reset "$(must_fail curl -sS "http://127.0.0.1:$(local_port $n 3)/")"

	step "every socket has been closed"
	must_await 10 no_sockets $n
done

# Each of them has begun.
busy_with() { # DEVICE COUNT
	[ "$(counter "$1" connected)" -ge "$2" ]
}

step "31 busy sockets and a peer that never reads: the 33rd gets all"
for n in 1 2; do
	busy=()
	socat -u OPEN:/dev/zero "TCP:127.0.0.1:$(local_port $n 4)" \
	    2>>"$DIR/socat.log" &
	stuck=$!
	started+=("$stuck")
	rm -f "$DIR/enough"
	for _ in {1..31}; do
		until [ -e "$DIR/enough" ]; do
			fetch "$(local_port $n 0)" big
		done >>"$DIR/busy.$n" &
		busy+=($!)
	done
	must_await 20 busy_with $n 31
	equals "$sum" "$(fetch "$(local_port $n 0)" big)" "the sum"
	: >"$DIR/enough"
	wait "${busy[@]}"
	note "$(wc -l <"$DIR/busy.$n") fetches beside it"
	equals 0 "$(grep -vc "^$sum\$" "$DIR/busy.$n")" "sums that are wrong"
	gone "$stuck" && fail "the one that is stuck has ended"
	kill "$stuck"
	wait "$stuck" 2>/dev/null
done

step "unplugged in mid-transfer: the client sees a reset, and it comes back"
curl -sS "http://127.0.0.1:$(local_port 2 0)/big" --limit-rate 4M \
    >"$DIR/part" 2>"$DIR/curl.log" &
curl_pid=$!
started+=("$curl_pid")
must_await 20 test -s "$DIR/part"
phone unplug 2 >"$DIR/answer"
must_await 20 gone "$curl_pid"
wait "$curl_pid" && fail "curl has not noticed"
wait_ready 5
phone plug 2 >"$DIR/answer"
wait_ready 6
equals "$small_sum" "$(fetch "$(local_port 2 0)" small)" "the sum"

step "the device that never answered has lost its socket"
must_await 60 gone "$never_pid"
contains "$(<"$DIR/muxd.log")" "the device does not answer WRITEs"
finish
