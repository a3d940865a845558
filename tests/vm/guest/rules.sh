#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the udev rule gives a phone is all that an unprivileged daemon needs.
# shellcheck source=tests/e2e/lib.sh
. /muxd/src/tests/e2e/lib.sh
# shellcheck source=tests/vm/guest/etc.sh
. "${0%/*}/etc.sh"

install_rules
phones 2

step "systemd and udev have nothing to say about units and rules"
install_units
said=$(systemd-analyze verify --man=no /etc/systemd/system/*.service \
    /etc/systemd/system/*.socket 2>&1) || fail "systemd-analyze: $said"
equals '' "$said" "what systemd-analyze verify says"

step "the kernel imports a phone"
attach 1
must_await 10 imported 1
device=$(devices_of_phones)
node=$(node_of "$device")
note "$device, $node"

step "udevadm test takes the rule without a warning, and it asks for the service"
said=$(udevadm test --action=add "$device" 2>&1) || fail "$said"
contains "$said" "Reading rules file: $rules"
contains "$said" USBMUX_SUPPORTED=1
contains "$said" SYSTEMD_WANTS=muxd.service
bad=$(grep -iE '70-muxd|usbmux' <<<"$said" |
    grep -iE 'unknown|invalid|ignor|fail|warn|unexpected' || :)
equals '' "$bad" warnings

step "its file is usbmux's; nothing else's is"
owned_by_usbmux() {
	[ "$(stat -c '%U %a' "$node")" = "usbmux 664" ]
}
must_await 10 owned_by_usbmux
equals "$node" "$(find /dev/bus/usb -user usbmux)" "files of usbmux"

step "muxd -U usbmux lists it"
chmod 755 "$DIR"
chown usbmux "$RECORDS"
muxd --foreground -v -U usbmux -S "$SOCKET" -P NONE -C "$RECORDS" \
    --control "$CONTROL" >>"$DIR/muxd.log" 2>&1 &
muxd_pid=$!
started+=("$muxd_pid")
wait_phones 1 30
equals "usbmux" "$(stat -c %U "/proc/$muxd_pid")" "user of muxd"
equals 0000000000000000 "$(awk '/^CapEff/ { print $2 }' \
    "/proc/$muxd_pid/status")" "its capabilities"

step "and moves data through it"
must load info
must load --chunk 64K echo 1M

step "a phone that comes later, too"
attach 2
wait_phones 2 30
must load --all info

step "without the rule it would not: root's file cannot be opened"
stop_daemon
chown root "$node"
muxd --foreground -v -U usbmux -S "$SOCKET" -P NONE -C "$RECORDS" \
    --control "$CONTROL" >"$DIR/denied.log" 2>&1 &
muxd_pid=$!
started+=("$muxd_pid")
wait_phones 1 30
must_await 20 grep -q 'no permission' "$DIR/denied.log"
finish
