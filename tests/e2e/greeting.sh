#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Bytes glued behind Connect, sent by the phone first, or just before its RST.
. "${0%/*}/lib.sh"
. "${0%/*}/raw.sh"

phones 1
daemon
id=$(id_of_phone 1)

for version in 0 1; do
	connect_to() { # TAG PORT
		if [ "$version" = 0 ]; then
			message 0 2 "$1" "$(le32 "$id")$(printf '%04x' "$2")0000"
		else
			plist "$1" Connect "$(key_integer DeviceID "$id")$(key_integer PortNumber "$(swapped "$2")")"
		fi
	}

	step "protocol version $version: data glued behind Connect arrives"
	raw_open a
	raw_send a "$(connect_to 7 7)$(hex_of 'glued bytes')"
	raw_wants_result a 7 0
	equals "$(hex_of 'glued bytes')" "$(raw_recv a 11)" echo
	raw_kill a

	step "protocol version $version: 100 000 bytes glued behind Connect arrive"
	raw_open b
	make_bytes 100000 >"$DIR/sent"
	raw_send b "$(connect_to 8 7)$(xxd -p "$DIR/sent" | tr -d '\n')"
	raw_wants_result b 8 0
	raw_recv b 100000 | xxd -r -p >"$DIR/back"
	cmp "$DIR/sent" "$DIR/back" || fail "other bytes came back"
	raw_kill b

	step "protocol version $version: several requests in one segment, then Connect and data"
	raw_open c
	raw_send c "$(plist 1 ListDevices)$(plist 2 ReadBUID)$(connect_to 3 7)$(hex_of xyz)"
	raw_answer c
	equals 1 "$answer_tag" tag
	raw_answer c
	equals 2 "$answer_tag" tag
	raw_wants_result c 3 0
	equals "$(hex_of xyz)" "$(raw_recv c 3)" echo
	raw_kill c

	step "protocol version $version: what the phone says first arrives behind the Result"
	raw_open d
	raw_send d "$(connect_to 4 1)"
	raw_wants_result d 4 0
	[ -n "$(raw_recv d 1)" ] || fail "no greeting"
	raw_kill d

	step "protocol version $version: 100 000 bytes before a RST arrive before the end"
	raw_open e
	raw_send e "$(connect_to 5 13)"
	raw_wants_result e 5 0
	equals 200000 "$(raw_recv e 100000 | wc -c)" "hex digits received"
	raw_must_be_closed e
	raw_kill e

	step "protocol version $version: a closed port answers 3 and the socket stays usable or ends"
	raw_open f
	raw_send f "$(connect_to 6 4)"
	raw_wants_result f 6 3
	raw_kill f
done
finish
