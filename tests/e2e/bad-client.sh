#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Clients that send nonsense are answered or closed; nobody else notices.
. "${0%/*}/lib.sh"
. "${0%/*}/raw.sh"

phones 2
daemon
id=$(id_of_phone 1)
zeros() { printf '%0*d' $(($1 * 2)) 0; }

# A conversation of its own, that ends with the socket still working.
still_serves() { # NAME
	raw_send "$1" "$(plist 99 ReadBUID)"
	raw_answer "$1"
	equals 99 "$answer_tag" "tag of ReadBUID's answer"
	contains "$answer" '<key>BUID</key>'
	raw_kill "$1"
}

step "a length below the header's closes the connection"
for length in 0 1 15; do
	raw_open a
	raw_send a "$(le32 $length 1 8 1)"
	raw_must_be_closed a
	raw_kill a
done

step "a length beyond every limit closes the connection, unread"
for length in 16777216 2147483647 4294967295; do
	raw_open a
	raw_send a "$(le32 $length 1 8 1)"
	raw_must_be_closed a
	raw_kill a
done

step "a header that stops half-way holds up nobody"
raw_open half
raw_send half "100000000100"
raw_open whole
still_serves whole
raw_kill half

step "version 2 is answered with 6, and the connection goes on"
raw_open a
raw_send a "$(message 2 8 5)"
raw_wants_result a 5 6
still_serves a

step "message numbers that do not exist are answered with 1"
for number in 0 7 9 255 4294967295; do
	raw_open a
	raw_send a "$(message 0 $number 11)"
	raw_wants_result a 11 1
	raw_kill a
done

step "a Connect that is too short is answered with 1"
for bytes in 0 1 4 5; do
	raw_open a
	raw_send a "$(message 0 2 12 "$(zeros $bytes)")"
	raw_wants_result a 12 1
	raw_kill a
done

step "what is not a property list is answered with 1"
for payload in '' 00 "$(hex_of '<plist>')" "$(hex_of bplist00)" \
    "$(hex_of 'bplist00')$(zeros 40)" "$(zeros 1000)" \
    "$(hex_of '<?xml version="1.0"?><plist><array/></plist>')" \
    "$(hex_of '<?xml version="1.0"?><plist><dict/></plist>')"; do
	raw_open a
	raw_send a "$(message 1 8 13 "$payload")"
	raw_wants_result a 13 1
	raw_kill a
done

step "a property list nested six thousand deep is refused"
raw_open a
deep=$(printf '<array>%.0s' {1..6000})
raw_send a "$(message 1 8 14 "$(hex_of "<?xml version=\"1.0\"?><plist>$deep")")"
raw_wants_result a 14 1
raw_kill a

step "an unknown MessageType is answered with 1, and the connection goes on"
raw_open a
raw_send a "$(plist 15 Frobnicate)"
raw_wants_result a 15 1
still_serves a

step "Connect without a device is answered with 2, without a port with 1"
raw_open a
raw_send a "$(plist 16 Connect "$(key_integer PortNumber 1792)")"
raw_wants_result a 16 2
raw_kill a
raw_open a
raw_send a "$(plist 17 Connect "$(key_integer DeviceID "$id")")"
raw_wants_result a 17 1
raw_kill a
raw_open a
raw_send a "$(plist 18 Connect "$(key_integer DeviceID 4000000000)$(key_integer PortNumber 1792)")"
raw_wants_result a 18 2
raw_kill a

step "a listener that sends another command is answered, and the daemon lives"
for second in "$(plist 22 ListDevices)" "$(plist 22 Listen)" \
    "$(message 0 3 22)" "$(plist 22 Connect)" "$(plist 22 ReadBUID)"; do
	raw_open a
	raw_send a "$(plist 21 Listen)"
	raw_wants_result a 21 0
	raw_answer a
	contains "$answer" '<string>Attached</string>'
	raw_answer a
	contains "$answer" '<string>Attached</string>'
	raw_send a "$second"
	raw_wants_result a 22 1
	raw_must_be_closed a
	raw_kill a
done

step "a listener's connection may stay half-open for ever"
raw_open a
raw_send a "$(message 0 3 23)"
raw_wants_result a 23 0
raw_answer a
equals 4 "$answer_message" "message that says a device is there"
equals 0 "$answer_tag" "tag of a notification"
equals 536 ${#answer} "hex digits of an ADD message"
raw_answer a

step "a listener hears Attached, Detached and Paired, and nothing else"
raw_open b
raw_send b "$(plist 24 Listen)"
raw_wants_result b 24 0
raw_answer b
raw_answer b
phone unplug 2 >/dev/null
raw_answer b
contains "$answer" '<string>Detached</string>'
phone plug 2 >/dev/null
raw_answer b
contains "$answer" '<string>Attached</string>'
raw_open c
raw_send c "$(plist 25 SavePairRecord "$(key_string PairRecordID "$(udid_of_phone 1)")<key>PairRecordData</key><data>$(base64 -w0 <<<"$pair_record")</data>$(key_integer DeviceID "$id")")"
raw_wants_result c 25 0
raw_answer b
contains "$answer" '<string>Paired</string>'
raw_kill c
raw_kill b
raw_kill a

step "bytes of chance, from a hundred clients"
for ((i = 0; i < 100 / MUXD_TEST_SCALE + 4; i++)); do
	timeout 5 socat -t 0 -u - "UNIX-CONNECT:$SOCKET" \
	    < <(head -c $((RANDOM % 3000)) /dev/urandom) 2>/dev/null || :
done

step "ordinary clients are served as if nothing had been"
must load --all info
finish
