#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A layer includes only what stands below it.  A row of the table: a folder of
# src/, and the folders whose headers its files may include besides its own.
set -eu

may_include() {
	case $1 in
	base)	;;
	actor)	echo base ;;
	wire)	echo base ;;
	mux)	echo base wire ;;
	scm)	echo base wire ;;
	usbip)	echo base actor wire ;;
	usb)	echo base actor wire usbip ;;
	daemon)	echo base actor wire mux scm usbip usb ;;
	export)	echo base actor wire usbip ;;
	usbnet)	echo base actor wire usbip ;;
	phone)	echo base actor wire usbip ;;
	virtual) echo base actor wire usbip usbnet phone ;;
	client)	echo base actor wire ;;
	ctl)	echo base actor wire scm client ;;
	relay)	echo base actor wire client ;;
	*)	return 1 ;;
	esac
}

# Headers that a layer must not see although it sees their folder: the virtual
# devices are the second writing of the device protocols and check the first.
may_not_see() {
	case $1:$2 in
	phone:wire/mux.h | phone:wire/tcp.h | phone:wire/scm*.h) ;;
	*)	return 1 ;;
	esac
}

cd "${top_srcdir:-$(dirname "$0")/../..}/src"
faults=0 lines=0
while IFS=: read -r file line header; do
	layer=${file%%/*} seen=${header%%/*}
	lines=$((lines + 1))
	allowed=$(may_include "$layer") || {
		echo "$file: layer '$layer' has no row in this table"
		allowed=$seen faults=$((faults + 1))
	}
	case " $layer $allowed " in
	*" $seen "*) may_not_see "$layer" "$header" || continue ;;
	esac
	echo "src/$file:$line: layer $layer may not include \"$header\""
	faults=$((faults + 1))
done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[a-z]+/' \
    ./*/*.[ch] | sed -E 's,^\./,,; s,^([^:]*:[0-9]+):[^"]*"([^"]*)".*,\1:\2,')

echo "$lines includes read, $faults against the rule"
[ "$lines" -gt 0 ] && [ "$faults" -eq 0 ]
