#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Programs that others wrote for usbmuxd work unchanged.
. "${0%/*}/lib.sh"
need idevice_id ideviceinfo iproxy inetcat

phones 3
daemon
wait_phones 3

step "idevice_id -l lists the three phones"
equals "$(phone_udids | sort)" "$(idevice_id -l | sort)" "list of idevice_id"

step "ideviceinfo -s asks each for its name"
for udid in $(phone_udids); do
	name=$(ideviceinfo -s -u "$udid" -k DeviceName) ||
	    fail "ideviceinfo ended with $?"
	note "$udid is $name"
	contains "$(load -u "$udid" info)" "$name"
	contains "$(ideviceinfo -s -u "$udid")" "ProductVersion: "
done

step "inetcat carries 100 KB to the echo service and back"
udid=$(udid_of_phone 2)
make_bytes 100000 >"$DIR/sent"
# It ends when either side closes; the copy is complete when head has it.
inetcat -u "$udid" 7 <"$DIR/sent" 2>>"$DIR/inetcat.log" |
    head -c 100000 >"$DIR/back"
cmp "$DIR/sent" "$DIR/back" || fail "inetcat brought back something else"

step "iproxy gives the echo service a TCP port"
port=$(free_port)
iproxy -u "$udid" "$port:7" >"$DIR/iproxy.log" 2>&1 &
started+=("$!")
must_await 10 socat -u OPEN:/dev/null "TCP:127.0.0.1:$port"
size=$(scaled $((16 << 20)))
make_bytes "$size" | tee >(sha256sum >"$DIR/sent.sum") |
    socat -t 20 - "TCP:127.0.0.1:$port" | head -c "$size" | sha256sum >"$DIR/back.sum"
must_await 5 test -s "$DIR/sent.sum"
equals "$(cat "$DIR/sent.sum")" "$(cat "$DIR/back.sum")" SHA-256

step "iproxy serves eight connections at once"
pids=()
for i in 1 2 3 4 5 6 7 8; do
	make_bytes 300000 >"$DIR/in.$i"
	socat -t 20 - "TCP:127.0.0.1:$port" <"$DIR/in.$i" |
	    head -c 300000 >"$DIR/out.$i" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid"
done
for i in 1 2 3 4 5 6 7 8; do
	cmp "$DIR/in.$i" "$DIR/out.$i" ||
	    fail "connection $i brought back something else"
done
finish
