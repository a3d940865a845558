#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A client that one phone does not answer connects to another by the same socket,
# while its first frames still wait for the first phone.
. "${0%/*}/lib.sh"
. "${0%/*}/raw.sh"

phones 2
daemon
one=$(id_of_phone 1) two=$(id_of_phone 2)

step "phone 1 takes nothing more while many send"
load_beside victim -d "$one" -c 16 discard $((1 << 40))
victim=$beside
must_await 10 has_connections 16
phone stall 1 >/dev/null
# Only when the bus holds all that it may does what comes next have to wait.
full() {
	[ "$(muxctl -c "$CONTROL" --json stats |
	    jq "[.devices[] | select(.id == $one).writesInFlight][0]")" -gt 1 ]
}
must_await 10 full

connect_to() { # TAG DEVICE
	message 0 2 "$1" "$(le32 "$2")$(printf '%04x' 7)0000"
}
step "a client is refused by it, and served by phone 2"
raw_open a
raw_send a "$(connect_to 1 "$one")"
raw_wants_result a 1 3
raw_send a "$(connect_to 2 "$two")$(hex_of hello)"
raw_wants_result a 2 0
equals "$(hex_of hello)" "$(raw_recv a 5)" echo

step "phone 1 takes what waited for it; phone 2 serves others"
phone resume 1 >/dev/null
must load -d "$two" echo 1M
must load -d "$one" echo 1M
raw_send a "$(hex_of again)"
equals "$(hex_of again)" "$(raw_recv a 5)" echo
raw_kill a
kill "$victim"
wait "$victim" 2>/dev/null
finish
