#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Phones come and go: a listener hears of each once, and the list is true.
. "${0%/*}/lib.sh"

rounds=$((200 / MUXD_TEST_SCALE < 20 ? 20 : 200 / MUXD_TEST_SCALE))

phones 4
daemon
step "four phones are listed, each under its own id"
wait_phones 4
equals 4 "$(muxctl -c "$CONTROL" --json list | jq '[.[].id] | unique | length')"

step "a listener watches while phones are unplugged and plugged $rounds times"
muxctl -c "$CONTROL" --json watch >"$DIR/watch.json" 2>>"$DIR/watch.log" &
watch_pid=$!
started+=("$watch_pid")
must_await 5 heard attached 4
for ((i = 0; i < rounds; i++)); do
	n=$((i % 4 + 1))
	phone unplug $n >/dev/null
	wait_phones 3
	phone plug $n >/dev/null
	wait_phones 4
done

step "it has heard of each coming and going, once"
must_await 5 heard attached $((rounds + 4))
must_await 5 heard detached "$rounds"
equals $((rounds + 4)) "$(grep -c '"attached"' "$DIR/watch.json")"
equals "$rounds" "$(grep -c '"detached"' "$DIR/watch.json")"

step "no id was used twice"
equals $((rounds + 4)) "$(jq -r 'select(.event == "attached").id' \
    "$DIR/watch.json" | sort -u | wc -l)" "different ids"

step "all four phones still work"
must load --all info
kill "$watch_pid"
finish
