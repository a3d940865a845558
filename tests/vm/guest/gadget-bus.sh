# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# One more way from muxphone to muxd, for tests that know nothing of it: each
# phone is a FunctionFS gadget at a controller of dummy_hcd, whose other end is
# a bus of this machine.  GADGET is gadget-SPEED-CONFIGURATIONS.  Sourced by
# tests/e2e/lib.sh.

IFS=- read -r _ gadget_speed gadget_configurations <<<"$GADGET"

# Controllers that can do super speed can do high speed, too.
[ -d /sys/module/dummy_hcd ] || modprobe dummy_hcd num=4 is_super_speed=1
[ -d /sys/module/libcomposite ] || modprobe libcomposite

muxphone_more=(--gadget="configurations=$gadget_configurations" --speed "$gadget_speed")

muxd_alone() {
	"${muxd_limits[@]}" muxd --foreground -v -S "$SOCKET" -P NONE \
	    -C "$RECORDS" --control "$CONTROL" "$@" >>"$DIR/muxd.log" 2>&1 &
	muxd_pid=$!
	started+=("$muxd_pid")
}
