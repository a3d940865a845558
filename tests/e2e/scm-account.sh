#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What an operator is told of devices that open sockets: each decision and each
# end in the account, who has which sockets, and how much of everything.
. "${0%/*}/scm-lib.sh"

AUDIT=$DIR/audit

scm() {
	muxctl -c "$CONTROL" scm "$@"
}
# Lines of the account with that, without their times.
lines() { # PATTERN
	cut -d ' ' -f 2- "$AUDIT" | grep -E -e "$1"
}
has_line() { # PATTERN
	lines "$1"
}
audit_count() { # KEY
	muxctl -c "$CONTROL" -j scm stats | jq ".audit.$1"
}
# A connection through the device that stays, as the descriptor `held`.
hold() { # PORT
	exec {held}<>"/dev/tcp/127.0.0.1/$1" || fail "port $1 takes nobody"
}
drop() {
	exec {held}>&-
}
sockets_are() { # COUNT
	[ "$(muxctl -c "$CONTROL" -j scm list | jq '.sockets | length')" = "$1" ]
}
refused() { # PORT
	is_reset "$(must_fail curl -sS --max-time 20 "http://127.0.0.1:$1/")"
}

make_bytes 100000 >"$DIR/www/small"
sum=$(sha256sum <"$DIR/www/small")
serve 127.0.0.1 127.0.0.1
server=$port
rules "allow-special 2fe0:8b01 tcp 127.0.0.1 $server" \
    'deny * * 198.51.100.0/24 *' \
    'allow * tcp 127.0.0.0/8 *'

scm_devices "dialect=12,forward=0=127.0.0.1:$server,forward=0=198.51.100.1:80,forward=0=127.0.0.1:9,forward=0=192.0.2.1:80,linger=0"
scm_daemon --scm-audit "$AUDIT"
wait_ready 1
good=$(local_port 1 0)
tail=' usb=2fe0:8b01 place=1-1 serial=scm-1$'

step "what is allowed is a line with its rule, and its end one with its bytes"
equals "$sum" "$(fetch "$good" small)" "the sum"
must_await 10 has_line '^end '
has_line "^allow-special device=1 socket=[0-9]+ protocol=tcp address=127.0.0.1 port=$server judged=127.0.0.1 why=rule special=loopback form=- rule=$SCM_CONF:1$tail" ||
    fail "the account is: $(<"$AUDIT")"
to_device=$(lines '^end ' | sed -E 's/.* to-device=([0-9]+) fault=- .*/\1/')
[ "$to_device" -gt 100000 ] || fail "it says $to_device bytes"

step "what is not, one with the reason"
refused "$(local_port 1 1)"
refused "$(local_port 1 2)"
refused "$(local_port 1 3)"
must_await 10 has_line "^deny .* address=198.51.100.1 .* why=rule .* rule=$SCM_CONF:2$tail"
must_await 10 has_line "^deny-special .* port=9 .* why=special special=loopback form=- rule=$SCM_CONF:3$tail"
must_await 10 has_line "^deny .* address=192.0.2.1 .* why=no-rule special=- form=- rule=-$tail"
equals 1 "$(lines '^allow' | wc -l)" "allowed"
equals 3 "$(lines '^deny' | wc -l)" "denied"
equals 1 "$(lines '^end' | wc -l)" "ended"

step "muxctl counts the same"
equals 1 "$(audit_count allowed)" allowed
equals 1 "$(audit_count allowedSpecial)" allowed
equals 3 "$(audit_count denied)" denied
equals 1 "$(audit_count deniedSpecial)" denied
equals 0 "$(audit_count dropped)" dropped
row=$(muxctl -c "$CONTROL" -j scm stats | jq -c '.devices[0] |
    {id, serial, key, dialect, opened, connected, refused, violations}')
equals '{"id":1,"serial":"scm-1","key":"1-1","dialect":12,"opened":4,"connected":1,"refused":3,"violations":0}' \
    "$row" "the device"

step "a socket is listed as long as it is there"
hold "$good"
printf 'GET /small HTTP/1.0\r\n' >&"$held"
written() {
	[ "$(muxctl -c "$CONTROL" -j scm list | jq '.sockets[0].rxBytes')" = 21 ]
}
must_await 10 written
equals "{\"deviceID\":1,\"protocol\":\"tcp\",\"state\":\"connected\",\"address\":\"127.0.0.1\",\"port\":$server,\"rxBytes\":21,\"txBytes\":0}" \
    "$(muxctl -c "$CONTROL" -j scm list | jq -c '.sockets[0] |
	{deviceID, protocol, state, address, port, rxBytes, txBytes}')"
contains "$(scm list)" "  tcp       connected  127.0.0.1  "

step "other rules are for others, not for what is connected"
rules "deny * * * *"
scm reload
refused "$good"
must_await 10 has_line "^deny .* port=$server .* why=rule special=loopback form=- rule=$SCM_CONF:1$tail"
printf '\r\n' >&"$held"
equals "$sum" "$(sed '1,/^\r$/d' <&"$held" | sha256sum)" "the sum"
drop
must_await 10 sockets_are 0
equals 2 "$(lines '^end' | wc -l)" "ended"

step "what is more than it may have is a limit"
rules "allow-special * tcp 127.0.0.1 $server" 'limit * sockets 1'
scm reload
hold "$good"
must_await 10 sockets_are 1
refused "$good"
drop
must_await 10 has_line "^limit device=1 socket=[0-9]+ protocol=tcp why=sockets code=-24$tail"
must_await 10 sockets_are 0
rules "allow-special * tcp 127.0.0.1 $server" 'limit * connects-per-second 1'
scm reload
for _ in {1..4}; do
	curl -s --max-time 20 "http://127.0.0.1:$good/small" >/dev/null
done
must_await 10 has_line "^limit .* why=connects-per-second .*$tail"
[ "$(audit_count limited)" -ge 2 ] || fail "limits are not counted"

step "an account that is moved away is begun anew"
rules "allow-special * tcp 127.0.0.1 $server"
scm reload
before=$(wc -l <"$AUDIT")
mv "$AUDIT" "$AUDIT.old"
kill -HUP "$muxd_pid"
must_await 10 test -e "$AUDIT"
equals "$sum" "$(fetch "$good" small)" "the sum"
must_await 10 has_line '^end '
equals 1 "$(lines '^allow-special' | wc -l)" "lines"
equals "$before" "$(wc -l <"$AUDIT.old")" "lines of the old one"

step "every line is whole: a time, a word, and fields"
if grep -Ev '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z [a-z-]+( [a-z-]+=[!-~]+)+$' \
    "$AUDIT" "$AUDIT.old"; then
	fail "some are not"
fi

step "a full disk keeps nobody from anything, and is told once"
stop_daemon
scm_daemon --scm-audit /dev/full
wait_ready 1
for _ in 1 2 3; do
	equals "$sum" "$(fetch "$(local_port 1 0)" small)" "the sum"
done
all_dropped() {
	[ "$(audit_count dropped)" = 6 ]
}
must_await 10 all_dropped
equals 3 "$(audit_count allowed)" allowed
equals 1 "$(grep -c -F '/dev/full cannot be written: No space left' "$DIR/muxd.log")" "lines"

step "without a file the account is in the log, as information"
stop_daemon
scm_daemon
wait_ready 1
equals "$sum" "$(fetch "$(local_port 1 0)" small)" "the sum"
in_log() {
	grep -q "info: scm: end device=1 .*$tail" "$DIR/muxd.log"
}
must_await 10 in_log
must grep -q "info: scm: allow-special device=1 .* rule=$SCM_CONF:1$tail" "$DIR/muxd.log"
finish
