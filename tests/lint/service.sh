#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What is in etc/, as the programs that will read it see it.
set -eu
src=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
build=${top_builddir:-$src/_build}
dir=$(mktemp -d "${TMPDIR:-/tmp}/muxd-lint.XXXXXX")
trap 'rm -rf "$dir"' EXIT
faults=0 looks=0

fault() {
	printf '%s\n' "$*"
	faults=$((faults + 1))
}

# quiet COMMAND...: it must succeed and have nothing to say.
quiet() {
	local said status=0
	looks=$((looks + 1))
	said=$("$@" 2>&1) || status=$?
	[ "$status$said" = 0 ] || fault "$*: ended with $status: $said"
}

# Whether a program is here and knows a word of its --help.
knows() { # PROGRAM WORD
	command -v "$1" >/dev/null && "$1" --help 2>&1 | grep -qw -e "$2"
}

# ---- Scripts ----

quiet sh -n "$src/etc/openrc/muxd.in"
if command -v shellcheck >/dev/null; then
	quiet shellcheck --shell=sh --severity=info --exclude=SC2154 \
	    "$src/etc/openrc/muxd.in"
fi

# ---- Units ----

# With the programs where they are now.
mkdir "$dir/units"
for unit in muxd usbexportd; do
	sed "s|@sbindir@|$build|" "$src/etc/systemd/$unit.service.in" \
	    >"$dir/units/$unit.service"
done
cp "$src"/etc/systemd/*.socket "$dir/units/"
if knows systemd-analyze verify; then
	quiet systemd-analyze verify --man=no "$dir"/units/*
fi
# 0 is the best, 10 no protection at all.
if knows systemd-analyze --offline; then
	for unit in "$dir"/units/*.service; do
		looks=$((looks + 1))
		said=$(systemd-analyze security --offline=yes --threshold=20 \
		    --no-pager "$unit" 2>&1) ||
		    fault "${unit##*/} is less protected than it was: $said"
		tail -n 1 <<<"$said"
	done
fi

# ---- Rules ----

if knows udevadm verify; then
	quiet udevadm verify --no-summary "$src/etc/udev/70-muxd.rules"
fi
# Every product of a phone, and no other: what the rule's pattern means is
# decided as the shell decides it.
pattern=$(sed -n 's/^ATTR{idProduct}!="\([^"]*\)".*/\1/p' \
    "$src/etc/udev/70-muxd.rules")
IFS='|' read -ra alternatives <<<"$pattern"
matches() {
	local p
	for p in "${alternatives[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $1 == $p ]] && return 0
	done
	return 1
}
for product in $(seq $((0x1200)) $((0x13ff))) $(seq $((0x1900)) $((0x190f))) \
    $((0x8600)); do
	wanted=no got=no
	((product < 0x1290 || product > 0x12af)) || wanted=yes
	! matches "$(printf %04x "$product")" || got=yes
	[ $wanted = $got ] ||
	    fault "$(printf 'udev: 05ac:%04x' "$product"): $got instead of $wanted"
done
looks=$((looks + 1))

# ---- Users and directories ----

if knows systemd-sysusers --root; then
	mkdir -p "$dir/root/etc"
	: >"$dir/root/etc/machine-id"
	looks=$((looks + 1))
	systemd-sysusers --root="$dir/root" "$src/etc/sysusers/muxd.conf" \
	    >"$dir/said" 2>&1 || fault "systemd-sysusers: $(cat "$dir/said")"
	grep -q '^usbmux:' "$dir/root/etc/passwd" ||
	    fault "systemd-sysusers made no user"
	if [ "$(id -u)" = 0 ] && knows systemd-tmpfiles --root; then
		quiet systemd-tmpfiles --root="$dir/root" --create \
		    "$src/etc/tmpfiles/muxd.conf"
		[ "$(stat -c %a "$dir/root/var/lib/lockdown")" = 700 ] ||
		    fault "systemd-tmpfiles made no directory"
	fi
fi

echo "$looks looks, $faults faults"
[ "$faults" -eq 0 ]
