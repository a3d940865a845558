#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# systemd itself, with our units and rules: a client or a phone starts the daemon,
# which works under every restriction of its unit.
# shellcheck source=tests/e2e/lib.sh
. /muxd/src/tests/e2e/lib.sh
# shellcheck source=tests/vm/guest/etc.sh
. "${0%/*}/etc.sh"

SOCKET=/run/usbmuxd
CONTROL=/run/muxd.control
export USBMUXD_SOCKET_ADDRESS=UNIX:$SOCKET

# systemd as the first process of a namespace of its own, beside the guest's
# own first process, with nothing to do but what it is asked for: udev runs
# already, and /tmp is in use.
start_systemd() {
	mkdir -p /run/systemd/system /etc/systemd/system.conf.d
	rm -rf /usr/lib/systemd/system/{sysinit,sockets,local-fs,timers}.target.wants
	printf '[Manager]\nDefaultStandardOutput=kmsg\n' \
	    >/etc/systemd/system.conf.d/log.conf
	echo 0123456789abcdef0123456789abcdef >/etc/machine-id
	mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
	printf '[Unit]\nDescription=nothing\n' >/etc/systemd/system/nothing.target
	unshare --pid --fork --mount-proc env -i PATH=/usr/sbin:/usr/bin \
	    container=muxd-vm /usr/lib/systemd/systemd --system \
	    --unit=nothing.target --log-target=kmsg --log-level=info \
	    --show-status=no >"$DIR/systemd.log" 2>&1 </dev/null &
	started+=("$!")
	must_await 10 pgrep -P "$!"
	first=$(pgrep -P "$!")
	started+=("$first") # with which everything in its namespace ends
	must_await 60 systemctl show --property=Version
}

# It takes orders only from whom it sees.
systemctl() {
	nsenter --target "$first" --pid --mount /usr/bin/systemctl "$@"
}

is_active() { # UNIT
	[ "$(systemctl show --property=ActiveState --value "$1")" = active ]
}

is_inactive() { # UNIT
	[ "$(systemctl show --property=ActiveState --value "$1")" = inactive ]
}

install_rules
install_units
phones 2

step "systemd takes the units"
start_systemd
must systemctl start muxd.socket muxd-control.socket
equals "666 root" "$(stat -c '%a %U' $SOCKET)" "$SOCKET"
equals "660 usbmux" "$(stat -c '%a %U' $CONTROL)" "$CONTROL"
is_inactive muxd.service || fail "it runs already"

step "a client starts the daemon"
equals "1 served, 0 refused, 0 lost" "$(knock $SOCKET 1 0)"
must_await 20 is_active muxd.service
note "$(systemctl show --property=StatusText muxd.service)"
equals "usbmux" "$(stat -c %U /var/lib/lockdown)" "owner of the records"

step "a phone that the kernel imports is served, under all restrictions"
attach 1
wait_phones 1 60
must load info
must load --chunk 64K echo 1M
status_is() { # TEXT
	[ "$(systemctl show --property=StatusText --value muxd.service)" = "$1" ]
}
must_await 10 status_is "1 phone"
must muxctl -c $CONTROL stats >/dev/null

step "one that is killed comes again by itself"
systemctl kill --signal=KILL muxd.service
wait_phones 1 60
must_await 20 is_active muxd.service

step "systemctl stop ends it in order; the sockets stay"
must systemctl stop muxd.service
is_inactive muxd.service || fail "it is $(systemctl is-active muxd.service)"
[ -S $SOCKET ] || fail "$SOCKET is gone"

step "a phone that arrives starts it"
attach 2
must_await 60 is_active muxd.service
wait_phones 2 60

step "usbexportd runs under its restrictions"
must systemctl stop muxd.service
# muxphone has the port of its own.
mkdir -p /etc/systemd/system/usbexportd.service.d
printf '[Service]\nEnvironment="USBEXPORTD_OPTIONS=--all -l 127.0.0.1:3241"\n' \
    >/etc/systemd/system/usbexportd.service.d/port.conf
must systemctl daemon-reload
must systemctl start usbexportd.service
exported() {
	usbip --tcp-port 3241 list -r 127.0.0.1 | grep -q 05ac:12a8
}
must_await 20 exported
is_active usbexportd.service || fail "it does not run"
must systemctl stop usbexportd.service
muxd_pid=
finish
