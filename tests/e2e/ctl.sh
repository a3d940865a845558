#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# muxctl tells what is true: phones, connections, counters, events, and faults.
. "${0%/*}/lib.sh"
. "${0%/*}/raw.sh"

ctl() {
	muxctl -c "$CONTROL" "$@"
}
# exits STATUS COMMAND...: what a command that ends so has said.
exits() {
	local wanted=$1 status=0 output
	shift
	output=$("$@" 2>&1) || status=$?
	equals "$wanted" "$status" "exit status of '$*'"
	printf '%s\n' "$output"
}

step "without a daemon muxctl says which socket, and what to do"
contains "$(exits 1 ctl list)" "$CONTROL: No such file or directory; is muxd running?"
contains "$(exits 2 ctl l)" "'l' is the beginning of several commands: list, log"

phones 3
daemon
udid=$(udid_of_phone 2)
id=$(id_of_phone 2)

step "list has a heading and a line for each phone, in order"
equals "$(phone_udids | sort)" "$(ctl list | awk 'NR > 1 { print $2 }' | sort)" UDIDs
equals "1 2 3" "$(ctl list | awk 'NR > 1 { print $1 }' | paste -sd ' ')" ids
contains "$(ctl list | grep "$udid")" "  12a8     1-2       0x01200000   480M            0"

step "an event watcher is told of those"
ctl watch >"$DIR/watch.txt" 2>"$DIR/watch.err" &
watch_pid=$!
started+=("$watch_pid")
lines_with() { # TEXT COUNT
	[ "$(grep -c -e "$1" "$DIR/watch.txt")" = "$2" ]
}
must_await 5 lines_with '  attached  ' 3

step "three idle connections are seen as such"
load_beside idle -d "$id" idle 3
must_await 5 has_connections 3
equals "[$beside,$id,7]" "$(ctl -j conn | jq -c '[.[] | [.pid, .deviceID, .port]] | unique[]')"
nothing_is_on_its_way() {
	[ "$(ctl -j conn | jq 'map(.inFlight + .queued + .held) | add')" = 0 ]
}
must_await 5 nothing_is_on_its_way
equals 3 "$(ctl conn | grep -c "  muxload  .*  $udid  ")" "lines of connections"
equals 3 "$(ctl list | awk -v u="$udid" '$2 == u { print $NF }')" "connections of the phone"
kill "$beside"
must_await 5 has_connections 0

step "bytes are counted, and shown in units people read"
before=$(ctl -j stats | jq ".devices[] | select(.id == $id).rxBytes")
load -d "$id" echo 10M
after=$(ctl -j stats | jq ".devices[] | select(.id == $id).rxBytes")
[ $((after - before)) -ge $((10 << 20)) ] || fail "only $before to $after"
contains "$(ctl stats | grep "$udid")" "  ready  10M  "

step "a client that calls itself a terminal's orders does not give them"
raw_open evil
raw_send evil "$(plist 9 Connect "$(key_integer DeviceID "$id")$(
	key_integer PortNumber "$(swapped 7)")$(
	key_string ProgName $'a\xc2\x9b2J\xe2\x80\xaeb')")"
raw_wants_result evil 9 0
contains "$(ctl conn)" "  a?2J?b  "
contains "$(ctl -j conn)" '"a\u009b2J'
equals $'a\xc2\x9b2J\xe2\x80\xaeb' "$(ctl -j conn | jq -r '.[].program')" "the same by jq"
raw_kill evil

step "the log level is shown and changed"
equals info "$(ctl log)"
equals '' "$(ctl log debug)"
equals debug "$(ctl --json log | jq -r .level)"
must_await 5 grep -q 'log level is debug now' "$DIR/muxd.log"
contains "$(exits 2 ctl log loud)" "there is no log level 'loud'; there are fatal, error, "

step "comings, goings and pairings are told as they come"
phone unplug 2 >/dev/null
must_await 5 lines_with "  detached  $id  $udid: " 1
phone plug 2 >/dev/null
wait_phones 3
id=$(id_of_phone 2)
must_await 5 lines_with "  attached  $id  $udid  product 12a8 at 1-2, 480M" 1
raw_open pair
raw_send pair "$(plist 3 SavePairRecord "$(key_string PairRecordID "$udid")$(
	key_integer DeviceID "$id")<key>PairRecordData</key><data>$(
	base64 -w0 <<<"$pair_record")</data>")"
raw_wants_result pair 3 0
must_await 5 lines_with "  paired  $id  $udid\$" 1
raw_kill pair

step "a rescan is obeyed, and changes nothing here"
equals '' "$(ctl rescan)"
equals 3 "$(phone_count)"

step "the socket can be had through TCP"
port=$(free_port)
socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" \
    "UNIX-CONNECT:$CONTROL" 2>>"$DIR/socat.log" &
started+=("$!")
must_await 5 muxctl -c "127.0.0.1:$port" log
equals "$(ctl list)" "$(MUXD_CONTROL=127.0.0.1:$port muxctl list)" "the list"

step "the clients' socket is not taken for it"
contains "$(exits 1 muxctl -c "$SOCKET" list)" "does not know 'Status'"

step "a watcher whose reader has gone ends without waiting for an event"
mkfifo "$DIR/events"
ctl watch >"$DIR/events" 2>>"$DIR/watch.log" &
pid=$!
started+=("$pid")
head -n 3 "$DIR/events" >/dev/null
must_await 5 gone "$pid"

step "started without standard output it does not take the socket for it"
# shellcheck disable=SC2016 # $1 is that shell's
contains "$(exits 1 bash -c 'exec muxctl -c "$1" watch >&-' sh "$CONTROL")" \
    "muxctl: cannot write the output"

step "a watcher says that the daemon has ended, and fails"
stop_daemon
must_await 5 gone "$watch_pid"
status=0
wait "$watch_pid" || status=$?
equals 1 "$status" "exit status of muxctl watch"
contains "$(cat "$DIR/watch.err")" "$CONTROL: the daemon has closed it; "
finish
