#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Programs are told of devices that come and go, and of servers that do.
. "${0%/*}/usb.sh"

[ -z "$real_libusb" ] || skip "the kernel has devices of its own"

told() { # EVENT COUNT
	[ "$(grep -c "^$1 0525:a4a0" "$DIR/watch.out")" = "$2" ]
}

gadgets sourcesink sourcesink:loop
step "two devices are told of when the program registers"
mkfifo "$DIR/stop"
exec {stop}<>"$DIR/stop"
for_ours
"${under[@]}" usbload -P $((120 * MUXD_TEST_PATIENCE)) hotplug \
    >"$DIR/watch.out" 2>"$DIR/watch.log" <&"$stop" &
watcher=$!
started+=("$watcher")
must_await 10 grep -q '^watching 2' "$DIR/watch.out"
told arrived 2 || fail "$(cat "$DIR/watch.out")"

step "one goes and comes back, ten times"
for ((i = 1; i <= 10; i++)); do
	phone unplug 1 >/dev/null
	must_await 5 told left "$i"
	phone plug 1 >/dev/null
	must_await 5 told arrived $((2 + i))
done

step "the server is killed: both leave"
kill -KILL "$muxphone_pid"
wait "$muxphone_pid" 2>/dev/null
must_await 10 told left 12

step "another server comes in its place: both arrive"
gadgets sourcesink sourcesink:loop
must_await 15 told arrived 14

step "the program ends, and has found nothing wrong"
echo >&"$stop"
must_end "$watcher" 5
equals '' "$(grep '^usbload:' "$DIR/watch.log")" "what usbload found wrong"
note "$(tail -n 1 "$DIR/watch.out")"

step "two servers are two buses"
second=$DIR/second
muxphone --device hid -l "unix:$second" >"$DIR/second.out" 2>"$DIR/second.log" &
second_pid=$!
started+=("$second_pid")
must_await 10 grep -q ready "$DIR/second.out"
servers="unix:$PHONES unix:$second"
for_ours
echo | "${under[@]}" usbload hotplug >"$DIR/both.out" || fail "status $?"
equals 2 "$(grep -c '^arrived 0525:a4a0 bus '"$(nth_bus 1) " "$DIR/both.out")" "devices on the first bus"
equals 1 "$(grep -c '^arrived 0525:a4ac bus '"$(nth_bus 2) " "$DIR/both.out")" "devices on the second bus"
usb_finish
