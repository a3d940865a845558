#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The drop-in libusb exports what the real one does, and nothing but libusb_*: a
# program that misses one function does not even start.  And it needs nothing
# that a program may not have: it is loaded into shells, too.
set -eu

command -v nm >/dev/null || { echo "nm is not installed"; exit 77; }
library=${top_builddir:?run it by make check}/src/usbnet/.libs/libusb-1.0.so.0
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

exported() {
	nm -D --defined-only "$1" | awk '$2 == "T" { print $3 }' |
	    sed 's/@.*//' | LC_ALL=C sort
}

exported "$library" >"$temp/ours"
grep -v '^#' "${top_srcdir:?}/tests/unit/libusb-1.0.txt" | LC_ALL=C sort >"$temp/wanted"
faults=0
report() { # WHAT
	while IFS= read -r name; do
		echo "$1: $name"
		faults=$((faults + 1))
	done
}
report "missing" < <(LC_ALL=C comm -13 "$temp/ours" "$temp/wanted")
report "not libusb's" < <(grep -v '^libusb_' "$temp/ours" || true)

# But for the C library's, and the compiler's own.
report "needed" < <(readelf -d "$library" |
    sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
    grep -Ev '^(lib(c|m|dl|rt|pthread|gcc_s|asan|tsan|ubsan)|ld-linux[^.]*)\.so' || true)

# The system's own, whichever version that is.
for real in /usr/lib/*/libusb-1.0.so.0 /usr/lib64/libusb-1.0.so.0 \
    /lib/*/libusb-1.0.so.0; do
	[ -e "$real" ] || continue
	exported "$real" | grep '^libusb_' >"$temp/real" || continue
	report "missing, but in $real" < <(LC_ALL=C comm -13 "$temp/ours" "$temp/real")
	break
done

echo "$(wc -l <"$temp/ours") functions exported, $faults faults"
[ -s "$temp/ours" ] && [ "$faults" -eq 0 ]
