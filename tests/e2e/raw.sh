# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A client of the daemon that is made of bytes, so that it can say what no
# library would.  Bytes are written as hexadecimal digits everywhere here.

# raw_open NAME: a connection to the daemon's socket, called NAME.
raw_open() {
	local in out
	mkfifo "$DIR/$1.in" "$DIR/$1.out"
	socat -b 65536 - "UNIX-CONNECT:$SOCKET" \
	    <"$DIR/$1.in" >"$DIR/$1.out" 2>>"$DIR/raw.log" &
	eval "raw_pid_$1=$!"
	started+=("$!")
	exec {in}>"$DIR/$1.in" {out}<"$DIR/$1.out"
	eval "raw_in_$1=$in raw_out_$1=$out"
}

raw_send() { # NAME HEX...
	local in=raw_in_$1
	shift
	printf '%s' "$@" | xxd -r -p >&"${!in}"
}

# raw_recv NAME COUNT: that many bytes, fewer when the daemon closed.
raw_recv() {
	local out=raw_out_$1
	timeout $((10 * MUXD_TEST_PATIENCE)) head -c "$2" <&"${!out}" |
	    xxd -p | tr -d '\n'
}

# The daemon's end must be closed, with nothing left to read.
raw_must_be_closed() { # NAME
	local out=raw_out_$1 rest status=0
	rest=$(timeout $((10 * MUXD_TEST_PATIENCE)) head -c 1 <&"${!out}" |
	    xxd -p; exit "${PIPESTATUS[0]}") || status=$?
	equals 0 "$status" "status of a read that should find the end"
	equals '' "$rest" "bytes before the end"
}

# Ends the client abruptly.
raw_kill() { # NAME
	local pid=raw_pid_$1 in=raw_in_$1 out=raw_out_$1
	kill -KILL "${!pid}" 2>/dev/null
	wait "${!pid}" 2>/dev/null
	in=${!in} out=${!out}
	exec {in}>&- {out}<&-
	rm -f "$DIR/$1.in" "$DIR/$1.out"
}

le32() { # NUMBER...
	local n
	for n; do
		printf '%02x%02x%02x%02x' $((n & 255)) $((n >> 8 & 255)) \
		    $((n >> 16 & 255)) $((n >> 24 & 255))
	done
}

from_le32() { # HEX
	echo $((16#${1:6:2}${1:4:2}${1:2:2}${1:0:2}))
}

hex_of() { # TEXT
	printf '%s' "$1" | xxd -p | tr -d '\n'
}

# A message: VERSION MESSAGE TAG [PAYLOAD-HEX].
message() {
	local payload=${4:-}
	le32 $((16 + ${#payload} / 2)) "$1" "$2" "$3"
	printf '%s' "$payload"
}

# A property-list request: TAG MESSAGE-TYPE [XML of further keys].
plist() {
	message 1 8 "$1" "$(hex_of "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>MessageType</key><string>$2</string>${3:-}</dict></plist>")"
}

key_integer() { printf '<key>%s</key><integer>%s</integer>' "$1" "$2"; }
key_string() { printf '<key>%s</key><string>%s</string>' "$1" "$2"; }

# The number that stands for a port in a plist Connect: its bytes swapped.
swapped() {
	echo $((($1 & 255) << 8 | $1 >> 8))
}

# raw_answer NAME: one message; sets answer_version, answer_message,
# answer_tag and answer (hex of the payload; text of a property list).
raw_answer() {
	local header length
	header=$(raw_recv "$1" 16)
	[ ${#header} = 32 ] || fail "$1: no answer, but the end"
	length=$(from_le32 "${header:0:8}")
	answer_version=$(from_le32 "${header:8:8}")
	answer_message=$(from_le32 "${header:16:8}")
	answer_tag=$(from_le32 "${header:24:8}")
	[ "$length" -ge 16 ] && [ "$length" -lt 1000000 ] ||
	    fail "$1: an answer of $length bytes"
	answer=$(raw_recv "$1" $((length - 16)))
	[ "$answer_message" != 8 ] || answer=$(xxd -r -p <<<"$answer")
}

# raw_result NAME TAG: the next message must be a Result; prints its number.
raw_wants_result() { # NAME TAG NUMBER
	raw_answer "$1"
	equals "$2" "$answer_tag" "tag of the answer"
	if [ "$answer_message" = 1 ]; then
		equals "$3" "$(from_le32 "$answer")" "result"
	else
		equals 8 "$answer_message" "kind of the answer"
		contains "$answer" '<string>Result</string>'
		contains "$(tr -d ' \t\n' <<<"$answer")" \
		    "<key>Number</key><integer>$3</integer>"
	fi
}
