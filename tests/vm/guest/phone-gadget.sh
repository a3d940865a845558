#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# muxphone --gadget by itself: what it says when it cannot, what it leaves
# behind, what testers do to it, and a host that forgets a zero-length packet.
export GADGET=gadget-high-1
. "$top_srcdir/tests/e2e/lib.sh"
PATH=$top_builddir/tests/vm:$PATH
gadgets=/sys/kernel/config/usb_gadget

# cannot ARGUMENT...: it ends with status 2, and says why.
cannot() {
	local status=0 said
	said=$(timeout 20 "$@" 2>&1) || status=$?
	equals 2 "$status" "exit status of '$*' ($said)"
	printf '%s\n' "$said"
}
# The device's node.
node() {
	local device
	for device in /sys/bus/usb/devices/*; do
		[ "$(cat "$device/idProduct" 2>/dev/null)" = 12a8 ] || continue
		printf '/dev/bus/usb/%03d/%03d\n' "$(cat "$device/busnum")" \
		    "$(cat "$device/devnum")"
		return 0
	done
	return 1
}
ours() {
	local dir
	for dir in "$gadgets"/muxphone-*; do
		[ ! -d "$dir" ] || echo "${dir##*/}"
	done
}
nothing_left() {
	equals "" "$(ours)" "what is left in configfs"
}

step "without a UDC, or the one that is named, or enough, or root: a sentence"
modprobe -r dummy_hcd
modprobe libcomposite
contains "$(cannot muxphone --gadget)" "modprobe dummy_hcd"
modprobe dummy_hcd num=4 is_super_speed=1
contains "$(cannot muxphone --gadget=udc=nowhere)" "there is no UDC 'nowhere'"
contains "$(cannot muxphone --gadget -n 5)" "taken by another gadget"
contains "$(cannot setpriv --reuid 65534 --clear-groups muxphone --gadget)" "only root"
nothing_left

step "what a killed one has left is taken over; what another has is not"
phones 1
equals dummy_udc.0 "$(cut -d' ' -f1 <"$DIR/devices")" UDC
kill -KILL "$muxphone_pid"
wait "$muxphone_pid" 2>/dev/null
equals muxphone-1 "$(ours)" "what is left behind"
phones 1
equals muxphone-1 "$(ours)"
contains "$(cat "$DIR/muxphone.log")" "left behind"
contains "$(cannot muxphone --gadget=udc=dummy_udc.0)" "is taken by another gadget"
equals muxphone-1 "$(ours)"
must_await 10 node

step "an IN endpoint that is halted goes on, the phone stays"
daemon
id=$(id_of_phone 1) udid=$(udid_of_phone 1)
phone halt 1 in >/dev/null
must load -d "$id" echo 100000
equals "$id" "$(id_of_phone 1)" "id of the phone"

step "a halted OUT endpoint costs what was on its way: the phone comes again"
works() {
	load -u "$udid" echo 100000
}
phone halt 1 out >/dev/null
must_fail load -d "$id" echo 100000 >/dev/null
must_await 10 works

step "it comes and goes as the cable does; what hangs goes on"
phone hang 1 on >/dev/null
phone reset 1 >/dev/null
wait_phones 0
phone hang 1 off >/dev/null
wait_phones 1
must load -d "$(id_of_phone 1)" echo 100000
finish
nothing_left

finished=no
step "a short packet needs no ZLP: who looks for silence would hear its echo"
phones 1 --mux 1
must_await 10 node
udevadm settle
contains "$(must_fail zlptest "$(node)" 0x02 0x81 100)" \
    "100 bytes came back before the ZLP was sent"
stop_phones

for kind in high:512 super:1024; do
	IFS=: read -r speed packet <<<"$kind"
	step "$speed speed: a full packet is not read before its ZLP has come"
	phones 1 --mux 1 --speed "$speed"
	must_await 10 node
	udevadm settle
	note "$(must zlptest "$(node)" 0x02 0x81 "$packet")"
	equals 1 "$(phone counters 1 | jq '.phones[0].zlps_in')" "ZLPs that came"
	stop_phones
	equals 0 "$(violations)" violations
done
nothing_left
finished=yes
