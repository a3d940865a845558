#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Connections that open and close by the ten thousand leave nothing behind.
. "${0%/*}/lib.sh"

cycles=$(scaled 10000)
# More than there are source ports, so that their choice wraps.
beyond_ports=70000
[ "$MUXD_SANITIZE" = no ] || beyond_ports=$cycles

phones 1
daemon

step "the daemon is warm after $((cycles * 4 / 5)) connections"
# More at once than later, so that as many workers are there as ever will be.
must load -c 16 connect $((cycles / 20))
must_await 5 has_connections 0
rss=$(rss_kib "$muxd_pid")
fds=$(fds_of "$muxd_pid")
threads=$(threads_of "$muxd_pid")
note "memory $rss KiB, descriptors $fds, threads $threads"

step "$cycles connections are opened and closed"
must load -c 4 connect "$cycles"
must_await 5 has_connections 0

step "memory, descriptors and threads are what they were"
note "memory $(rss_kib "$muxd_pid") KiB, descriptors $(fds_of "$muxd_pid"), threads $(threads_of "$muxd_pid")"
# Each worker may be lent one to poll with, which is kept for the next.
at_most $((fds + threads)) "$(fds_of "$muxd_pid")" descriptors
at_most "$threads" "$(threads_of "$muxd_pid")" threads
[ "$MUXD_SANITIZE" != no ] ||
    at_most $((rss + 512)) "$(rss_kib "$muxd_pid")" "KiB of memory"

step "$beyond_ports connections one after another: none fails where source ports wrap"
must load connect "$beyond_ports"
[ "$MUXD_SANITIZE" != no ] ||
    at_most $((rss + 512)) "$(rss_kib "$muxd_pid")" "KiB of memory"
finish
