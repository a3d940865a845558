#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Bulk transfers through usbnet's libusb beside what a plain socket carries.
#
# A cell is one size, one number of transfers in flight, one delay and one
# direction.  In it stand, each the median of BENCH_RUNS runs that alternate:
#
#	usb	a program - usbnet's libusb - TCP - muxphone's source or sink
#	urbs	the least that can stand in the program's place: URBs are sent
#		and answers taken, without libusb
#	socket	a program - TCP - a server, the same messages without USB: the
#		same sizes, as many at a time, the fewest system calls
#	stream	the same bytes with no requests at all
#
# The delay (each way) is that of delayproxy, a process between the two; with
# none they talk directly.  bench-usbip.csv has all medians.
. "${0%/*}/../e2e/usb.sh"

PATH=$top_builddir/tests/bench:$PATH
: "${BENCH_RUNS:=3}" "${BENCH_SECONDS:=0.4}"
: "${BENCH_SIZES:=512 4096 16384 65536 262144}"
: "${BENCH_DEPTHS:=1 32}" "${BENCH_DELAYS:=0 1 10}" "${BENCH_WAYS:=in out}"
csv=$PWD/bench-usbip.csv

[ "$MUXD_SANITIZE" = no ] || skip "a build with a sanitizer measures nothing"

usb_port=$(free_port)
plain_port=$(free_port)
gadgets sourcesink:pattern=none -- --listen "127.0.0.1:$usb_port"
busid=$(head -n 1 "$DIR/devices" | cut -d' ' -f1)
beside_ready sockpipe sockpipe -l "127.0.0.1:$plain_port"
declare -A usb_at=([0]=$usb_port) plain_at=([0]=$plain_port)
for delay in $BENCH_DELAYS; do
	[ "$delay" != 0 ] || continue
	usb_at[$delay]=$(free_port)
	delayed "127.0.0.1:${usb_at[$delay]}" "127.0.0.1:$usb_port" "$delay"
	plain_at[$delay]=$(free_port)
	delayed "127.0.0.1:${plain_at[$delay]}" "127.0.0.1:$plain_port" "$delay"
done

median() {
	sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

usb_run() { # DELAY WAY DEPTH SIZE
	servers="127.0.0.1:${usb_at[$1]}"
	usb usbpipe -t "$BENCH_SECONDS" -q "$3" -s "$4" "$2"
}

urb_run() { # DELAY WAY DEPTH SIZE
	sockpipe -c "127.0.0.1:${usb_at[$1]}" -i "$busid" \
	    -t "$BENCH_SECONDS" -q "$3" -s "$4" "$2"
}

plain_run() { # DELAY WAY DEPTH SIZE
	sockpipe -c "127.0.0.1:${plain_at[$1]}" -t "$BENCH_SECONDS" \
	    -q "$3" -s "$4" "$2"
}

cell() { # DELAY WAY DEPTH SIZE
	local stream=source
	[ "$2" = in ] || stream=sink
	rm -f "$DIR/usb" "$DIR/urbs" "$DIR/plain" "$DIR/stream"
	for ((run = 0; run < BENCH_RUNS; run++)); do
		usb_run "$@" >>"$DIR/usb" || fail "usbpipe: $*"
		urb_run "$@" >>"$DIR/urbs" || fail "sockpipe -i: $*"
		plain_run "$@" >>"$DIR/plain" || fail "sockpipe: $*"
		plain_run "$1" $stream "$3" "$4" >>"$DIR/stream" ||
		    fail "sockpipe: $*"
	done
	awk -v cell="$1,$2,$3,$4" -v usb="$(median <"$DIR/usb")" \
	    -v urbs="$(median <"$DIR/urbs")" \
	    -v plain="$(median <"$DIR/plain")" \
	    -v stream="$(median <"$DIR/stream")" 'BEGIN {
		printf "%s,%s,%s,%s,%s,%.1f,%.1f\n", cell, usb, urbs, plain, stream,
		    100 * usb / plain, 100 * usb / stream }'
}

as_row() {
	awk -F, '{ printf "%5s %4s %5s %7s %9.1f %9.1f %9.1f %9.1f %6.0f%% %6.0f%%\n",
	    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 }'
}

echo 'delay_ms,way,depth,size,usb,urbs,socket,stream,percent_of_socket,percent_of_stream' >"$csv"
row='%5s %4s %5s %7s %9s %9s %9s %9s %7s %7s\n'
# shellcheck disable=SC2059 # the heads of the columns stand as the rows do
printf "$row" delay way depth size usb urbs socket stream of of \
    ms '' '' bytes MB/s MB/s MB/s MB/s socket stream
for delay in $BENCH_DELAYS; do
	for way in $BENCH_WAYS; do
		for depth in $BENCH_DEPTHS; do
			for size in $BENCH_SIZES; do
				cell "$delay" "$way" "$depth" "$size" |
				    tee -a "$csv" | as_row
			done
		done
	done
done
finished=yes
