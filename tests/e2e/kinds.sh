#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every kind of phone: both mux versions, both serial numbers, both speeds.
. "${0%/*}/lib.sh"

size=$(scaled $((4 << 20)))
for version in 1 2; do
	for serial in 24 40; do
		for speed in high super; do
			step "mux version $version, $serial characters of serial, $speed speed"
			phones 2 --mux $version --serial $serial --speed $speed
			daemon
			wait_phones 2
			udid=$(udid_of_phone 1)
			case $serial in
			24)	equals 25 ${#udid} "length of '$udid'"
				equals - "${udid:8:1}" "ninth character of '$udid'" ;;
			40)	equals 40 ${#udid} "length of '$udid'" ;;
			esac
			must load -u "$udid" info
			must load --all -c 2 echo "$size"
			stop_daemon
			stop_phones
			equals 0 "$(violations)" violations
		done
	done
done
finish
