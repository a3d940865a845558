/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_RELAY_CONNECTOR_H
#define MUXD_RELAY_CONNECTOR_H

/*
 * Connects to the phone for the loop, which must not wait.  Each connection is
 * made on one of a few threads; they are started as they are needed, and a
 * phone that does not answer keeps no more than those busy.
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "base/cause.h"
#include "relay/target.h"

#define CONNECTOR_THREADS 32
/* Clients that wait for a thread; with more, the loop stops accepting, and the
 * rest wait in the listening socket. */
#define CONNECTOR_WAITING 1024

/* Loop to connector and back, with the descriptors in it. */
struct errand {
	struct msg msg; /* of the loop's mailbox; its type means nothing */
	struct errand *next;
	const struct listener *listener; /* where the client came in */
	uint16_t port;
	int local;  /* the client */
	int remote; /* the phone; -1: see why */
	struct cause why;
};

struct connector;

/* Finished errands go to `results`.  NULL on lack of memory. */
struct connector *connector_new(struct target *target,
    struct mailbox *results);
/* Waits for the errands under way; those that have not begun are dropped. */
void connector_free(struct connector *c);

/* False when too many wait, or no thread can be had (errno): the errand stays
 * the caller's.  The loop's thread. */
bool connector_send(struct connector *c, struct errand *e);

#endif
