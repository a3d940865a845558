#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Writes of the lengths at which packets, reads and windows end.
. "${0%/*}/lib.sh"

# Around wMaxPacketSize, the 16 KiB read, the largest payload, the largest
# packet; then packets that fill USB packets exactly, headers (36) included.
sizes=1,2,475,476,477,511,512,513,987,988,989,1023,1024,1025
sizes+=,16347,16348,16349,16383,16384,16385,32768,49115,49116,49117
sizes+=,65499,65500,65501,65535,65536,65537
for ((k = 3; k <= 130; k += 7)); do
	sizes+=,$((k * 512)),$((k * 512 - 36))
done

for speed in high super; do
	step "at $speed speed"
	phones 1 --speed $speed
	daemon
	must load sizes "$sizes"
	step "and on four connections at once"
	must load -c 4 sizes "$sizes"
	stop_daemon
	stop_phones
	equals 0 "$(violations)" violations
done
finish
