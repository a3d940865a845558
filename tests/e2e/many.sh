#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Sixteen phones with eight connections each, all at once, in all directions.
. "${0%/*}/lib.sh"

size=$(scaled $((8 << 20)))
phones 16
daemon
wait_phones 16

step "16 phones x 8 connections: echo, discard and chargen side by side"
pids=()
for kind in echo discard chargen; do
	load_beside "load-$kind" --all -c 8 "$kind" "$size"
	pids+=("$beside")
done

step "every byte of every connection is the one that was meant"
for pid in "${pids[@]}"; do
	wait "$pid" || fail "muxload ended with $?: $(tail -n 3 "$DIR"/load-*.log)"
done
finish
