/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbip/server_park.h"

#include <stdlib.h>

void
park_init(struct park *p)
{
	p->first = NULL;
	p->end = &p->first;
	p->count = 0;
}

/* `*at` leaves the list; `out` gets what it was. */
static bool
take_at(struct park *p, struct parked **at, struct usbip_pdu *out)
{
	struct parked *it = *at;

	if (it == NULL)
		return false;
	*at = it->next;
	if (*at == NULL)
		p->end = at;
	p->count--;
	*out = it->pdu;
	free(it);
	return true;
}

static struct parked **
find(struct park *p, uint32_t seqnum)
{
	struct parked **at = &p->first;

	while (*at != NULL && (*at)->pdu.seqnum != seqnum)
		at = &(*at)->next;
	return at;
}

bool
park_add(struct park *p, const struct usbip_pdu *pdu)
{
	struct parked *it =
	    p->count < PARK_MAX ? malloc(sizeof *it) : NULL;

	if (it == NULL)
		return false;
	it->next = NULL;
	it->pdu = *pdu;
	*p->end = it;
	p->end = &it->next;
	p->count++;
	return true;
}

bool
park_has(const struct park *p, uint32_t seqnum)
{
	const struct parked *it = p->first;

	while (it != NULL && it->pdu.seqnum != seqnum)
		it = it->next;
	return it != NULL;
}

bool
park_take(struct park *p, struct usbip_pdu *out)
{
	return take_at(p, &p->first, out);
}

bool
park_take_seqnum(struct park *p, uint32_t seqnum, struct usbip_pdu *out)
{
	return take_at(p, find(p, seqnum), out);
}

void
park_fini(struct park *p)
{
	struct usbip_pdu dropped;

	while (park_take(p, &dropped))
		;
}
