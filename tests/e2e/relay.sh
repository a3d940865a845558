#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# muxrelay: ports, standard input and output, phones that come and go.
. "${0%/*}/lib.sh"
need socat prlimit

# A daemon of the tests' own, told by lines on descriptor 3.
fake_daemon() { # DEVICES
	[ -p "$DIR/orders" ] || mkfifo "$DIR/orders"
	fakemuxd "$SOCKET" "$1" <"$DIR/orders" >"$DIR/fake.log" &
	fake=$!
	started+=("$fake")
	exec 3>"$DIR/orders"
	must_await 10 grep -q ready "$DIR/fake.log"
}

stop_fake_daemon() {
	exec 3>&-
	wait "$fake"
}

# muxrelay in the background; its ports, once they listen, in port[REMOTE].
declare -A port
relay() { # COUNT ARGUMENT...
	local count=$1 line
	shift
	: >"$DIR/relay.out"
	"${relay_limits[@]}" muxrelay "$@" >"$DIR/relay.out" \
	    2>>"$DIR/relay.log" 3>&- &
	relay=$!
	started+=("$relay")
	lines_are_there() {
		[ "$(wc -l <"$DIR/relay.out")" = "$count" ]
	}
	must_await 10 lines_are_there
	while IFS= read -r line; do
		line=${line##*:}
		port[${line#* -> }]=${line% -> *}
	done <"$DIR/relay.out"
}

stop_relay() {
	kill "$relay"
	wait "$relay" 2>/dev/null
}

to() { # REMOTE
	socat -t 20 - "TCP:127.0.0.1:${port[$1]}"
}

relay_limits=(env)
size=$(scaled $((64 << 20)))

step "each relay says where it listens"
fake_daemon 2
relay 3 0:7 0:19 0:5
contains "$(cat "$DIR/relay.out")" "127.0.0.1:${port[7]} -> 7"
idle_fds=$(($(fds_of "$relay") + 1)) # with the watch that it will open

step "$size bytes come back from the echo, after the sender has ended"
make_bytes "$size" >"$DIR/bytes"
to 7 <"$DIR/bytes" >"$DIR/back"
cmp "$DIR/back" "$DIR/bytes" || fail "not the same bytes"

step "a client that leaves in the middle of a stream leaves nothing behind"
socat -u "TCP:127.0.0.1:${port[19]}" - 3>&- 2>/dev/null |
    head -c 100000 >/dev/null
nobody_left() {
	[ "$(fds_of "$relay")" -le "$idle_fds" ]
}
must_await 10 nobody_left

step "a port that nothing serves closes the client, and the log says why"
equals "" "$(to 5 </dev/null)"
contains "$(cat "$DIR/relay.log")" "-> 5: connection closed: the device refused"

step "the phone goes: clients are closed, and told apart in the log"
echo 'detach 1' >&3
echo 'detach 2' >&3
all_gone() {
	[ -z "$(to 7 <<<hello)" ]
}
must_await 10 all_gone
contains "$(cat "$DIR/relay.log")" "no such device is attached"

step "it comes again, under another number: the next client is served"
echo 'attach 4' >&3
comes_back() {
	[ "$(to 7 <<<hello)" = hello ]
}
must_await 10 comes_back

step "the daemon is restarted: clients fail, and then are served again"
stop_fake_daemon
equals "" "$(to 7 <<<hello)"
contains "$(cat "$DIR/relay.log")" "no usbmux daemon listens"
fake_daemon 1
must_await 10 comes_back

step "two hundred clients at once, each with its own bytes"
pids=()
for i in {1..200}; do
	head -c 20000 /dev/zero | tr '\0' "\\$(printf %o $((33 + i % 90)))" \
	    >"$DIR/in.$i"
	to 7 <"$DIR/in.$i" >"$DIR/out.$i" &
	pids+=($!)
done
for i in {1..200}; do
	wait "${pids[$i - 1]}" || fail "client $i failed"
	cmp "$DIR/in.$i" "$DIR/out.$i" || fail "client $i got other bytes"
done
must_await 10 nobody_left
stop_relay

step "with few descriptors, clients wait for each other instead of failing"
relay_limits=(prlimit --nofile=40:40)
relay 1 0:7
pids=()
for i in {1..60}; do
	to 7 <"$DIR/in.$i" >"$DIR/out.$i" &
	pids+=($!)
done
for i in {1..60}; do
	wait "${pids[$i - 1]}" || fail "client $i failed"
	cmp "$DIR/in.$i" "$DIR/out.$i" || fail "client $i got other bytes"
done

step "while they wait, no processor time is burnt"
holders=()
for i in {1..30}; do
	socat -u "TCP:127.0.0.1:${port[7]}" - <&"$never" >/dev/null 3>&- &
	holders+=($!)
done
descriptors_are_out() {
	grep -q 'further ones wait' "$DIR/relay.log"
}
must_await 10 descriptors_are_out
before=$(cpu_ms "$relay")
await 1 gone "$relay"
at_most $((200 * MUXD_TEST_PATIENCE)) $(($(cpu_ms "$relay") - before)) \
    "milliseconds of processor time"
kill "${holders[@]}"
wait "${holders[@]}" 2>/dev/null
equals hello "$(to 7 <<<hello)"
stop_relay

step "standard input and output: all bytes, and the end of the phone's side"
relay_limits=(env)
muxrelay --stdio 7 <"$DIR/bytes" >"$DIR/back" 3>&- ||
    fail "muxrelay ended with $?"
cmp "$DIR/back" "$DIR/bytes" || fail "not the same bytes"
contains "$(muxrelay --stdio 1 </dev/null)" "at your service"
muxrelay --stdio 19 </dev/null 2>/dev/null 3>&- | head -c 74 >"$DIR/line"
equals 74 "$(wc -c <"$DIR/line")"

step "a reader that has read enough ends it at once"
before=$(now_ms)
muxrelay --stdio 62078 </dev/null 2>>"$DIR/relay.log" 3>&- | :
head -c 1000 "$DIR/bytes" | muxrelay --stdio 9 2>>"$DIR/relay.log" 3>&- | :
at_most $((5000 * MUXD_TEST_PATIENCE)) $(($(now_ms) - before)) milliseconds

step "a silent phone is left when the input has ended"
equals "hello" "$(muxrelay -q 1 -u FAKE0001 --stdio 7 <<<hello)"

step "what cannot be is said in one sentence"
contains "$(must_fail muxrelay --stdio 5)" "nothing serves that port"
contains "$(must_fail muxrelay -u none --stdio 7)" "no such device"
contains "$(must_fail muxrelay -n --stdio 7)" "no such device"
contains "$(must_fail muxrelay -d 9 --stdio 7)" "no such device"
contains "$(must_fail muxrelay -s /nonexistent --stdio 7)" "socket with -s"
contains "$(must_fail muxrelay -s nonsense --stdio 7)" "expected unix:/path"
contains "$(must_fail muxrelay -b 192.0.2.1 0:7)" "cannot listen on 192.0.2.1"
contains "$(must_fail muxrelay 7:0)" "expected LOCAL:REMOTE"
contains "$(must_fail muxrelay)" "which port?"
stop_fake_daemon
finish
