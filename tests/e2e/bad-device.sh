#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Phones that send nonsense: that phone pays for it, nobody else does.
. "${0%/*}/lib.sh"
. "${0%/*}/raw.sh"

phones 2
daemon
wait_phones 2
two=$(id_of_phone 2)
load_beside other -d "$two" echo $((1 << 40))
other=$beside

# A frame of mux version 2: PROTOCOL TOTAL-LENGTH [REST].
frame() {
	printf '%08x%08x%s' "$1" "$2" "${3:-}"
}
tail_of_header=feedface00000000

bad=(
	00                                         # not even a header
	"$(frame 6 8)"                             # shorter than its version's header
	"$(frame 6 4294967295 $tail_of_header)"    # a length that no packet has
	"$(frame 6 0 $tail_of_header)"             # a length of nothing
	"$(frame 6 100 $tail_of_header)"           # more promised than sent
	"$(frame 99 16 $tail_of_header)"           # a protocol that does not exist
	"$(frame 6 20 ${tail_of_header}00000000)"  # a TCP header cut short
	"$(frame 6 36 "${tail_of_header}0007000100000000000000000010000000000000")" # th_off 0
	"$(frame 6 36 "${tail_of_header}00070001000000000000000000f0000000000000")" # th_off 15
	"$(frame 1 16 $tail_of_header)"            # CONTROL without its first byte
	"$(frame 0 20 000000090000000000000000)"   # VERSION again, an unknown one
)

for packet in "${bad[@]}"; do
	step "phone 1 sends ${packet:0:48}"
	phone inject 1 "$packet" >/dev/null
	must_await 20 all_phones_listed
	must load -d "$(id_of_phone 1)" info
done

step "three malformed packets in a row: the phone is reset, and comes back"
resets() {
	phone counters 1 | jq '[.. | .resets? | numbers] | add // 0'
}
was=$(resets)
was_reset() {
	[ "$(resets)" -gt "$was" ]
}
for _ in 1 2 3; do
	phone inject 1 "$(frame 6 100 $tail_of_header)" >/dev/null
done
must_await 10 was_reset
must_await 20 all_phones_listed
must load -d "$(id_of_phone 1)" echo 100000

step "a packet for a connection that does not exist is answered with RST"
rsts() {
	phone counters 1 | jq '[.. | .rst_received? | numbers] | add // 0'
}
was=$(rsts)
rst_came() {
	[ "$(rsts)" -gt "$was" ]
}
phone inject 1 "$(frame 6 36 "${tail_of_header}0007fffe00000000000000005010010000000000")" >/dev/null
must_await 5 rst_came

step "phone 2 noticed nothing of all that"
kill -0 "$other" 2>/dev/null || fail "its connection ended: $(cat "$DIR/other.log")"
kill "$other"
wait "$other" 2>/dev/null
finish
