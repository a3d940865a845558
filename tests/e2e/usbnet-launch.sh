#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# usbnet, the launcher: what the command gets, what is said when there is
# nothing to launch into, and the way through ssh.  The command is no program of
# USB here; the library that is preloaded is the system's.
. "${0%/*}/lib.sh"
need perl socat

phones 2
export XDG_RUNTIME_DIR=$DIR/run
mkdir -m 700 "$XDG_RUNTIME_DIR" "$DIR/bin"
SERVER=unix:$PHONES
# A request for a list of devices, and how long the answer is.
LIST='\1\21\200\5\0\0\0\0'
LIST_SIZE=$(printf %b "$LIST" | socat -t 10 - "UNIX-CONNECT:$PHONES" | wc -c)

launch() {
	usbnet -l libusb-1.0.so.0 "$@"
}

# status WANTED COMMAND...: the exit status; prints what was said.
status() {
	local wanted=$1 got=0 said
	shift
	said=$("$@" 2>&1) || got=$?
	equals "$wanted" "$got" "status of '$*', which said '$said'"
	printf '%s\n' "$said"
}

# One line that names PART.
sentence() { # SAID PART
	contains "$1" "$2"
	equals 1 "$(printf '%s\n' "$1" | wc -l)" "lines in '$1'"
}

step "the command gets the library and the servers"
said=$(must launch -h "$SERVER" -t 1234 -q env)
contains "$said" "USBNET_SERVERS=$SERVER"
contains "$said" USBNET_TIMEOUT=1234
contains "$said" USBNET_QUIET=1
contains "$said" LD_PRELOAD=libusb-1.0.so.0
# A sanitizer's runtime that is a library wants to be the first of all.
said=$(must env LD_PRELOAD=libc.so.6 USBNET_QUIET=1 \
    ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0" usbnet \
    -l libusb-1.0.so.0 -h "$SERVER" -h "$SERVER" env)
contains "$said" "USBNET_SERVERS=$SERVER $SERVER"
contains "$said" LD_PRELOAD=libusb-1.0.so.0:libc.so.6
case $said in *USBNET_QUIET*) fail "quiet was not asked for" ;; esac

step "a relative path of a socket is made whole"
said=$(cd "$DIR" && must launch -h "unix:${PHONES##*/}" sh -c \
    "cd / && printenv USBNET_SERVERS")
equals "$SERVER" "$said" servers

step "the library is really loaded"
contains "$(must launch -h "$SERVER" cat /proc/self/maps)" libusb-1.0

step "one argument is a line, and so is a lone -l"
equals 'a b,c,' "$(must launch -h "$SERVER" "printf %s, 'a b' c")" words
# Then there is no way to name another library, and ours is not for programs
# without the sanitizer.
[ "$MUXD_SANITIZE" != no ] ||
    equals 'a b,c,' \
	"$(must usbnet -h "$SERVER" -l "printf %s, 'a b' c")" "words of -l"
sentence "$(status 125 launch -h "$SERVER" 'lsusb | wc')" "sh -c"

step "its exit status and its end by a signal are the command's"
status 0 launch -h "$SERVER" true >/dev/null
status 7 launch -h "$SERVER" sh -c 'exit 7' >/dev/null
status 143 launch -h "$SERVER" sh -c 'kill -TERM $$' >/dev/null
sentence "$(status 127 launch -h "$SERVER" "$DIR/none")" "$DIR/none"
sentence "$(status 126 launch -h "$SERVER" "$DIR")" "$DIR"

step "a server that is away is told of before anything starts"
sentence "$(status 125 launch -h "unix:$DIR/none" touch "$DIR/ran")" \
    "$DIR/none"
sentence "$(status 125 launch -h "localhost:$(free_port)" touch "$DIR/ran")" \
    "Connection refused"
[ ! -e "$DIR/ran" ] || fail "the command ran"

step "so is one of another version, one that is silent, and one that is none"
answer() { # NAME BYTES: a server at $DIR/NAME that answers with them
	printf %b "$2" >"$DIR/$1.bytes"
	socat "UNIX-LISTEN:$DIR/$1" \
	    "SYSTEM:cat '$DIR/$1.bytes'; cat >/dev/null" 2>/dev/null &
	started+=("$!")
	must_await 5 test -S "$DIR/$1"
}
answer old '\1\0\0\5\0\0\0\0\0\0\0\0'
sentence "$(status 125 launch -h "unix:$DIR/old" true)" "version 0100"
answer mute ''
sentence "$(status 125 launch -t 200 -h "unix:$DIR/mute" true)" "no answer"
answer ssh 'SSH-2.0-OpenSSH_9.2\r\n'
sentence "$(status 125 launch -h "unix:$DIR/ssh" true)" "USB/IP"

step "a library that cannot be loaded is one sentence"
echo text >"$DIR/text"
sentence "$(status 125 usbnet -l "$DIR/none" -h "$SERVER" true)" "$DIR/none"
sentence "$(status 125 usbnet -l "$DIR/text" -h "$SERVER" true)" "$DIR/text"
sentence "$(status 125 usbnet -l libc.so.6 -h "$SERVER" true)" libusb_init

# ---- Through ssh -----------------------------------------------------------

# What stands for ssh: notes its arguments, and does what $FAR says.
cat >"$DIR/bin/ssh" <<END
#!/bin/sh
printf '%s\n' "\$*" >>"$DIR/ssh.args"
case " \$* " in *' -O exit '*) exit 0 ;; esac
case \$FAR in
denied)
	echo 'Welcome to this host' >&2
	echo 'me@far: Permission denied (publickey).' >&2
	exit 255 ;;
missing)
	echo 'sh: 1: exec: usbexportd: not found' >&2
	exit 127 ;;
silent)
	exec socat STDIO UNIX-CONNECT:$DIR/silence ;;
esac
exec socat STDIO UNIX-CONNECT:$PHONES
END
chmod +x "$DIR/bin/ssh"
PATH=$DIR/bin:$PATH
export FAR=
nothing_left() {
	[ -z "$(ls "$XDG_RUNTIME_DIR")" ]
}

step "the command reaches the far side through a socket of its own"
said=$(must launch -a me@far:2222 sh -c "echo \$USBNET_SERVERS
    for i in 1 2 3; do
	printf '$LIST' | socat -t 10 - UNIX-CONNECT:\${USBNET_SERVERS#unix:} |
	    wc -c
    done
    stat -c %a \"\$XDG_RUNTIME_DIR\"/usbnet.*")
contains "$said" "unix:$XDG_RUNTIME_DIR/usbnet."
equals "$LIST_SIZE $LIST_SIZE $LIST_SIZE 700" \
    "$(printf '%s\n' "$said" | tail -n +2 | xargs)" "lists, and the mode"
must_await 5 nothing_left
equals 4 "$(wc -l <"$DIR/ssh.args")" "calls of ssh"
args=$(head -n 1 "$DIR/ssh.args")
contains "$args" "-o BatchMode=yes"
contains "$args" "-p 2222"
contains "$args" "-- me@far sh -c"
contains "$args" "exec usbexportd --stdio"

step "what runs over there can be named"
rm "$DIR/ssh.args"
USBNET_EXPORTD='sudo usbexportd --stdio' must launch -a far true
contains "$(cat "$DIR/ssh.args")" "-- far sudo usbexportd --stdio"

step "with -h it asks ssh for the way there"
rm "$DIR/ssh.args"
said=$(must launch -a far -h inner -h '[::1]:99' printenv USBNET_SERVERS)
contains "$(cat "$DIR/ssh.args")" "-W inner:3240 -- far"
contains "$(cat "$DIR/ssh.args")" "-W [::1]:99 -- far"
equals 2 "$(printf '%s\n' "$said" | wc -w)" "servers in '$said'"
must_await 5 nothing_left

step "an ssh that fails is quoted, and the command does not start"
sentence "$(FAR=denied status 125 launch -a me@far touch "$DIR/ran")" \
    "me@far: Permission denied (publickey)."
sentence "$(FAR=missing status 125 launch -a me@far touch "$DIR/ran")" \
    "usbexportd: not found"
[ ! -e "$DIR/ran" ] || fail "the command ran"
must_await 5 nothing_left

step "status and signals are the command's here, too"
status 7 launch -a far sh -c 'exit 7' >/dev/null
status 143 launch -a far sh -c 'kill -TERM $$' >/dev/null
must_await 5 nothing_left

step "a command that waits for all of its children meets no other"
must timeout 10 "$(command -v usbnet)" -l libusb-1.0.so.0 -a far \
    perl -e '1 while wait() != -1'
must_await 5 nothing_left

step "nothing is left of it when the command is killed"
usbnet -l libusb-1.0.so.0 -a far socat - UNIX-LISTEN:"$DIR/idle" <&"$never" &
command_pid=$!
started+=("$command_pid")
must_await 10 test -S "$DIR/idle"
[ -n "$(ls "$XDG_RUNTIME_DIR")" ] || fail "no private directory"
kill -KILL "$command_pid"
must_await 5 nothing_left

step "nor when usbnet is ended while ssh logs in"
socat "UNIX-LISTEN:$DIR/silence,fork" - <&"$never" >/dev/null &
started+=("$!")
must_await 5 test -S "$DIR/silence"
FAR=silent usbnet -l libusb-1.0.so.0 -a far true &
command_pid=$!
started+=("$command_pid")
must_await 10 eval '! nothing_left'
kill -TERM "$command_pid"
must_await 5 nothing_left

finish
