/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections by source port: pages of pointers, made when first needed.
 */
#include <stdlib.h>

#include "phone/mux_int.h"

#define PAGES (65536 / MUX_TABLE_PAGE)

struct conn *
table_find(const struct mux *m, uint16_t sport)
{
	struct conn **page = m->table[sport / MUX_TABLE_PAGE];

	return page != NULL ? page[sport % MUX_TABLE_PAGE] : NULL;
}

bool
table_add(struct mux *m, struct conn *c)
{
	struct conn ***page = &m->table[c->sport / MUX_TABLE_PAGE];

	if (*page == NULL)
		*page = calloc(MUX_TABLE_PAGE, sizeof **page);
	if (*page == NULL)
		return false;
	(*page)[c->sport % MUX_TABLE_PAGE] = c;
	return true;
}

void
table_remove(struct mux *m, struct conn *c)
{
	m->table[c->sport / MUX_TABLE_PAGE][c->sport % MUX_TABLE_PAGE] = NULL;
}

struct conn *
table_from(const struct mux *m, unsigned sport)
{
	while (sport < 65536) {
		struct conn **page = m->table[sport / MUX_TABLE_PAGE];

		if (page == NULL) {
			sport = (sport / MUX_TABLE_PAGE + 1) * MUX_TABLE_PAGE;
			continue;
		}
		if (page[sport % MUX_TABLE_PAGE] != NULL)
			return page[sport % MUX_TABLE_PAGE];
		sport++;
	}
	return NULL;
}

void
table_fini(struct mux *m)
{
	for (unsigned i = 0; i < PAGES; i++) {
		free(m->table[i]);
		m->table[i] = NULL;
	}
}
