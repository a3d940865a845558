/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/snapshot.h"

#include <stdlib.h>

struct snapshot *
snapshot_new(size_t devices, size_t clients, size_t sockets)
{
	struct snapshot *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	/* One row more than needed: calloc(0) may give NULL. */
	s->devices = calloc(devices + 1, sizeof s->devices[0]);
	s->clients = calloc(clients + 1, sizeof s->clients[0]);
	s->scms = calloc(devices + 1, sizeof s->scms[0]);
	s->sockets = calloc(sockets + 1, sizeof s->sockets[0]);
	if (s->devices == NULL || s->clients == NULL || s->scms == NULL ||
	    s->sockets == NULL) {
		snapshot_free(s);
		return NULL;
	}
	return s;
}

void
snapshot_free(struct snapshot *s)
{
	if (s == NULL)
		return;
	free(s->devices);
	free(s->clients);
	free(s->scms);
	free(s->sockets);
	free(s);
}
