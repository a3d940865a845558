/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_ROLES_H
#define MUXD_DAEMON_ROLES_H

/*
 * The daemon's kinds of thread (actor/role.h tells how they are checked).
 *
 *	role	how many	blocks in
 *	main	1		signals
 *	manager	1		its mailbox
 *	monitor	1 per source	USB hotplug, or a USB/IP server's list
 *	reader	1 per device	16 KiB bulk reads
 *	writer	1 per device	its mailbox, and in bulk writes
 *	worker	1 per client	its client's socket and its mailbox; without a
 *				client, at the door (door.h)
 *	logger	1		its mailbox
 *
 * A role is not a thread: while a reader or writer, a connection's worker or the
 * manager sleeps, who has something for it may take its role for a moment
 * (actor/baton.h).  Pollers (actor/poller.h), one for each processor, have no
 * role of their own: they watch sockets and transports for those who sleep, and
 * for clients that have no worker yet (client.h).
 */

#include "actor/role.h"

extern struct role on_main, on_manager, on_monitor, on_reader, on_writer,
    on_worker, on_logger;

#endif
