#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Debian's own usbmuxd, unmodified, with phones of muxphone through usbnet.
. "${0%/*}/usb.sh"

need_usbmuxd

phones 8
wanted=$(phone_udids | sort)

step "Debian's usbmuxd starts, and sees 8 phones"
start_usbmuxd
must_await 20 listed_are "$wanted"
note "idevice_id -l lists $(wc -l <<<"$wanted"): $(head -n 1 <<<"$wanted") ..."

amount=$(scaled $((256 << 20)))
step "$((amount >> 20)) MiB each way through one phone, every byte compared"
note "$(must load echo "$amount" | tail -n 1)"
step "the same one way: to the phone, and from it"
note "$(must load discard "$amount" | tail -n 1)"
note "$(must load chargen "$amount" | tail -n 1)"

step "a phone that is unplugged leaves the list, and comes back"
gone_one=$(udid_of_phone 3)
phone unplug 3 >/dev/null
must_await 10 listed_are "$(grep -v "$gone_one" <<<"$wanted")"
phone plug 3 >/dev/null
must_await 10 listed_are "$wanted"

step "usbmuxd ends on SIGTERM; the phones saw no violation"
kill -TERM "$usbmuxd_pid"
must_end "$usbmuxd_pid" 10
stop_phones
equals 0 "$(violations)" violations
finished=yes
