# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What every end-to-end test stands on: real processes on private sockets in a
# directory of their own, sentences for what happens, deadlines instead of
# sleeps, and a look at everybody's conscience at the end.
#
# A test sources this file, calls phones and daemon, and states steps:
#
#	. "${0%/*}/lib.sh"
#	phones 3
#	daemon
#	step "three phones are listed"
#	equals 3 "$(phone_count)"
#	finish
#
# Whatever fails ends the test with the logs on standard output; one that does
# not reach its `finish` has failed too.

set -u

: "${top_srcdir:=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)}"
: "${top_builddir:=$top_srcdir/_build}"
: "${MUXD_SANITIZE:=no}"
# shellcheck source=tests/environment
. "$top_srcdir/tests/environment"

PATH=$top_builddir:$top_builddir/tests/tools:$top_builddir/tests/e2e:$PATH

DIR=$(mktemp -d "${TMPDIR:-/tmp}/muxd-e2e.XXXXXX") || exit 99
SOCKET=$DIR/mux              # where muxd's clients connect
CONTROL=$DIR/control         # where muxctl does
PHONES=$DIR/phones           # where muxphone exports its phones
PHONE_CONTROL=$DIR/phonectl  # where it takes commands
RECORDS=$DIR/records         # pair records
SCM_CONF=$DIR/scm.conf       # where devices may connect to
REPORT=$DIR/report.json      # muxphone's account of what it saw
mkdir "$RECORDS"
export USBMUXD_SOCKET_ADDRESS=UNIX:$SOCKET

ASAN_OPTIONS=$ASAN_OPTIONS:log_path=$DIR/sanitizer
UBSAN_OPTIONS=$UBSAN_OPTIONS:log_path=$DIR/sanitizer
TSAN_OPTIONS=$TSAN_OPTIONS:log_path=$DIR/sanitizer

# What muxd is started through, when a test limits it.
muxd_limits=(env)
# Further options of muxphone.
muxphone_more=()
muxd_pid= muxphone_pid= beside= step_text= started=()

# ---- Sentences -------------------------------------------------------------

exec {talk}>&1

step() {
	step_text=$*
	printf '%4d s  %s\n' "$SECONDS" "$*" >&"$talk"
}

note() {
	printf '        %s\n' "$*" >&"$talk"
}

# Ends the test, also from within a $(substitution).
fail() {
	printf 'FAILED at step: %s\n       because: %s\n' \
	    "$step_text" "$*" >&"$talk"
	[ "$BASHPID" = $$ ] || kill -USR1 $$
	exit 1
}
trap 'exit 1' USR1

skip() {
	printf 'skipped: %s\n' "$*"
	exit 77
}

# need PROGRAM...: the test is skipped where one is not installed.
need() {
	local program
	for program; do
		command -v "$program" >/dev/null ||
		    skip "$program is not installed"
	done
}

equals() { # WANTED GOT [OF-WHAT]
	[ "$1" = "$2" ] || fail "${3:-value}: wanted '$1', got '$2'"
}

contains() { # TEXT PART
	case $1 in
	*"$2"*) ;;
	*) fail "'$2' is missing in: $1" ;;
	esac
}

at_most() { # LIMIT GOT OF-WHAT
	[ "$2" -le "$1" ] || fail "$3: at most $1 wanted, got $2"
}

# Runs a command that must succeed; its output is shown when it does not.
must() {
	local output
	output=$("$@" 2>&1) || fail "'$*' ended with $?: $output"
	[ -z "$output" ] || printf '%s\n' "$output"
}

# Runs a command that must fail, and prints what it said.
must_fail() {
	local output
	output=$("$@" 2>&1) && fail "'$*' succeeded"
	printf '%s\n' "$output"
}

# ---- Time ------------------------------------------------------------------

# A pipe that nobody writes to: what a poll waits on between two looks.
mkfifo "$DIR/never"
exec {never}<>"$DIR/never"

# Where processes are dear, looking must not take the time from what is waited
# for.
look_again() {
	read -rt "${MUXD_TEST_LOOK:-0.02}" -u "$never" _ || :
}

now_ms() {
	local t=$EPOCHREALTIME
	echo $((${t%[.,]*} * 1000 + 10#${t#*[.,]} / 1000))
}

# await SECONDS COMMAND...: looks until the command succeeds.
await() {
	local end=$(($(now_ms) + $1 * 1000 * MUXD_TEST_PATIENCE))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		look_again
	done
}

must_await() { # SECONDS COMMAND...
	await "$@" || fail "${*:2}: not within $1 s (patience $MUXD_TEST_PATIENCE)"
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

# Amounts shrink under a sanitizer: scaled BYTES.
scaled() {
	echo $(($1 / MUXD_TEST_SCALE))
}

# ---- Processes -------------------------------------------------------------

# phones [COUNT [OPTION...]]: virtual phones, ready when this returns; what
# muxphone says of them (BUSID UDID) is in $DIR/devices.  0: other devices, which
# the options name.
phones() {
	local how_many=(--phones "${1:-1}") line
	[ "${1:-1}" != 0 ] || how_many=()
	shift $(($# > 0))
	rm -f "$DIR/ready" "$DIR/devices"
	mkfifo "$DIR/ready"
	muxphone --listen "unix:$PHONES" --control "$PHONE_CONTROL" \
	    "${how_many[@]}" --report "$REPORT" "${muxphone_more[@]}" "$@" \
	    >"$DIR/ready" 2>>"$DIR/muxphone.log" &
	muxphone_pid=$!
	started+=("$muxphone_pid")
	exec {phone_out}<"$DIR/ready"
	while IFS= read -rt $((10 * MUXD_TEST_PATIENCE)) -u "$phone_out" line; do
		[ "$line" != ready ] || return 0
		printf '%s\n' "$line" >>"$DIR/devices"
	done
	fail "muxphone did not become ready"
}

# phone COMMAND: one line to muxphone's control socket; prints its answer.
phone() {
	local answer
	answer=$(printf '%s\n' "$*" |
	    socat -t 10 - "UNIX-CONNECT:$PHONE_CONTROL") ||
	    fail "muxphone took no command '$*'"
	case $answer in
	'' | *'"error":'*) fail "muxphone answers '$*' with: $answer" ;;
	esac
	printf '%s\n' "$answer"
}

# muxd_alone [OPTION...]: the daemon without waiting for it.
muxd_alone() {
	"${muxd_limits[@]}" muxd --foreground --no-usb -v --usbip "unix:$PHONES" -S "$SOCKET" \
	    -P NONE -C "$RECORDS" --control "$CONTROL" \
	    --scm-conf "$SCM_CONF" "$@" \
	    >>"$DIR/muxd.log" 2>&1 &
	muxd_pid=$!
	started+=("$muxd_pid")
}

# daemon [OPTION...]: the daemon, with all of muxphone's phones in its list.
daemon() {
	muxd_alone "$@"
	must_await 10 answers
	[ -z "$muxphone_pid" ] || must_await 20 all_phones_listed
}

answers() {
	gone "$muxd_pid" && fail "muxd ended at start"
	muxctl -c "$CONTROL" list
}

# How often a JSON text has that member: for what is looked at again and again,
# which jq is slow for.
members() { # MEMBER JSON
	local without=${2//"$1"/}
	echo $(((${#2} - ${#without}) / ${#1}))
}

phone_count() {
	local list
	list=$(muxctl -c "$CONTROL" --json list) || return
	members '"udid":' "$list"
}

plugged_count() {
	local list
	list=$(phone list)
	members '"plugged":true' "${list%%'"devices":'*}"
}

all_phones_listed() {
	[ "$(phone_count)" = "$(plugged_count)" ]
}

phones_are() {
	[ "$(phone_count)" = "$1" ]
}

wait_phones() { # COUNT [SECONDS]
	must_await "${2:-10}" phones_are "$1"
}

# Sends SIGTERM and wants status 0 within a second.
stop_daemon() {
	local status=0 start
	[ -n "$muxd_pid" ] || return 0
	start=$(now_ms)
	kill -TERM "$muxd_pid" 2>/dev/null || :
	await 10 gone "$muxd_pid" || {
		kill -KILL "$muxd_pid"
		fail "muxd ran on for 10 s after SIGTERM"
	}
	wait "$muxd_pid" || status=$?
	muxd_pid=
	equals 0 "$status" "exit status of muxd"
	at_most $((1000 * MUXD_TEST_PATIENCE)) $(($(now_ms) - start)) \
	    "milliseconds from SIGTERM to the end of muxd"
}

stop_phones() {
	local status=0
	[ -n "$muxphone_pid" ] || return 0
	kill -TERM "$muxphone_pid" 2>/dev/null || :
	await 10 gone "$muxphone_pid" || fail "muxphone ran on after SIGTERM"
	wait "$muxphone_pid" || status=$?
	muxphone_pid=
	[ "$violations_expected" = yes ] || equals 0 "$status" \
	    "exit status of muxphone $(grep -m 3 violation "$DIR/muxphone.log")"
}

# The id and the UDID of muxphone's N-th phone, as the daemon lists it.
udid_of_phone() { # N
	phone list | jq -r --argjson n "$1" '.phones[] | select(.n == $n).udid'
}

id_of_phone() { # N
	muxctl -c "$CONTROL" --json list |
	    jq --arg udid "$(udid_of_phone "$1")" '.[] | select(.udid == $udid).id'
}

phone_udids() {
	phone list | jq -r '.phones[].udid'
}

has_connections() { # COUNT
	local list
	list=$(muxctl -c "$CONTROL" --json connections) || return
	[ "$(members '"deviceID":' "$list")" = "$1" ]
}

# heard EVENT COUNT: `muxctl --json watch` into $DIR/watch.json has it.
heard() {
	[ "$(grep -c "\"$1\"" "$DIR/watch.json")" -ge "$2" ]
}

# muxload against this test's daemon; its standard input stays open, on which
# `stall` and `idle` wait.
load() {
	muxload -s "$SOCKET" "$@" <&"$never"
}

# load_beside NAME ARGUMENT...: the same beside the test, with its output in
# $DIR/NAME.log; its process id is in beside.
load_beside() {
	local log=$DIR/$1.log
	shift
	muxload -s "$SOCKET" "$@" <&"$never" >>"$log" 2>&1 &
	beside=$!
	started+=("$beside")
}

# COUNT bytes of which no two MiB are alike.
make_bytes() {
	head -c "$1" /dev/urandom
}

# A TCP port of the loopback that nobody has at this moment.
free_port() {
	local port
	for _ in {1..200}; do
		port=$((20000 + RANDOM % 12000))
		(: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null || {
			echo $port
			return
		}
	done
	fail "no free TCP port"
}

# shellcheck disable=SC2034 # for the tests that save one
pair_record='<?xml version="1.0"?><plist version="1.0"><dict><key>HostID</key><string>6F6C6C65-6820-6465-7220-5465737400AA</string></dict></plist>'

# What the phones saw of the daemon that the protocol does not allow.
violations() {
	jq '[.. | .violations? | numbers] | add // 0' "$REPORT"
}

# ---- What a process costs --------------------------------------------------

rss_kib() { # PID
	awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"
}

threads_of() { # PID
	awk '/^Threads:/ { print $2 }' "/proc/$1/status"
}

fds_of() { # PID
	find "/proc/$1/fd" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l
}

# Milliseconds of processor time that a process has used.
cpu_ms() { # PID
	awk -v hz="$(getconf CLK_TCK)" \
	    '{ print int(($14 + $15) * 1000 / hz) }' "/proc/$1/stat"
}

# ---- The end ---------------------------------------------------------------

# Set by a test in which the phones are meant to see something wrong.
violations_expected=no
finished=no

# The last line of every test.
finish() {
	step "muxd ends within a second, with status 0"
	stop_daemon
	stop_phones
	if [ -e "$REPORT" ] && [ "$violations_expected" = no ]; then
		step "the phones saw no violation of the protocol"
		equals 0 "$(violations)" violations
	fi
	finished=yes
}

show_logs() {
	local log
	for log in "$DIR"/*.log "$REPORT"; do
		[ -s "$log" ] || continue
		printf -- '---- the end of %s\n' "${log##*/}"
		tail -n 60 "$log"
	done
}

clean_up() {
	local status=$? log
	trap - EXIT
	if [ "$status" = 0 ] && [ "$finished" = no ]; then
		echo "FAILED: the test ended before its finish"
		status=1
	fi
	for pid in "${started[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	for log in "$DIR"/sanitizer.*; do
		[ -e "$log" ] || continue
		printf -- '---- %s\n' "${log##*/}"
		cat "$log"
		status=1
	done
	case $status in
	0 | 77) ;;
	*)	show_logs ;;
	esac
	if [ -n "${MUXD_TEST_KEEP:-}" ]; then
		echo "kept: $DIR"
	else
		rm -rf "$DIR"
	fi
	exit "$status"
}
trap clean_up EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# Another way for phones to reach muxd: overrides of the functions above.
# shellcheck source=/dev/null
[ -z "${MUXD_TEST_BUS:-}" ] || . "$MUXD_TEST_BUS"
