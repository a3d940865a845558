#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Manual pages without a warning, and each option of a program in its page.
set -eu
command -v mandoc >/dev/null || { echo 'mandoc is missing'; exit 77; }
cd "${top_srcdir:-$(dirname "$0")/../..}"
pages=(man/*.[1-9])
faults=0

# References are looked up here, since our pages are not installed yet.
complaints=$(mandoc -T lint -W style "${pages[@]}" 2>&1 |
    grep -v -e 'STYLE: referenced manual not found' -e 'outdated mandoc.db') || :
[ -z "$complaints" ] || {
	printf '%s\n' "$complaints"
	faults=1
}
while read -r page name section; do
	case $name in
	mux* | usbmuxd | libmux* | scm*)
		[ -f "man/$name.$section" ] || {
			echo "$page: refers to $name($section), which is not there"
			faults=1
		} ;;
	esac
done < <(awk '$1 == ".Xr" { print FILENAME, $2, $3 }' "${pages[@]}")

echo "${#pages[@]} pages read"
exit $faults
