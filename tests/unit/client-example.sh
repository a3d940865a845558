#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The programs that libmuxclient(3) shows are compiled, and do what it says.
set -eu
: "${top_srcdir:=$(cd "${0%/*}/../.." && pwd)}"
: "${top_builddir:=$top_srcdir/_build}"
CC=${CC:-cc}
command -v "${CC%% *}" >/dev/null || { echo "$CC is missing"; exit 77; }
[ -e "$top_builddir/.libs/libmuxclient.so" ] ||
    { echo 'no shared library was built'; exit 77; }
[ "${MUXD_SANITIZE:-no}" = no ] ||
    { echo 'the library wants a sanitizer that the example has not'; exit 77; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/muxd-example.XXXXXX")
started=()
leave() {
	kill "${started[@]}" 2>/dev/null || :
	rm -rf "$dir"
}
trap leave EXIT

# Example N of the page, from its .Bd to its .Ed, with the escapes undone.
example() {
	awk -v n="$1" '
		/^\.Sh EXAMPLES/ { examples = 1 }
		examples && /^\.Ed/ { inside = 0 }
		inside && block == n { gsub(/\\e/, "\\"); print }
		examples && /^\.Bd/ { inside = 1; block++ }' \
	    "$top_srcdir/man/libmuxclient.3"
}

for n in 1 2; do
	example $n >"$dir/example$n.c"
	[ -s "$dir/example$n.c" ] || { echo "no example $n"; exit 1; }
	# shellcheck disable=SC2086 # CC may hold options
	$CC -Wall -Wextra -Werror -std=c99 -D_POSIX_C_SOURCE=200809L \
	    -I"$top_srcdir/include" -o "$dir/example$n" "$dir/example$n.c" \
	    -L"$top_builddir/.libs" -lmuxclient \
	    -Wl,-rpath,"$(cd "$top_builddir" && pwd)/.libs"
done

# Waits until FILE holds a line that matches.
await() { # PATTERN FILE
	for _ in {1..200}; do
		! grep -q "$1" "$2" || return 0
		read -rt 0.05 <>"$dir/never" || :
	done
	echo "'$1' did not come in $2:"
	cat "$2"
	return 1
}

mkfifo "$dir/never" "$dir/orders"
"$top_builddir/tests/tools/fakemuxd" "$dir/mux" 2 <"$dir/orders" \
    >"$dir/fake.log" &
started+=($!)
exec 3>"$dir/orders"
await ready "$dir/fake.log"
export USBMUXD_SOCKET_ADDRESS=UNIX:$dir/mux

"$dir/example1" >"$dir/list"
printf '1 fake-0001\n2 fake-0002\nfakemuxd: at your service\r\n' |
    diff - "$dir/list"
if USBMUXD_SOCKET_ADDRESS=/nonexistent/mux "$dir/example1" 2>"$dir/error"; then
	echo 'it succeeds without a daemon'
	exit 1
fi
grep -q '^unix:/nonexistent/mux: no usbmux daemon' "$dir/error"

"$dir/example2" >"$dir/events" 2>&1 3>&- &
started+=($!)
await '^fake-0002 is here' "$dir/events"
echo 'detach 1' >&3
await '^1 has gone' "$dir/events"
echo 'attach 7' >&3
await '^fake-0007 is here' "$dir/events"
exec 3>&-
await '^the daemon closed the connection' "$dir/events"
started=()
wait
echo 'both examples work'
