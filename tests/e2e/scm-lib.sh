# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the tests of devices that open sockets stand on, beside lib.sh:
#
#	. "${0%/*}/scm-lib.sh"
#	rules 'allow * tcp 192.0.2.0/24 80'
#	scm_devices OPTIONS...		# muxphone's, one device each
#	scm_daemon
#	wait_ready COUNT

# shellcheck source=tests/e2e/lib.sh
[ -n "${DIR:-}" ] || . "${BASH_SOURCE[0]%/*}/lib.sh"
need python3 curl
export PYTHONDONTWRITEBYTECODE=1
mkdir "$DIR/www"

# The file is replaced whole, as who edits it does.
rules() { # LINE...
	printf '%s\n' "$@" >"$DIR/scm.conf.new"
	mv "$DIR/scm.conf.new" "$DIR/scm.conf"
}

scm_devices() { # OPTIONS...
	local options=() one
	for one; do
		options+=(--device "scm:$one")
	done
	phones 0 "${options[@]}"
}

scm_daemon() { # OPTION...
	muxd_alone --scm-conf "$DIR/scm.conf" "$@"
	must_await 10 answers
}

ready_count() {
	local list
	list=$(muxctl -c "$CONTROL" --json devices) || return
	members '"state":"ready"' "$list"
}

ready_are() {
	[ "$(ready_count)" = "$1" ]
}

wait_ready() { # COUNT
	must_await 20 ready_are "$1"
}

# serve ADDRESS IN-URLS: python3's HTTP server there; its port is in `port`.
serve() {
	port=$(free_port)
	(cd "$DIR/www" && exec python3 -m http.server --bind "$1" "$port") \
	    >>"$DIR/http.log" 2>&1 &
	started+=($!)
	must_await 20 curl -sS -o /dev/null "http://$2:$port/"
}

# A peer that takes connections and no byte of them; its port is in `port`.
never_reads() {
	port=$(free_port)
	python3 -c 'import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = []
while True:
    kept.append(s.accept())' "$port" 2>>"$DIR/sink.log" &
	started+=($!)
	must_await 10 listens "$port"
}

# One that takes all and says nothing; its port is in `port`.
discards() {
	port=$(free_port)
	socat -u "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" \
	    OPEN:/dev/null >>"$DIR/socat.log" 2>&1 &
	started+=($!)
	must_await 10 listens "$port"
}

listens() { # PORT
	(: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

local_port() { # DEVICE FORWARD
	phone list | jq -r --argjson n "$1" --argjson f "$2" \
	    '.devices[$n - 1].forwards[$f].local' | sed 's/.*://'
}

# In fetch_s seconds, or a minute.
fetch() { # PORT FILE
	curl -sS --max-time $((${fetch_s:-60} * MUXD_TEST_PATIENCE)) \
	    "http://127.0.0.1:$1/$2" | sha256sum
}

# The file `big', eight times side by side through the device's first port.
eight_fetch() { # DEVICE SUM
	local fetches=() i
	for i in {1..8}; do
		fetch "$(local_port "$1" 0)" big >"$DIR/sum.$i" &
		fetches+=($!)
	done
	wait "${fetches[@]}"
	for i in {1..8}; do
		equals "$2" "$(<"$DIR/sum.$i")" "the sum of fetch $i"
	done
}

counter() { # DEVICE NAME
	phone counters "$1" | jq ".devices[0].$2"
}

counter_is() { # DEVICE NAME VALUE
	[ "$(counter "$1" "$2")" = "$3" ]
}

no_sockets() { # DEVICE
	counter_is "$1" current 0
}

# It may come before curl has seen that it is connected.
is_reset() { # WHAT-CURL-SAID
	case $1 in
	*"reset by peer"* | *"Couldn't connect"*) ;;
	*)	fail "curl says: $1" ;;
	esac
}
