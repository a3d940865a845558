/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_ROSTER_H
#define MUXD_DAEMON_ROSTER_H

/*
 * The list of devices as clients see it, at one moment.  The manager makes a
 * new one whenever a device comes or goes; workers hold references and read.
 * Nobody changes one.
 */

#include <stddef.h>

#include "actor/mailbox.h"
#include "actor/ref.h"
#include "wire/client.h"

struct roster {
	struct ref refs;
	size_t count;
	struct client_device devices[];
};

/* With room for `count` entries, to be filled by the caller; NULL when out of
 * memory. */
struct roster *roster_new(size_t count);
struct roster *roster_get(struct roster *r);
void roster_put(struct roster *r);

/* What a listener is told. */
enum notice_kind {
	NOTICE_ATTACHED,
	NOTICE_DETACHED,
	NOTICE_PAIRED,
	NOTICE_FAILED, /* a device is left alone; for admin clients only */
};

struct msg_notice {
	struct msg msg;
	enum notice_kind kind;
	struct client_device device; /* of DETACHED, PAIRED the id and the UDID
				      * at least; empty in FAILED */
	const char *source;          /* of what has FAILED, static; and its key */
	char key[64];                /* as in struct usb_ident */
	char text[256];              /* why, for FAILED and DETACHED */
};

#endif
