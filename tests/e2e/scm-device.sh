#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A device whose sockets its host opens, with another host than the daemon.
. "${0%/*}/scm-lib.sh"
size=$(scaled $((64 << 20)))

make_bytes "$size" >"$DIR/www/big"
make_bytes 100000 >"$DIR/www/small"
sum=$(sha256sum <"$DIR/www/big")
small_sum=$(sha256sum <"$DIR/www/small")

# host_of BUSID DIALECT: a host for that device, ready when this returns.
host_of() {
	python3 "$top_srcdir/tests/tools/scm_host.py" "unix:$PHONES" "$1" "$2" \
	    >"$DIR/host-$1.log" 2>&1 &
	host_pid=$!
	started+=("$host_pid")
	must_await 20 grep -q ready "$DIR/host-$1.log"
}

step "HTTP servers on the loopback, of IPv4 and of IPv6"
serve 127.0.0.1 127.0.0.1
port4=$port
serve ::1 '[::1]'
port6=$port
closed=$(free_port)
forwards="forward=0=127.0.0.1:$port4,forward=0=[::1]:$port6"
forwards+=",forward=0=127.0.0.1:$closed,linger=0"
phones 0 --device "scm:$forwards" --device "scm:dialect=12,$forwards" \
    --device "scm:dialect=12,shipped,interrupt=off,$forwards" \
    --device "scm:misbehave=split,$forwards" \
    --device "scm:misbehave=pack/3,window=256,write=1000,$forwards"

n=0
for dialect in 8 12 12 8 8; do
	n=$((n + 1))
	host_of "1-$n" "$dialect"
	step "device $n, dialect $dialect: $size bytes come through it whole"
	equals "$sum" "$(fetch "$(local_port $n 0)" big)" "the sum"

	step "eight at once"
	eight_fetch "$n" "$sum"

	if [ $n != 3 ]; then
		step "an address of IPv6"
		equals "$small_sum" "$(fetch "$(local_port $n 1)" small)" \
		    "the sum"
	fi

	step "an address where nobody listens is a reset"
	is_reset "$(must_fail curl -sS "http://127.0.0.1:$(local_port $n 2)/")"

	step "every socket has been closed"
	must_await 10 no_sockets $n
	equals 9 "$(phone list |
	    jq ".devices[$n - 1].forwards[0].accepted")" "clients"
done

step "bytes to the peer: a sink gets what is sent, half-closed connections last"
port=$(free_port)
phone unplug 1 >"$DIR/answer"
socat -u "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr" "CREATE:$DIR/sunk" \
    2>>"$DIR/socat.log" &
sink=$!
started+=("$sink")
stop_phones
phones 0 --device "scm:dialect=12,forward=0=127.0.0.1:$port"
host_of 1-1 12
must socat -u "OPEN:$DIR/www/big" "TCP:127.0.0.1:$(local_port 1 0)"
must_await 60 gone "$sink"
equals "$sum" "$(sha256sum <"$DIR/sunk")" "the sum"

step "unplugged in mid-transfer: the client sees a reset, the next host goes on"
stop_phones
phones 0 --device "scm:forward=0=127.0.0.1:$port4"
host_of 1-1 8
curl -sS "http://127.0.0.1:$(local_port 1 0)/big" --limit-rate 100k \
    >"$DIR/part" 2>"$DIR/curl.log" &
curl_pid=$!
started+=("$curl_pid")
must_await 20 test -s "$DIR/part"
phone unplug 1 >"$DIR/answer"
must_await 20 gone "$curl_pid"
if wait "$curl_pid"; then
	fail "curl has not noticed"
fi
must_await 20 gone "$host_pid"
phone plug 1 >"$DIR/answer"
plugged() {
	[ "$(phone list | jq '.devices[0].plugged')" = true ]
}
must_await 10 plugged
host_of 1-1 8
equals "$small_sum" "$(fetch "$(local_port 1 0)" small)" "the sum"

finish
