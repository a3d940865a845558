# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the tests of USB over TCP stand on, beside lib.sh: devices of muxphone,
# programs that reach them through usbnet's libusb, and a longer way between.
#
#	. "${0%/*}/usb.sh"
#	gadgets sourcesink:pattern=1 sourcesink:loop
#	usb usbload -p 1 in		# ours: linked with the sanitizer
#	foreign usb lsusb		# others': skipped where that cannot be
#	usb_finish

# shellcheck source=tests/e2e/lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
PATH=$PATH:/usr/sbin:/sbin

usb_libs=$top_builddir/src/usbnet/.libs
usb_library=$usb_libs/libusb-1.0.so.0
# In the virtual machine (tests/vm) the kernel imports the devices and the
# programs have the system's libusb: the same tests show what that one does.
real_libusb=${MUXD_TEST_BUS:+yes}
[ -n "$real_libusb" ] || [ -e "$usb_library" ] ||
    skip "usbnet's libusb is not built"

# Where the devices are: addresses, separated by blanks.
servers=unix:$PHONES
# Or what is simulated in each program: what --virtual says.
virtual=() virtual_control=

# ---- Devices ---------------------------------------------------------------

# gadgets KIND[:OPTION]... [-- OPTION...]: one device each, in this order.
gadgets() {
	local options=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=(--device "$1")
		shift
	done
	[ $# = 0 ] || shift
	phones 0 "${options[@]}" "$@"
	[ -z "$real_libusb" ] || kernel_imports
}

# One after another, so that their order stays.
kernel_imports() {
	local busid count=0 _
	while read -r busid _; do
		count=$((count + 1))
		must usbip attach -r 127.0.0.1 -b "$busid"
		must_await 5 imported "$count"
	done <"$DIR/devices"
}

imported() { # COUNT
	[ "$(lsusb -d 0525:a4a0 | wc -l)" = "$1" ]
}

# simulate KIND[=COUNT][,OPTION]...: devices in each program that starts from
# now on.  The last one's account is in $REPORT; with $virtual_control set to
# $PHONE_CONTROL, `phone` speaks to the only one.
simulate() {
	[ -z "$real_libusb" ] || skip "no program has the USB of this machine"
	servers=
	virtual=("$@")
}

# Microseconds of processor time that the program's devices have had.
simulated_us() {
	phone threads | jq .cpu_us
}

# beside_ready NAME COMMAND...: a process beside the test that has said that it
# is ready; its id is in beside, its output in $DIR/NAME.out and NAME.log.
beside_ready() {
	local name=$1
	shift
	"$@" >"$DIR/$name.out" 2>>"$DIR/$name.log" &
	beside=$!
	started+=("$beside")
	must_await 10 grep -q '^ready$' "$DIR/$name.out"
}

# delayed LISTEN CONNECT MS [OPTION...]: a longer way to CONNECT.
delayed() {
	local from=$1 to=$2 ms=$3
	shift 3
	beside_ready "delay-${RANDOM}" delayproxy -l "$from" -c "$to" -d "$ms" \
	    "$@"
}

# The number of the N-th server's bus: this host's own have theirs.
nth_bus() { # N
	local n number=0
	for ((n = 0; n < $1; n++)); do
		number=$((number + 1))
		while [ -e "/sys/bus/usb/devices/usb$number" ]; do
			number=$((number + 1))
		done
	done
	echo $number
}

# ---- Programs under usbnet -------------------------------------------------

# A program that was built without the sanitizer must load its runtime before
# the library that was built with it; Clang's is no library of its own, and
# ThreadSanitizer's cannot come this way at all.
runtime=
case $MUXD_SANITIZE in
no) ;;
*address* | undefined)
	runtime=$(ldd "$usb_library" | sed -n 's/.*=> \(.*lib[au]b\{0,1\}san\.so[^ ]*\).*/\1/p' | tr '\n' ' ') ;;
esac

foreign_works() {
	[ "$MUXD_SANITIZE" = no ] || [ -n "$runtime" ]
}

need_foreign() {
	foreign_works || skip "a program without -fsanitize=$MUXD_SANITIZE cannot load a library with it"
}

# The words to put before a command, in `under`: so that one beside the test is
# a process of the test's own, and its id the command's.
under=()
# no: the library alone.  The launcher does not begin without its servers.
launcher=yes

preloading() {
	local each
	if [ "$launcher" = yes ]; then
		under=(usbnet -l "$usb_library")
		for each in $servers; do
			under+=(-h "$each")
		done
		for each in "${virtual[@]}"; do
			under+=(--virtual "$each" --virtual-report "$REPORT")
		done
		[ -z "$virtual_control" ] ||
		    under+=(--virtual-control "$virtual_control")
		under+=(--)
	else
		by_environment
		under+=(LD_PRELOAD="$usb_library")
	fi
}

# What the launcher tells the library.
by_environment() {
	under=(env USBNET_SERVERS="$servers")
	[ "${#virtual[@]}" = 0 ] || under+=(USBNET_VIRTUAL="${virtual[*]}"
	    USBNET_VIRTUAL_MODULE="$top_builddir/src/virtual/.libs/usbnet-virtual.so"
	    USBNET_VIRTUAL_REPORT="$REPORT"
	    USBNET_VIRTUAL_CONTROL="$virtual_control")
}

# One of our own programs with usbnet's libusb.  The launcher preloads it; a
# sanitizer wants to be first itself, so there it is found in the place of the
# system's.
for_ours() {
	if [ -n "$real_libusb" ]; then
		under=(env)
	elif [ "$MUXD_SANITIZE" = no ]; then
		preloading
	else
		by_environment
		under+=(LD_LIBRARY_PATH="$usb_libs")
	fi
}

# Somebody else's program; what it leaks is not ours to judge.
for_foreign() {
	if [ -n "$real_libusb" ]; then
		under=(env)
	elif [ -z "$runtime" ]; then
		preloading
	else
		by_environment
		under+=(LD_PRELOAD="$runtime $usb_library"
		    ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0")
	fi
}

usb() {
	for_ours
	"${under[@]}" "$@"
}

foreign() {
	for_foreign
	"${under[@]}" "$@"
}

# usb_load ARGUMENT...: usbload must find nothing wrong; its figures are shown.
usb_load() {
	local line
	while IFS= read -r line; do
		note "$line"
	done < <(must usb usbload -P $((60 * MUXD_TEST_PATIENCE)) "$@")
}

# usb_load_beside NAME ARGUMENT...: the same beside the test; its output is in
# $DIR/NAME.out, what is wrong in $DIR/NAME.log, its id in beside.
usb_load_beside() {
	local name=$1
	shift
	# What one of that name has said before is not this one's.
	rm -f "$DIR/$name.out" "$DIR/$name.log"
	for_ours
	"${under[@]}" usbload -P $((60 * MUXD_TEST_PATIENCE)) "$@" \
	    >"$DIR/$name.out" 2>"$DIR/$name.log" <&"$never" &
	beside=$!
	started+=("$beside")
}

# must_end PID SECONDS [STATUS]: within the time, with this status (0).
must_end() {
	local status=0
	must_await "$2" gone "$1"
	wait "$1" || status=$?
	equals "${3:-0}" "$status" "exit status"
}

# ---- Debian's usbmuxd ------------------------------------------------------

# It knows one socket, under /run, and one place for records; here they are
# directories of this test's.
need_usbmuxd() {
	need_foreign
	need idevice_id unshare
	# As ./quickstart has unpacked it, or as it is installed; not muxd's own
	# link of that name.
	usbmuxd=$top_builddir/stock/usr/sbin/usbmuxd
	[ -x "$usbmuxd" ] || usbmuxd=/usr/sbin/usbmuxd
	"$usbmuxd" --version 2>&1 | grep -q '^usbmuxd 1' ||
	    skip "the usbmuxd of libimobiledevice is not installed"
	if [ "$(id -u)" = 0 ]; then own=(unshare -m); else own=(unshare -rm); fi
	"${own[@]}" mount -t tmpfs none /run 2>/dev/null ||
	    skip "no file system of one's own can be had here"
	mkdir "$DIR/run" "$DIR/lib"
	SOCKET=$DIR/run/usbmuxd
	export USBMUXD_SOCKET_ADDRESS=UNIX:$SOCKET
}

start_usbmuxd() {
	for_foreign
	# shellcheck disable=SC2016 # for the inner shell
	"${own[@]}" "${under[@]}" sh -c '
		mount --bind "$1" /run && mount --bind "$2" /var/lib || exit 1
		shift 2
		exec "$@"' sh "$DIR/run" "$DIR/lib" "$usbmuxd" -f -v -p \
		>"$DIR/usbmuxd.log" 2>&1 &
	usbmuxd_pid=$!
	started+=("$usbmuxd_pid")
}

# The UDIDs that its clients are told, one a line.
listed_are() { # UDIDS
	[ "$(idevice_id -l | sort)" = "$1" ]
}

# ---- The end ---------------------------------------------------------------

# The last line of a test in which no muxd runs.
usb_finish() {
	stop_phones
	finished=yes
}
