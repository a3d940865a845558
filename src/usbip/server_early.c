/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbip/server_import.h"

/* No importer takes longer from an UNLINK to the SUBMIT before it. */
#define EARLY_MS 1000

/* Seqnums wrap. */
static bool
is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

void
early_init(struct early *e)
{
	e->first = NULL;
	e->end = &e->first;
	e->count = 0;
	e->any = false;
}

bool
early_expects(const struct early *e, const struct usbip_pdu *unlink)
{
	const uint32_t target = unlink->unlink.seqnum;

	return e->count < EARLY_MAX && is_before(target, unlink->seqnum) &&
	    (!e->any || is_before(e->newest, target));
}

void
early_add(struct early *e, struct unlink *u, uint32_t target)
{
	u->target = target;
	u->deadline = moment_after_ms(clock_now(), EARLY_MS);
	u->next = NULL;
	*e->end = u;
	e->end = &u->next;
	e->count++;
}

/* `*at` leaves the list for the front of another. */
static void
move(struct early *e, struct unlink **at, struct unlink **to)
{
	struct unlink *u = *at;

	*at = u->next;
	if (*at == NULL)
		e->end = at;
	e->count--;
	u->next = *to;
	*to = u;
}

struct unlink *
early_submit(struct early *e, uint32_t seqnum, struct unlink **late)
{
	struct unlink **at = &e->first, *meant = NULL;

	e->newest = seqnum;
	e->any = true;
	*late = NULL;
	while (*at != NULL) {
		if ((*at)->target == seqnum)
			move(e, at, &meant);
		else if (is_before((*at)->target, seqnum))
			move(e, at, late);
		else
			at = &(*at)->next;
	}
	return meant;
}

struct unlink *
early_expired(struct early *e, struct moment now)
{
	struct unlink *expired = NULL;

	/* The oldest stand first. */
	while (e->first != NULL && !moment_before(now, e->first->deadline))
		move(e, &e->first, &expired);
	return expired;
}

int
early_timeout_ms(const struct early *e, struct moment now)
{
	return e->first != NULL ? moment_poll_timeout(now, e->first->deadline)
				: -1;
}
