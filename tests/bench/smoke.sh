#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The benchmark's driver works: one case, both daemons where both are there.
. "${0%/*}/../e2e/lib.sh"

need python3
export PYTHONDONTWRITEBYTECODE=1
bench=("python3" "$top_srcdir/tests/bench/bench.py" --build "$top_builddir"
    --runs 1 --seconds 0.2 --output "$DIR/bench")
# A program of Debian's cannot load a library with a sanitizer.
plain=yes
[ "$MUXD_SANITIZE" = no ] || {
	plain=no
	bench+=(--bus usbip --daemons muxd)
}

# figure DAEMON NAME: of the only case's first run.
figure() {
	jq -r --arg daemon "$1" --arg name "$2" \
	    '.results[] | select(.daemon == $daemon).runs[0][$name]' \
	    "$DIR/bench.json"
}

step "every profile has its cases, and every goal is one"
for profile in quick goals full scale usbip; do
	must "${bench[@]}" --list --profile "$profile" >"$DIR/$profile"
	[ -s "$DIR/$profile" ] || fail "$profile: no case"
done
contains "$(must_fail "${bench[@]}" --cases echo-64/1x1/sideways)" sideways

step "echoes are counted, and cost the daemon something"
must "${bench[@]}" --cases echo-64/1x1/free >"$DIR/table.log"
contains "$(<"$DIR/table.log")" echo-64/1x1/free
daemons=muxd
[ "$plain" = no ] || ! grep -q '^ *stock ' "$DIR/table.log" ||
    daemons="muxd stock"
for daemon in $daemons; do
	equals null "$(figure "$daemon" failed)" "failure of $daemon"
	equals 0 "$(figure "$daemon" violations)" "violations of $daemon"
	for name in rate p50 p99 cost threads; do
		equals true "$(figure "$daemon" "$name" | jq '. > 0')" \
		    "$name of $daemon"
	done
	note "$daemon: $(figure "$daemon" rate) echoes a second"
done

step "a daemon that does not start, or hangs, is a failed run, and is ended"
cat >"$DIR/hangs" <<'END'
#!/bin/sh
trap '' TERM
echo $$ >"${0%/*}/pid"
read -r _ <"${0%/*}/never"
END
chmod +x "$DIR/hangs"
for program in false "$DIR/hangs"; do
	contains "$(must_fail "${bench[@]}" --daemons muxd --patience 0.5 \
	    --muxd "$program" --cases echo-64/1x1/free)" "not one run"
	[ "$(figure muxd failed)" != null ] || fail "$program: no failure"
	note "$(figure muxd failed)"
done
gone "$(<"$DIR/pid")" || fail "what hangs still runs"

step "what cannot be measured is refused, and the driver says why"
contains "$(must_fail "${bench[@]}" --daemons muxd \
    --cases echo+other/1x1/free)" "more phones"
finished=yes
