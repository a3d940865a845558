#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Bytes through a device whose sockets muxd opens, beside socat as a relay of the
# same sockets: curl fetches a file of python3's HTTP server through each in turn.
#
#	socat	curl - TCP - socat - TCP - server
#	scm-8	curl - TCP - muxphone - USB/IP - muxd - TCP - server, with the
#	scm-12	messages of either dialect
#
# MB/s, and processor time of the relay alone (socat, or muxd) for a GiB; each
# the median of BENCH_RUNS runs that alternate.  bench-scm.csv has every run.
. "${0%/*}/../e2e/scm-lib.sh"
need socat

: "${BENCH_RUNS:=3}" "${BENCH_MIB:=1024}"
csv=$PWD/bench-scm.csv

[ "$MUXD_SANITIZE" = no ] || skip "a build with a sanitizer measures nothing"

truncate -s "${BENCH_MIB}M" "$DIR/www/file"
serve 127.0.0.1 127.0.0.1
server=$port
relay_port=$(free_port)
socat "TCP-LISTEN:$relay_port,bind=127.0.0.1,fork,reuseaddr" \
    "TCP:127.0.0.1:$server" 2>>"$DIR/socat.log" &
relay=$!
started+=("$relay")
must_await 10 listens "$relay_port"

rules 'allow-special * * 127.0.0.0/8 *' 'deny * * * *'
scm_devices "forward=0=127.0.0.1:$server" \
    "dialect=12,forward=0=127.0.0.1:$server"
# shellcheck disable=SC2119 # none of its own
scm_daemon
wait_ready 2

# Seconds of processor time that a process and its ended children have had.
cpu() { # PID
	local fields
	read -r -a fields <"/proc/$1/stat"
	echo $(((fields[13] + fields[14] + fields[15] + fields[16]) * 1000 /
	    $(getconf CLK_TCK)))
}

# Socat has a child for each connection, whose time is told when it has ended.
childless() { # PID
	[ -z "$(<"/proc/$1/task/$1/children")" ]
}

# One line: MB/s, and milliseconds a GiB.
run() { # PID PORT
	local before after speed
	before=$(cpu "$1")
	speed=$(curl -sS -o "$DIR/got" -w '%{speed_download} %{size_download}' \
	    "http://127.0.0.1:$2/file") || fail "curl: port $2"
	equals "$((BENCH_MIB << 20))" "${speed#* }" "bytes that curl got"
	must_await 10 childless "$1"
	after=$(cpu "$1")
	awk -v speed="${speed% *}" -v ms=$((after - before)) -v mib="$BENCH_MIB" \
	    'BEGIN { printf "%.1f,%.0f\n", speed / 1e6, ms * 1024 / mib }'
}

declare -A pid_of=([socat]=$relay [scm-8]=$muxd_pid [scm-12]=$muxd_pid)
declare -A port_of=([socat]=$relay_port [scm-8]=$(local_port 1 0)
	[scm-12]=$(local_port 2 0))
ways=(socat scm-8 scm-12)
ln -s /dev/null "$DIR/got"
echo 'way,mb_per_s,cpu_ms_per_gib' >"$csv"
for ((i = 0; i < BENCH_RUNS; i++)); do
	for way in "${ways[@]}"; do
		echo "$way,$(run "${pid_of[$way]}" "${port_of[$way]}")" >>"$csv"
	done
done

median_of() { # WAY COLUMN
	awk -F, -v way="$1" -v c="$2" '$1 == way { print $c }' "$csv" |
	    sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

printf '%-8s %9s %12s %9s %9s\n' way MB/s 'CPU ms/GiB' speed cost
for way in "${ways[@]}"; do
	awk -v way="$way" -v v="$(median_of "$way" 2)" \
	    -v c="$(median_of "$way" 3)" -v v0="$(median_of socat 2)" \
	    -v c0="$(median_of socat 3)" 'BEGIN {
		printf "%-8s %9.1f %12.0f %8.2fx %8.2fx\n", way, v, c,
		    v / v0, c / c0 }'
done
finish
