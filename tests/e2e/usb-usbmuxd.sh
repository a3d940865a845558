#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Debian's own usbmuxd, unmodified, with phones of muxphone through usbnet.
. "${0%/*}/usb.sh"

need_foreign
need idevice_id unshare
# As ./quickstart has unpacked it, or as it is installed; not muxd's own link of
# that name.
usbmuxd=$top_builddir/stock/usr/sbin/usbmuxd
[ -x "$usbmuxd" ] || usbmuxd=/usr/sbin/usbmuxd
"$usbmuxd" --version 2>&1 | grep -q '^usbmuxd 1' ||
    skip "the usbmuxd of libimobiledevice is not installed"
# It knows one socket, under /run, and one place for records; here they are
# directories of this test's.
if [ "$(id -u)" = 0 ]; then own=(unshare -m); else own=(unshare -rm); fi
"${own[@]}" mount -t tmpfs none /run 2>/dev/null ||
    skip "no file system of one's own can be had here"
mkdir "$DIR/run" "$DIR/lib"
SOCKET=$DIR/run/usbmuxd
export USBMUXD_SOCKET_ADDRESS=UNIX:$SOCKET

listed_are() {
	[ "$(idevice_id -l | sort)" = "$1" ]
}

phones 8
wanted=$(phone_udids | sort)

step "Debian's usbmuxd starts, and sees 8 phones"
for_foreign
# shellcheck disable=SC2016 # for the inner shell
"${own[@]}" "${under[@]}" sh -c '
	mount --bind "$1" /run && mount --bind "$2" /var/lib || exit 1
	shift 2
	exec "$@"' sh "$DIR/run" "$DIR/lib" "$usbmuxd" -f -v -p \
	>"$DIR/usbmuxd.log" 2>&1 &
usbmuxd_pid=$!
started+=("$usbmuxd_pid")
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
