#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A phone that has not said which version it speaks: nobody crashes over it.
. "${0%/*}/lib.sh"
. "${0%/*}/raw.sh"

phones 2
step "phone 1 keeps silent from its first packet on"
phone mute 1 on >/dev/null
muxd_alone
must_await 10 answers
must_await 10 phones_are 1
two=$(id_of_phone 2)

step "a Connect to every id that it may have is answered with 2 or refused in time"
for id in 1 2 3 4; do
	[ "$id" != "$two" ] || continue
	raw_open a
	raw_send a "$(message 0 2 1 "$(le32 $id)00070000")"
	raw_wants_result a 1 2
	raw_kill a
done

step "phone 2 works meanwhile"
must load -d "$two" info

step "phone 1 is plugged anew, speaks, and works"
phone unplug 1 >/dev/null
phone mute 1 off >/dev/null
phone plug 1 >/dev/null
wait_phones 2
must load --all info

step "the daemon stops within a second with a silent phone at hand"
phone unplug 1 >/dev/null
phone mute 1 on >/dev/null
phone plug 1 >/dev/null
wait_phones 1
finish
