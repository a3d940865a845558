#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Our parser of configurations makes the same trees as the system's libusb, of
# whole and of damaged ones: libusb reads them as files of a made-up sysfs.
set -eu
: "${top_srcdir:=$(cd "${0%/*}/../.." && pwd)}"
: "${top_builddir:=$top_srcdir/_build}"
[ "${MUXD_SANITIZE:-no}" = no ] || {
	echo 'umockdev and a sanitizer both want to be loaded first'
	exit 77
}
command -v umockdev-run >/dev/null || {
	echo 'umockdev-run is not installed'
	exit 77
}
programs=$top_builddir/tests/unit
dir=$(mktemp -d "${TMPDIR:-/tmp}/usbnet-like.XXXXXX")
trap 'rm -rf "$dir"' EXIT

"$programs/usbnet_like_ours" devices >"$dir/devices"
umockdev-run -d "$dir/devices" -- "$programs/usbnet_like_real" |
    sort >"$dir/real"
"$programs/usbnet_like_ours" | sort >"$dir/ours"
diff "$dir/real" "$dir/ours"
trees=$(grep -c ': config' "$dir/real")
errors=$(grep -c ': error' "$dir/real")
echo "$trees trees and $errors errors are the same"
[ "$trees" -ge 50 ] && [ "$errors" -ge 5 ]
