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

# echoed NAME BYTES COMMAND...: sends so many bytes through a command that is
# connected to the echo service, and compares what comes back.  Its standard
# input stays open until then, since such programs end with it, and until
# nothing holds it open: see below.  Never more than a piece is on its way:
# Debian's iproxy (2.0.2) is one thread for both directions, and when the way
# there and the way back are full it drops what it has in hand, 32 KiB at a time.
echoed() {
	local sent=$DIR/$1.sent back=$DIR/$1.back bytes=$2 piece=131072 at
	shift 2
	: >"$back"
	make_bytes "$bytes" >"$sent"
	# shellcheck disable=SC2094 # what grows is what is waited for
	{
		for ((at = 0; at < bytes; at += piece)); do
			dd if="$sent" bs=$piece skip=$((at / piece)) count=1 \
			    status=none
			await 30 has_bytes "$back" \
			    $((at + piece < bytes ? at + piece : bytes)) || break
		done
		await 30 test ! -e "$DIR/hold"
	} | "$@" >"$back" 2>>"$DIR/clients.log"
	cmp "$sent" "$back"
}

has_bytes() { # FILE COUNT
	[ -e "$1" ] && [ "$(wc -c <"$1")" -ge "$2" ]
}

step "inetcat carries 100 KB to the echo service and back"
udid=$(udid_of_phone 2)
must echoed inetcat 100000 inetcat -u "$udid" 7

step "iproxy gives the echo service a TCP port"
port=$(free_port)
iproxy -u "$udid" "$port:7" >"$DIR/iproxy.log" 2>&1 &
started+=("$!")
must_await 10 socat -u OPEN:/dev/null "TCP:127.0.0.1:$port"
must_await 10 has_connections 0
must echoed iproxy "$(scaled $((8 << 20)))" socat - "TCP:127.0.0.1:$port"

step "iproxy serves eight connections side by side"
# None ends before all have begun: Debian's iproxy (2.0.2) never reads from a
# client whose descriptor is above that of its connection to the daemon, and so
# it is when another one has just been closed.
touch "$DIR/hold"
pids=()
for i in 1 2 3 4 5 6 7 8; do
	must_await 10 has_connections $((i - 1))
	echoed "iproxy.$i" "$(scaled $((2 << 20)))" socat - "TCP:127.0.0.1:$port" &
	pids+=($!)
	must_await 10 has_bytes "$DIR/iproxy.$i.back" 1
done
rm "$DIR/hold"
for pid in "${pids[@]}"; do
	wait "$pid" || fail "one of the eight brought back something else"
done
finish
