#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon as a service: sockets that are passed, what a supervisor is told,
# leaving when nobody is there.  activate (tests/tools) is the supervisor.
. "${0%/*}/lib.sh"

pidfile=$DIR/pid
common=(--foreground --no-usb -v --usbip "unix:$PHONES" -C "$RECORDS")

supervisor_pid=
# supervise OPTION... -- MUXD-OPTION...: its news go to $DIR/news.log.
supervise() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	: >"$DIR/news.log"
	activate "${options[@]}" -- muxd "${common[@]}" "$@" \
	    >"$DIR/news.log" 2>>"$DIR/muxd.log" &
	supervisor_pid=$!
	started+=("$supervisor_pid")
}

stop_supervisor() {
	kill -TERM "$supervisor_pid" 2>/dev/null || :
	must_await 10 gone "$supervisor_pid"
	wait "$supervisor_pid"
	sockets=()
}

heard_news() { # LINE [TIMES]
	[ "$(grep -cxF "$1" "$DIR/news.log")" -ge "${2:-1}" ]
}

await_news() { # LINE [TIMES]
	must_await 10 heard_news "$@"
}

service_pid() {
	sed -n 's/^start //p' "$DIR/news.log" | tail -n 1
}

is_listening_at() { # PATH
	[ -S "$1" ]
}

phones 2
phone unplug 1 >/dev/null
phone unplug 2 >/dev/null
port=$(free_port)
sockets=(-l "muxd=$SOCKET" -l "tcp=127.0.0.1:$port" -l "control=$CONTROL")

step "nobody starts it before the first client"
supervise "${sockets[@]}" -- -P "$pidfile" -S "$DIR/unused" --control "$DIR/unused.control"
must_await 10 is_listening_at "$CONTROL"
equals '' "$(service_pid)" "process id"

step "a client that connected before it ran is served, at each of the sockets"
equals "1 served, 0 refused, 0 lost" "$(knock "$SOCKET" 1 0)"
equals "1 served, 0 refused, 0 lost" "$(knock "127.0.0.1:$port" 1 0)"
must muxctl -c "$CONTROL" list >/dev/null

step "sockets that are passed replace those of -S and --control"
for path in "$DIR/unused" "$DIR/unused.control"; do
	[ ! -e "$path" ] || fail "it opened $path"
done

step "the supervisor hears that it is ready, and how many phones there are"
await_news READY=1
await_news "STATUS=0 phones"
phone plug 1 >/dev/null
await_news "STATUS=1 phone"
phone plug 2 >/dev/null
await_news "STATUS=2 phones"
must load info

step "after its end the sockets are there, and start it again"
first=$(service_pid)
kill -TERM "$first"
await_news "end 0"
heard_news STOPPING=1 || fail "no STOPPING=1"
must muxctl -c "$CONTROL" list >/dev/null
await_news READY=1 2
[ "$(service_pid)" != "$first" ] || fail "not a second one"
stop_supervisor
rm -f "$SOCKET" "$CONTROL"

step "a watchdog hears of it again and again"
supervise -1 -w 300000 -- -S "$SOCKET" --control "$CONTROL" -P "$pidfile"
await_news WATCHDOG=1 5
stop_supervisor
heard_news "end 0" || fail "it did not end well"

step "what keeps it from starting is its status"
supervise -1 -- -S "$DIR/none/mux" --control NONE -P NONE
must_await 10 gone "$supervisor_pid"
grep -q "^STATUS=socket $DIR/none/mux: " "$DIR/news.log" || fail "no status"
heard_news READY=1 && fail "it said it was ready"

step "a descriptor that is no listening socket is refused"
said=$(LISTEN_FDS=1 bash -c 'LISTEN_PID=$$ exec muxd "$@" 3</dev/null' - \
    "${common[@]}" -P NONE -S "$SOCKET" --control NONE 2>&1) && fail "it started"
contains "$said" "descriptor 3"
phone unplug 1 >/dev/null
phone unplug 2 >/dev/null

step "nobody there: it says so, and ends"
supervise -1 -- -z --idle-time 0.05 -S "$SOCKET" --control "$CONTROL" -P "$pidfile"
await_news "end 0"
equals "mark" "$(grep -A 2 '^STOPPING=1' "$DIR/news.log" | sed -n 3p)" \
    "what follows STOPPING=1 and STATUS="
[ ! -e "$SOCKET" ] || fail "its socket is left behind"

clients=$((200 / (MUXD_TEST_SCALE > 1 ? 2 : 1)))
step "$clients clients around the moment at which it leaves: none is lost"
supervise -l "muxd=$SOCKET" -l "control=$CONTROL" -- -z --idle-time 0.02 -P NONE
must_await 10 is_listening_at "$SOCKET"
said=$(knock "$SOCKET" "$clients" 60) || fail "$said"
note "$said, by $(grep -c '^start' "$DIR/news.log") daemons"
equals "$clients served, 0 refused, 0 lost" "$said"
[ "$(grep -c '^start' "$DIR/news.log")" -ge $((clients / 10)) ] ||
    fail "it hardly left"
stop_supervisor
rm -f "$SOCKET" "$CONTROL"

step "the same with sockets of its own: who is let in is served"
: >"$DIR/again"
while [ -e "$DIR/again" ]; do
	muxd "${common[@]}" -z --idle-time 0.02 -S "$SOCKET" --control NONE -P "$pidfile"
done >>"$DIR/muxd.log" 2>&1 &
again_pid=$!
started+=("$again_pid")
must_await 10 is_listening_at "$SOCKET"
said=$(knock "$SOCKET" "$clients" 60) || fail "$said"
note "$said"
rm "$DIR/again"
must_await 10 gone "$again_pid"
[ "${said%% *}" -gt 0 ] || fail "none was served"

step "-x: not while a phone is there, nor while one has just come"
phone plug 1 >/dev/null
muxd "${common[@]}" -z --idle-time 3600 -S "$SOCKET" --control "$CONTROL" \
    -P "$pidfile" >>"$DIR/muxd.log" 2>&1 &
muxd_pid=$!
started+=("$muxd_pid")
must_await 10 test -s "$pidfile"
# At once: the first look is not over.
must muxd -x -P "$pidfile"
wait_phones 1
must muxd -x -P "$pidfile"
must_await 10 grep -q 'asked to exit, but phones are attached' "$DIR/muxd.log"
gone "$muxd_pid" && fail "it left a phone"

step "a second one with -n has the first look for phones, and is content"
must timeout 10 muxd "${common[@]}" -n -S "$SOCKET.2" --control NONE -P "$pidfile"
gone "$muxd_pid" && fail "it ended"

step "a process id that another process has is not signalled"
sleep_pid=
{ read -r _ <"$DIR/never"; } &
sleep_pid=$!
started+=("$sleep_pid")
echo "$sleep_pid" >"$DIR/stale.pid"
must muxd -X -P "$DIR/stale.pid"
gone "$sleep_pid" && fail "a stranger was ended"

step "-x ends it when the phone has gone"
phone unplug 1 >/dev/null
wait_phones 0
ended_by_x() {
	muxd -x -P "$pidfile"
	gone "$muxd_pid"
}
must_await 10 ended_by_x
wait "$muxd_pid" || fail "it ended with $?"
muxd_pid=

step "starting while it ends waits for its end, and takes its place"
for _ in {1..10}; do
	muxd "${common[@]}" -S "$SOCKET" --control NONE -P "$pidfile" \
	    >>"$DIR/muxd.log" 2>&1 &
	muxd_pid=$!
	started+=("$muxd_pid")
	must_await 10 test -S "$SOCKET"
	must muxd -X -P "$pidfile"
	muxd "${common[@]}" -n -S "$SOCKET.2" --control NONE -P "$pidfile" \
	    >>"$DIR/muxd.log" 2>&1 &
	next=$!
	started+=("$next")
	must_await 10 gone "$muxd_pid"
	wait "$muxd_pid" || fail "the first ended with $?"
	must_await 10 test -S "$SOCKET.2"
	gone "$next" && fail "the second did not stay"
	kill -TERM "$next"
	wait "$next" || fail "the second ended with $?"
done
muxd_pid=
finish
