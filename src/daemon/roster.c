/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/roster.h"

#include <stdlib.h>

struct roster *
roster_new(size_t count)
{
	struct roster *r =
	    calloc(1, sizeof *r + count * sizeof r->devices[0]);

	if (r == NULL)
		return NULL;
	ref_init(&r->refs);
	r->count = count;
	return r;
}

struct roster *
roster_get(struct roster *r)
{
	ref_get(&r->refs);
	return r;
}

void
roster_put(struct roster *r)
{
	if (r != NULL && ref_put(&r->refs))
		free(r);
}
