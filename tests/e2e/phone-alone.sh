#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Virtual phones without the daemon: a host in Python puts them through their paces.
. "${0%/*}/lib.sh"
need python3
export PYTHONDONTWRITEBYTECODE=1

check() { # MUX-VERSION [violate]
	must python3 "$top_srcdir/tests/tools/phone_check.py" \
	    "unix:$PHONES" "$PHONE_CONTROL" "$@" >"$DIR/check.log"
}

for version in 1 2; do
	for speed in high super; do
		step "mux version $version at $speed speed"
		phones 5 --mux $version --speed $speed
		check $version
		stop_phones
		equals 0 "$(violations)" violations
	done
done

step "a host that breaks a rule is told by the exit status"
phones 1
check 2 violate
kill -TERM "$muxphone_pid"
wait "$muxphone_pid"
equals 1 $? "exit status of muxphone"
muxphone_pid=
equals 1 "$(violations)" violations
violations_expected=yes

step "whoever asks it to end again and again is heard once"
muxphone --listen "unix:$DIR/more" --device scm >"$DIR/more.out" \
    2>>"$DIR/more.log" &
more_pid=$!
started+=("$more_pid")
must_await 20 grep -q ready "$DIR/more.out"
ask_again() {
	while kill -TERM "$more_pid" 2>/dev/null; do
		:
	done
}
ask_again
status=0
wait "$more_pid" || status=$?
equals 0 "$status" "exit status of muxphone"
finish
