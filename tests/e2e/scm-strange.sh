#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Devices whose sockets muxd opens: every message and its answer, devices that
# do what they must not, and sockets that come and go.
#
# MUXD_TEST_SCM_CYCLES: how often a socket is opened, connected and closed.
# MUXD_TEST_SCM_BYTES: how much goes through a device beside 31 busy sockets.
. "${0%/*}/scm-lib.sh"
check=$top_srcdir/tests/tools/scm_check.py
cycles=${MUXD_TEST_SCM_CYCLES:-$(scaled 1200)}

make_bytes 200000 >"$DIR/www/small"
sum=$(sha256sum <"$DIR/www/small")
serve 127.0.0.1 127.0.0.1
rules 'allow-special * * 127.0.0.0/8 *' 'allow-special * * ::1 *' \
    'limit * sockets 20' 'limit * connects-per-second 0' \
    'limit * buffered 1M'
forward=forward=0=127.0.0.1:$port
discards
forward+=,forward=0=127.0.0.1:$port
scm_devices "$forward" "dialect=12,$forward"
scm_daemon
wait_ready 2

judge() { # CASE DEVICE [ARGUMENT]
	must timeout $((100 * MUXD_TEST_PATIENCE)) \
	    python3 "$check" "$PHONE_CONTROL" "$@"
}

for n in 1 2; do
	step "device $n: each state's answers, bytes and datagrams of all lengths"
	judge tcp $n
	judge udp $n
	judge udp $n inet6
	judge early_close $n
	judge refused $n
	step "a peer that does not read ends its socket, when enough waits"
	judge overflow $n 120
	step "one socket too many"
	judge limit $n 20
done
step "options, requests, and numbers that are not open"
judge options 1
judge unknown_socket 1

cost() {
	echo "$(rss_kib "$muxd_pid") $(fds_of "$muxd_pid") $(threads_of "$muxd_pid")"
}

step "$cycles times open, connect, write, read, close: nothing is left behind"
judge cycles 1 $((cycles / 4))
judge cycles 2 $((cycles / 4))
before=$(cost)
judge cycles 1 $((cycles / 4))
judge cycles 2 $((cycles / 4))
after=$(cost)
note "KiB, descriptors, threads: $before, then $after"
# A sanitizer keeps what is freed.
[ "$MUXD_SANITIZE" != no ] ||
    at_most $((${before%% *} * 21 / 20 + 512)) "${after%% *}" "KiB of memory"
equals "${before#* }" "${after#* }" "descriptors and threads"

noted() { # the device's violations
	muxctl -c "$CONTROL" --json scm stats |
	    jq '[.. | .violations? | numbers] | add'
}

for kind in double-ack stray-ack stray-reply duplicate-open early-write \
    late-write empty-write split pack/7; do
	step "$kind: what is wanted arrives whole"
	for n in 1 2; do
		# By another pipe it may be behind the CONNECT, and is no fault.
		[ $kind$n != early-write2 ] || continue
		phone scm $n misbehave $kind >"$DIR/answer"
		equals "$sum" "$(fetch "$(local_port $n 0)" small)" "the sum"
		phone scm $n misbehave none >"$DIR/answer"
		must_await 10 no_sockets $n
	done
done
[ "$(noted)" -gt 0 ] || fail "no violation was counted"

for kind in unknown-opcode huge-length; do
	step "$kind: the device is reset, the log says why, and it is as new"
	for n in 1 2; do
		resets=$(counter $n resets)
		phone scm $n misbehave $kind >"$DIR/answer"
		is_reset "$(must_fail curl -sS -o "$DIR/none" \
		    "http://127.0.0.1:$(local_port $n 0)/small")"
		phone scm $n misbehave none >"$DIR/answer"
		wait_ready 2
		[ "$(counter $n resets)" -gt "$resets" ] ||
		    fail "it was not reset"
		equals "$sum" "$(fetch "$(local_port $n 0)" small)" "the sum"
	done
done
equals 4 "$(grep -c '; resetting it' "$DIR/muxd.log")" "reasons in the log"

leaves() { # COUNT: how often devices have left, by the log
	[ "$(grep -c ': detached' "$DIR/muxd.log")" -ge "$1" ]
}

gone_before=$(grep -c ': detached' "$DIR/muxd.log")
for at in 1 7 10 20 40 90; do
	step "the cable is pulled at byte $at of the next transfer"
	for n in 1 2; do
		gone_before=$((gone_before + 1))
		phone scm $n misbehave unplug/$at >"$DIR/answer"
		# It is back so soon that the client may find it as new.
		curl -sS -o "$DIR/none" 2>>"$DIR/curl.log" \
		    "http://127.0.0.1:$(local_port $n 0)/small"
		must_await 10 leaves "$gone_before"
		phone scm $n misbehave none >"$DIR/answer"
		wait_ready 2
		equals "$sum" "$(fetch "$(local_port $n 0)" small)" "the sum"
	done
done

step "a device that takes nothing for a while loses nothing"
phone scm 1 misbehave deaf >"$DIR/answer"
fetch "$(local_port 1 0)" small >"$DIR/sum" &
fetch_pid=$!
must_await 10 counter_is 1 current 1
equals "$sum" "$(fetch "$(local_port 2 0)" small)" "the sum of the other's"
phone scm 1 misbehave none >"$DIR/answer"
wait "$fetch_pid"
equals "$sum" "$(<"$DIR/sum")" "the sum"

if [ -n "${MUXD_TEST_SCM_BYTES:-}" ]; then
	fetch_s=270
	make_bytes "$MUXD_TEST_SCM_BYTES" >"$DIR/www/huge"
	sum=$(sha256sum <"$DIR/www/huge")
	never_reads
	stuck=$port
	rules 'allow-special * * 127.0.0.0/8 *' 'limit * buffered 16M'
	kill -HUP "$muxd_pid"
	for n in 1 2; do
		step "device $n: $MUXD_TEST_SCM_BYTES bytes beside 31 busy sockets"
		python3 "$check" "$PHONE_CONTROL" hold $n "$stuck" \
		    <&"$never" >"$DIR/hold.log" 2>&1 &
		busy=($!)
		# In dialect 12 a device that has a slow client takes nothing
		# for the others, so there they are busy with sending.
		slow=(-o "$DIR/none" "http://127.0.0.1:$(local_port $n 0)/huge")
		[ $n = 1 ] || slow=(-T "$DIR/www/huge"
		    "http://127.0.0.1:$(local_port $n 1)/")
		for _ in {1..31}; do
			curl -sS --limit-rate 1M "${slow[@]}" &
			busy+=($!)
		done
		started+=("${busy[@]}")
		must_await 10 counter_is $n current 32
		begun=$(now_ms)
		equals "$sum" "$(fetch "$(local_port $n 0)" huge)" "the sum"
		note "in $(($(now_ms) - begun)) ms; KiB, descriptors, threads: $(cost)"
		for busy_pid in "${busy[@]}"; do
			gone "$busy_pid" && fail "one has ended"
		done
		kill "${busy[@]}"
		wait "${busy[@]}" 2>/dev/null
	done
fi
finish
