#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Pair records: stored as given, read as stored, and only under a real UDID.
. "${0%/*}/lib.sh"
. "${0%/*}/raw.sh"

phones 1
daemon
udid=$(udid_of_phone 1)
data() { printf '<key>PairRecordData</key><data>%s</data>' "$(base64 -w0 <<<"$pair_record")"; }
ask() { # NAME TAG TYPE UDID [MORE]
	raw_send "$1" "$(plist "$2" "$3" "$(key_string PairRecordID "$4")${5:-}")"
}

step "ReadBUID gives one identity, the same after a restart"
raw_open a
raw_send a "$(plist 1 ReadBUID)"
raw_answer a
buid=$(grep -oE '[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}' <<<"$answer") ||
    fail "no UUID in $answer"
raw_kill a
stop_daemon
daemon
raw_open a
raw_send a "$(plist 1 ReadBUID)"
raw_answer a
contains "$answer" "$buid"

step "a record that is not there is answered with 2"
ask a 2 ReadPairRecord "$udid"
raw_wants_result a 2 2

step "a record is saved, read back as it was, and deleted"
ask a 3 SavePairRecord "$udid" "$(data)"
raw_wants_result a 3 0
ask a 4 ReadPairRecord "$udid"
raw_answer a
equals 4 "$answer_tag" tag
contains "$answer" '<key>PairRecordData</key>'
got=$(sed -n '/<data>/,/<\/data>/p' <<<"$answer" | sed 's/<[^>]*>//g' | base64 -di)
contains "$got" '<key>HostID</key>'
[ "$(find "$RECORDS" -name "$udid.plist" | wc -l)" = 1 ] || fail "no file $udid.plist"
ask a 5 DeletePairRecord "$udid"
raw_wants_result a 5 0
ask a 6 ReadPairRecord "$udid"
raw_wants_result a 6 2

step "nobody but the daemon's user may read a record"
ask a 7 SavePairRecord "$udid" "$(data)"
raw_wants_result a 7 0
equals '' "$(find "$RECORDS" -type f -perm /077)" "files that others may read or write"

step "a record id that is a path is answered with 22, and no file is touched"
before=$(find "$DIR" -newer "$RECORDS" -type f -path "$RECORDS/*" | sort)
everything=$(find "$RECORDS" "$DIR" -maxdepth 1 -name '*.plist' | sort)
for bad in ../x ../../etc/passwd /etc/passwd . .. 'a/b' "$udid/../x" \
    '%2e%2e%2fx' SystemConfiguration ''; do
	for command in ReadPairRecord DeletePairRecord; do
		ask a 8 "$command" "$bad"
		raw_wants_result a 8 22
	done
	ask a 9 SavePairRecord "$bad" "$(data)"
	raw_wants_result a 9 22
done
equals "$before" "$(find "$DIR" -newer "$RECORDS" -type f -path "$RECORDS/*" | sort)" "files written"
equals "$everything" "$(find "$RECORDS" "$DIR" -maxdepth 1 -name '*.plist' | sort)" "records"

step "a record without id or without data is answered with 22"
raw_send a "$(plist 10 ReadPairRecord)"
raw_wants_result a 10 22
ask a 11 SavePairRecord "$udid"
raw_wants_result a 11 22

step "a missing record that is asked for two hundred times fills no log"
lines=$(wc -l <"$DIR/muxd.log")
burst=$(plist 12 ReadPairRecord "$(key_string PairRecordID 0123456789abcdef0123456789abcdef01234567)")
for ((i = 0; i < 200; i++)); do
	raw_send a "$burst"
	raw_wants_result a 12 2
done
at_most 20 $(($(wc -l <"$DIR/muxd.log") - lines)) "lines of log"
raw_kill a
finish
