#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Isochronous OUT through usbexportd, to the loudspeaker that QEMU has: what was
# heard (QEMU writes a WAV file, which the guest sees) is compared with what was
# played, frame by frame.  Nothing may be lost: QEMU's controller carries packets
# out in order, as they come, and late ones make its loudspeaker wait.  What would
# be lost are packets that were sent twice, too early, or never.
. "${0%/*}/../../e2e/usb.sh"
. "${0%/*}/exporter.sh"
PATH=$top_builddir/tests/vm:$PATH
need aplay
modprobe 9pnet_virtio || skip "no module 9pnet_virtio"
mkdir "$DIR/heard"
mount -t 9p -o trans=virtio,ro,cache=none heard "$DIR/heard" ||
    skip "the machine shows not what it has heard"
trap 'umount -l "$DIR/heard"; clean_up' EXIT

frames=96000 # two seconds
tag=0

# What is in $DIR/sound is played by COMMAND and heard whole.
heard_whole() { # COMMAND...
	tag=$((tag + 1))
	soundcheck make $tag $frames >"$DIR/sound"
	must timeout 60 "$@" <"$DIR/sound" >"$DIR/play.log"
	must_await 10 is_heard
	note "$(soundcheck find $tag $frames <"$DIR/heard/wav")"
}

is_heard() {
	soundcheck find $tag $frames <"$DIR/heard/wav"
}

speaker=46f4:0002
serial=$(cat "$(dirname "$(grep -lx "QEMU USB Audio" \
    /sys/bus/usb/devices/*/product)")/serial")
exporter -d $speaker
must_await 10 state_is "$serial" free

# The endpoint has no control for its sampling frequency, which is 48 kHz.
play=(usbload -d "$speaker" -s 192 play 1:1:1)

step "a program of libusb plays, which shows what QEMU can"
heard_whole "${play[@]}"

step "the same program plays under usbnet"
heard_whole usbnet -l "$usb_library" -h "unix:$EXPORT" -- "${play[@]}"
must_await 10 state_is "$serial" free

step "the driver snd-usb-audio plays on what the kernel has imported"
attach "$serial"
udevadm settle --timeout=20
card=$(basename "$(echo "/sys/bus/usb/devices/$imported_at:1.0/sound/card"*)")
must_await 10 test -c "/dev/snd/pcmC${card#card}D0p"
heard_whole aplay -q -D "hw:${card#card},0" -t raw -f S16_LE -r 48000 -c 2 -
detach
must_await 10 state_is "$serial" free
stop_exporter
usb_finish
