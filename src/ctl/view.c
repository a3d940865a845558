/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/view.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ctl/columns.h"
#include "ctl/format.h"
#include "ctl/plist_json.h"
#include "wire/admin.h"

/* ---- Rows ---- */

struct order {
	uint64_t number;
	size_t place; /* in the daemon's answer, to keep equals in its order */
	plist_t row;
};

static int
compare(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

/* Fills `found`, which has room for the whole table. */
static size_t
find_rows(struct order *found, const struct view *v, plist_t table)
{
	plist_array_iter at = NULL;
	plist_t row = NULL;
	size_t count = 0;

	plist_array_new_iter(table, &at);
	while (at != NULL) {
		plist_array_next_item(table, at, &row);
		if (row == NULL)
			break;
		if (plist_get_node_type(row) != PLIST_DICT ||
		    (v->wants != NULL && !v->wants(row)))
			continue;
		found[count] = (struct order){ .place = count, .row = row,
			/* 0 becomes the greatest. */
			.number = admin_number(row, v->order) - 1 };
		count++;
	}
	free(at);
	qsort(found, count, sizeof *found, compare);
	return count;
}

bool
view_select(struct view_rows *out, const struct view *v, plist_t status)
{
	plist_t table = plist_dict_get_item(status, v->table);
	struct order *found;
	size_t all = 0;

	if (table != NULL && plist_get_node_type(table) == PLIST_ARRAY)
		all = plist_array_get_size(table);
	/* One more than needed: calloc(0) may give NULL. */
	found = calloc(all + 1, sizeof *found);
	out->rows = calloc(all + 1, sizeof *out->rows);
	out->count = 0;
	if (found == NULL || out->rows == NULL) {
		free(found);
		view_rows_fini(out);
		return false;
	}
	if (all > 0)
		out->count = find_rows(found, v, table);
	for (size_t i = 0; i < out->count; i++)
		out->rows[i] = found[i].row;
	free(found);
	return true;
}

void
view_rows_fini(struct view_rows *r)
{
	free(r->rows);
	*r = (struct view_rows){ NULL, 0 };
}

/* ---- Cells ---- */

static const char *
format_number(char out[FORMAT_MAX], enum view_kind kind, uint64_t n)
{
	switch (kind) {
	case VIEW_TEXT:
	case VIEW_NUMBER:
		break;
	case VIEW_KNOWN:
		if (n == 0)
			return NULL;
		break;
	case VIEW_BYTES:
		return format_bytes(out, n);
	case VIEW_SPEED:
		return n > 0 ? format_speed(out, n) : NULL;
	case VIEW_DURATION:
		return format_duration(out, n);
	case VIEW_PRODUCT:
		snprintf(out, FORMAT_MAX, "%04" PRIx64, n);
		return out;
	case VIEW_LOCATION:
		snprintf(out, FORMAT_MAX, "0x%08" PRIx64, n);
		return out;
	case VIEW_PORT_PATH:
		return n > 0 ? format_port_path(out, (uint32_t)n) : NULL;
	}
	snprintf(out, FORMAT_MAX, "%" PRIu64, n);
	return out;
}

/* The cell's text, in the row or in `out`; NULL when there is none. */
static const char *
cell_text(char out[FORMAT_MAX], const struct view_column *column, plist_t row)
{
	plist_t node = plist_dict_get_item(row, column->key);

	if (column->kind == VIEW_TEXT)
		return admin_text(row, column->key);
	if (node == NULL || plist_get_node_type(node) != PLIST_UINT)
		return NULL;
	return format_number(out, column->kind,
	    admin_number(row, column->key));
}

/* ---- Output ---- */

/* Amounts end in one place; texts and what is as long in each row begin in
 * one. */
static void
put_cell(struct columns *t, enum view_kind kind, const char *text)
{
	switch (kind) {
	case VIEW_TEXT:
	case VIEW_PRODUCT:
	case VIEW_LOCATION:
	case VIEW_PORT_PATH:
		columns_left(t, text);
		break;
	case VIEW_NUMBER:
	case VIEW_KNOWN:
	case VIEW_BYTES:
	case VIEW_SPEED:
	case VIEW_DURATION:
		columns_right(t, text);
		break;
	}
}

bool
view_print(const struct view *v, const struct view_rows *r, FILE *to)
{
	struct columns *t = columns_new(v->count);
	char out[FORMAT_MAX];
	bool printed;

	for (size_t i = 0; i < v->count; i++)
		put_cell(t, v->columns[i].kind, v->columns[i].title);
	for (size_t row = 0; row < r->count; row++)
		for (size_t i = 0; i < v->count; i++)
			put_cell(t, v->columns[i].kind,
			    cell_text(out, &v->columns[i], r->rows[row]));
	printed = columns_print(t, to);
	columns_free(t);
	return printed;
}

void
view_json(struct json *j, const struct view_rows *r)
{
	json_array(j, NULL);
	for (size_t i = 0; i < r->count; i++)
		plist_json_value(j, NULL, r->rows[i]);
	json_end(j);
}
