#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Full amounts: 16 MiB each way through three phones at once, compared; and every
# size around the multiples of 512, 1024 and 16384, of which packets, reads and
# frames are made.
# shellcheck source=tests/e2e/lib.sh
. "$top_srcdir/tests/e2e/lib.sh"

# Writes of which the payload, or the frame with its headers (36 bytes), ends
# right before, at and right behind a multiple.
sizes=1,2
for ((k = 512; k <= 66560; k += 512)); do
	for ((off = -1; off <= 1; off++)); do
		sizes+=,$((k + off)),$((k - 36 + off))
	done
done

phones 3
daemon
step "16 MiB to each of three phones at once, and back, compared"
must load --all echo 16M

step "16 MiB from each of them, and to each, one way"
must load --all chargen 16M
must load --all discard 16M

step "$(tr , '\n' <<<"$sizes" | wc -l) sizes, there and back"
must load -d "$(id_of_phone 1)" sizes "$sizes"
finish
