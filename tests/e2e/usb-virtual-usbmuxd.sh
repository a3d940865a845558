#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Debian's own usbmuxd, unmodified, with phones that usbnet simulates in it.
. "${0%/*}/usb.sh"

need_usbmuxd
count=64
simulate "phone=$count"
virtual_control=$PHONE_CONTROL

step "Debian's usbmuxd starts, and sees $count phones"
start_usbmuxd
has_begun() {
	[ -S "$PHONE_CONTROL" ]
}
must_await 20 has_begun
wanted=$(phone_udids | sort)
equals "$count" "$(wc -l <<<"$wanted")" phones
must_await 20 listed_are "$wanted"

amount=$(scaled $((8 << 20)))
step "$((amount >> 20)) MiB through each of them at once, every byte compared"
note "$(must load --all echo "$amount" | tail -n 1)"
note "$(must load --all discard "$amount" | tail -n 1)"
note "$(must load --all chargen "$amount" | tail -n 1)"

step "a phone that is unplugged leaves the list, and comes back"
gone_one=$(udid_of_phone 3)
phone unplug 3 >/dev/null
must_await 10 listed_are "$(grep -v "$gone_one" <<<"$wanted")"
phone plug 3 >/dev/null
must_await 10 listed_are "$wanted"

step "usbmuxd ends on SIGTERM; the phones saw no violation"
kill -TERM "$usbmuxd_pid"
must_end "$usbmuxd_pid" 10
equals "$count" "$(jq '.phones | length' "$REPORT")" "phones in the report"
equals 0 "$(violations)" violations
finished=yes
