#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What keeps the daemon from starting is said in one clear sentence.
. "${0%/*}/lib.sh"

# refuses PART... -- OPTION...: muxd must end at once with a status other than
# 0, having said one line on standard error that holds every PART.
refuses() {
	local parts=() said status=0
	while [ "$1" != -- ]; do
		parts+=("$1")
		shift
	done
	shift
	said=$(timeout 10 muxd "$@" 2>&1 >/dev/null) || status=$?
	note "$said"
	[ "$status" != 0 ] || fail "muxd $* did not fail"
	[ "$status" != 124 ] || fail "muxd $* ran on"
	[ "$status" -lt 126 ] || fail "muxd $* ended with $status"
	for part in "${parts[@]}"; do
		contains "$said" "$part"
	done
	equals 1 "$(grep -c . <<<"$said")" "lines of complaint"
}
run=(--foreground --no-usb --usbip "unix:$PHONES" -P NONE -C "$RECORDS" --control "$CONTROL")

step "an option that does not exist"
refuses --frobnicate -- --frobnicate
refuses -q -- -q
step "an option without its argument"
refuses --socket -- --socket
refuses -S -- -S
step "an argument too many"
refuses surplus -- "${run[@]}" -S "$SOCKET" surplus
step "addresses that are none"
refuses nowhere -- "${run[@]}" -S nowhere
refuses 99999 -- "${run[@]}" -S 127.0.0.1:99999
refuses "$DIR/none/mux" -- "${run[@]}" -S "$DIR/none/mux"
refuses 107 -- "${run[@]}" -S "/$(printf 'x%.0s' {1..200})"
refuses 99999 -- "${run[@]}" -S "$SOCKET" --usbip localhost:99999
step "no source of phones"
refuses --usbip -- --foreground --no-usb -P NONE -S "$SOCKET"
step "a user who does not exist"
refuses nobody-of-that-name -- "${run[@]}" -S "$SOCKET" -U nobody-of-that-name
step "a configuration directory that is a file, or cannot be made"
touch "$DIR/file"
refuses "$DIR/file" -- --foreground --no-usb --usbip "unix:$PHONES" -P NONE -S "$SOCKET" --control "$CONTROL" -C "$DIR/file"
refuses "$DIR/file/deeper" -- --foreground --no-usb --usbip "unix:$PHONES" -P NONE -S "$SOCKET" --control "$CONTROL" -C "$DIR/file/deeper"
step "files that cannot be written"
refuses "$DIR/none/log" -- "${run[@]}" -S "$SOCKET" -l "$DIR/none/log"
refuses "$DIR/none/pid" -- --foreground --no-usb --usbip "unix:$PHONES" -C "$RECORDS" -S "$SOCKET" --control "$CONTROL" -P "$DIR/none/pid"
refuses "$DIR/none/control" -- --foreground --no-usb --usbip "unix:$PHONES" -P NONE -C "$RECORDS" -S "$SOCKET" --control "$DIR/none/control"
step "a path that is something else than a socket is left alone"
refuses "$DIR/file" -- "${run[@]}" -S "$DIR/file"
[ -f "$DIR/file" ] || fail "$DIR/file was removed"

step "a socket at which another daemon answers"
phones 1
daemon
refuses "$SOCKET" -- "${run[@]/$CONTROL/$CONTROL.2}" -S "$SOCKET"
step "a control socket at which another daemon answers"
refuses "$CONTROL" -- "${run[@]}" -S "$SOCKET.2"
step "a pid file that another daemon holds"
pidfile=$DIR/pid
muxd --foreground --no-usb --usbip "unix:$PHONES" -P "$pidfile" -C "$RECORDS" -S "$SOCKET.3" \
    --control "$CONTROL.3" >>"$DIR/second.log" 2>&1 &
second=$!
started+=("$second")
must_await 10 test -s "$pidfile"
must_await 10 test -S "$SOCKET.3"
equals "$second" "$(cat "$pidfile")" "pid file"
refuses "$second" -- --foreground --no-usb --usbip "unix:$PHONES" -P "$pidfile" -C "$RECORDS" -S "$SOCKET.4" --control "$CONTROL.4"
step "-X ends the daemon that the pid file names"
must muxd -X -P "$pidfile"
must_await 5 gone "$second"
wait "$second" || fail "it ended with $?"
step "and is content when there is none"
must muxd -X -P "$pidfile"

step "a stale socket of a daemon that was killed is taken over"
kill -KILL "$muxd_pid"
wait "$muxd_pid" 2>/dev/null
[ -S "$SOCKET" ] || fail "no stale socket to take over"
daemon
must load info

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	step "without permission: a directory that this user may not write"
	chmod 755 "$DIR"
	mkdir -m 700 "$DIR/private"
	# The build tree may be where that user cannot go.
	cp "$(command -v muxd)" "$DIR/muxd"
	said=$(setpriv --reuid 65534 --regid 65534 --clear-groups \
	    "$DIR/muxd" "${run[@]/$CONTROL/$DIR/private/control}" \
	    -S "$DIR/private/mux" 2>&1) && fail "it started"
	note "$said"
	contains "$said" "$DIR/private"
	contains "$said" "ermission denied"
fi

step "help and version go to standard output, with status 0"
contains "$(muxd --help)" --usbip
contains "$(muxd -V)" "muxd 0"
for option in -f -v -U -n -z -p -u -s -C -S -P -x -X -l -V -h; do
	contains "$(muxd --help)" " $option"
done
finish
