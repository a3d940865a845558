#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# scm.conf, as an operator has it: read, tested, read again, and mistaken in.
. "${0%/*}/lib.sh"

CONF=$SCM_CONF
AUDIT=$DIR/audit

scm() {
	muxctl -c "$CONTROL" scm "$@"
}
# exits STATUS COMMAND...: what a command that ends so has said.
exits() {
	local wanted=$1 status=0 output
	shift
	output=$("$@" 2>&1) || status=$?
	equals "$wanted" "$status" "exit status of '$*'"
	printf '%s\n' "$output"
}
rules() {
	muxctl -c "$CONTROL" --json scm stats | jq .settings.rules
}
rules_are() {
	[ "$(rules)" = "$1" ]
}
logged() { # TEXT COUNT
	[ "$(grep -c -F -e "$1" "$DIR/muxd.log")" -ge "$2" ]
}
# A file is whole at any time, also for a daemon that reads it at this moment.
write_conf() {
	cat >"$CONF.new"
	mv "$CONF.new" "$CONF"
}

step "the installed example is one, with all of its rules taken, too"
example=$top_srcdir/etc/scm.conf
contains "$(exits 3 muxctl scm policy test -f "$example" 2fe0:8b01 192.0.2.80 443)" \
    "denied: no rule of"
sed -E 's/^#([a-z-]+ )/\1/' "$example" >"$DIR/taken.conf"
taken() {
	muxctl scm policy test -f "$DIR/taken.conf" "$@"
}
contains "$(exits 0 taken 2fe0:8b01 192.0.2.80 443)" "allowed: by"
contains "$(exits 0 taken 2fe0:8b01 192.0.2.53 53/udp)" "allowed: by"
contains "$(exits 3 taken 1-4.2 10.0.0.1 443)" "denied: by"
contains "$(exits 0 taken 1234:5678:LAB3 127.0.0.1 8080)" "(a loopback address)"

step "without a file everything is denied, which the log says once"
phones 0 --device sourcesink
muxd_alone --scm-audit "$AUDIT"
must_await 10 answers
contains "$(exits 3 scm policy test 1-4 192.0.2.1 80)" "denied: no rule of $CONF"
equals 1 "$(grep -c -F "$CONF: there is no such file" "$DIR/muxd.log")" "lines"
contains "$(exits 0 scm reload)" "$CONF: there is no such file"

step "muxctl scm reload puts a file in force"
write_conf <<'END'
allow 2fe0:8b01 tcp 192.0.2.0/24 80
deny  * * 198.51.100.0/24 *
END
equals "" "$(exits 0 scm reload)"
must_await 5 rules_are 2
contains "$(exits 0 scm policy test 2fe0:8b01 192.0.2.1 80)" "allowed: by $CONF, line 1"
contains "$(exits 3 scm policy test 2fe0:8b01 192.0.2.1 80/udp)" "denied: no rule"
contains "$(exits 3 scm policy test 1-4 198.51.100.1 80)" "denied: by $CONF, line 2"
equals '{"allowed":true,"rule":1}' \
    "$(muxctl -c "$CONTROL" -j scm policy test 2fe0:8b01 ::ffff:192.0.2.1 80 |
	jq -c '{allowed, rule}')"

step "so does SIGHUP"
echo 'allow * tcp 203.0.113.7 22' | write_conf
kill -HUP "$muxd_pid"
must_await 5 rules_are 1
contains "$(exits 0 scm policy test 1-4 203.0.113.7 22)" "line 1"
contains "$(exits 3 scm policy test 2fe0:8b01 192.0.2.1 80)" "denied"
must_await 5 logged "$CONF: 1 rule in force" 1

step "a file with a fault changes nothing, and the fault is told"
printf 'allow * tcp 192.0.2.0/24 80\npermit \033[2J\n' | write_conf
fault=$(exits 1 scm reload)
contains "$fault" "$CONF:2:8: a control character"
contains "$fault" "what was in force stays so"
printf 'allow * tcp 192.0.2.0/24 80\n\nallow * tcp 192.0.2.0/33 80\n' | write_conf
contains "$(exits 1 scm reload)" "$CONF:3:13: "
contains "$(exits 1 muxctl -c "$CONTROL" -j scm reload)" "$CONF:3:13: "
kill -HUP "$muxd_pid"
must_await 5 logged "error: $CONF:3:13: " 1
contains "$(exits 0 scm policy test 1-4 203.0.113.7 22)" "line 1"
contains "$(exits 3 scm policy test 1-4 192.0.2.1 80)" "denied"
equals 1 "$(rules)" "rules in force"

step "what cannot be read is a fault, too"
rm "$CONF"
mkdir "$CONF"
contains "$(exits 1 scm reload)" "$CONF: Is a directory"
rmdir "$CONF"
contains "$(exits 0 scm policy test 1-4 203.0.113.7 22)" "line 1"

step "many who reload at once see one file or the other"
for i in {1..8}; do
	for _ in {1..10}; do
		yes "allow * tcp 192.0.2.0/24 80" | head -n "$i" >"$CONF.$i"
		mv "$CONF.$i" "$CONF"
		scm reload || echo "failed" >>"$DIR/reloads"
		kill -HUP "$muxd_pid"
	done &
	reloaders+=($!)
done
wait "${reloaders[@]}"
[ ! -e "$DIR/reloads" ] || fail "$(wc -l <"$DIR/reloads") reloads failed"
scm reload
equals "$(wc -l <"$CONF")" "$(rules)" "rules in force"

step "a file that is gone denies everything again"
rm "$CONF"
contains "$(exits 0 scm reload)" "there is no such file"
contains "$(exits 3 scm policy test 1-4 192.0.2.1 80)" "denied: no rule"

step "the account is opened anew by SIGHUP"
[ -f "$AUDIT" ] || fail "there is no account"
mv "$AUDIT" "$AUDIT.old"
kill -HUP "$muxd_pid"
must_await 5 test -f "$AUDIT"
equals "640" "$(stat -c %a "$AUDIT")" "mode of the account"

step "a daemon starts with a fault in the file, and denies everything"
stop_daemon
echo nonsense | write_conf
muxd_alone
must_await 10 answers
must_await 5 logged "$CONF:1:1: 'nonsense' is no rule" 1
contains "$(exits 3 scm policy test 1-4 192.0.2.1 80)" "denied: no rule"

step "one whose account cannot be written does not start"
stop_daemon
contains "$(must_fail muxd -f --no-usb --usbip "unix:$PHONES" -S "$SOCKET" \
    -P NONE -C "$RECORDS" --control NONE --scm-audit "$DIR/none/audit")" \
    "cannot write to $DIR/none/audit: No such file or directory"

# ---- Addresses that come while it runs ----

if ! unshare -rn ip link set lo up 2>/dev/null; then
	note "not shown: an address that comes (no network namespace here)"
	finish
	exit
fi

step "an address that this host gets is its own at once"
echo 'allow * tcp 192.0.2.0/24 80' | write_conf
muxd_limits=(unshare -rn)
muxd_alone
must_await 10 answers
inside() {
	nsenter --preserve-credentials -U -n -t "$muxd_pid" "$@"
}
inside ip link set lo up
contains "$(exits 0 scm policy test 1-4 192.0.2.77 80)" "allowed"
inside ip address add 192.0.2.77/32 dev lo
is_own() {
	scm policy test 1-4 192.0.2.77 80 | grep -q "host's own"
}
must_await 5 is_own
inside ip address del 192.0.2.77/32 dev lo
must_await 5 scm policy test 1-4 192.0.2.77 80

step "and stays so over a reload at the same moment"
for _ in {1..5}; do
	inside ip address add 192.0.2.77/32 dev lo
	scm reload
	must_await 5 is_own
	inside ip address del 192.0.2.77/32 dev lo
	scm reload
	must_await 5 scm policy test 1-4 192.0.2.77 80
done

finish
