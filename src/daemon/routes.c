/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/routes.h"

#include <stdlib.h>

#include "daemon/connection.h"

struct route *
routes_find(struct device *d, uint16_t port)
{
	const struct route_leaf *leaf = d->routes[port / ROUTE_LEAF];

	return leaf != NULL ? leaf->routes[port % ROUTE_LEAF] : NULL;
}

bool
routes_add(struct device *d, struct route *r)
{
	struct route_leaf **leaf = &d->routes[r->port / ROUTE_LEAF];

	if (*leaf == NULL)
		*leaf = calloc(1, sizeof **leaf);
	if (*leaf == NULL)
		return false;
	(*leaf)->routes[r->port % ROUTE_LEAF] = r;
	(*leaf)->used++;
	return true;
}

struct route *
routes_remove(struct device *d, uint16_t port)
{
	struct route_leaf **leaf = &d->routes[port / ROUTE_LEAF];
	struct route *r = routes_find(d, port);

	if (r == NULL)
		return NULL;
	(*leaf)->routes[port % ROUTE_LEAF] = NULL;
	if (--(*leaf)->used == 0) {
		free(*leaf);
		*leaf = NULL;
	}
	return r;
}

struct route *
routes_remove_any(struct device *d)
{
	for (unsigned i = 0; i < ROUTE_LEAF; i++) {
		if (d->routes[i] == NULL)
			continue;
		for (unsigned j = 0; j < ROUTE_LEAF; j++)
			if (d->routes[i]->routes[j] != NULL)
				return routes_remove(d,
				    (uint16_t)(i * ROUTE_LEAF + j));
	}
	return NULL;
}
