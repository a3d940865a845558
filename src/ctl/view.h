/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_CTL_VIEW_H
#define MUXD_CTL_VIEW_H

/*
 * A view is a table that describes a table: which rows of the daemon's status
 * are shown, and what of each.  A command is one or some of these.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <plist/plist.h>

#include "base/json.h"

enum view_kind {
	VIEW_TEXT,
	VIEW_NUMBER,
	VIEW_KNOWN, /* a number whose 0 says that it is not known */
	VIEW_BYTES,
	VIEW_SPEED,
	VIEW_DURATION,
	VIEW_PRODUCT,	/* 16 bits, as lsusb has them */
	VIEW_LOCATION,	/* 32 bits, hexadecimal */
	VIEW_PORT_PATH, /* the same, as the kernel names ports */
};

struct view_column {
	const char *title;
	const char *key; /* of wire/admin.h */
	enum view_kind kind;
};

struct view {
	const char *table; /* key in the status: an array of rows */
	const char *order; /* rows in the order of this number, 0 last */
	bool (*wants)(plist_t row); /* NULL: every row */
	size_t count;
	const struct view_column *columns;
};

/* With `count` from the array. */
#define VIEW_COLUMNS(c) .count = sizeof(c) / sizeof *(c), .columns = (c)

/* The rows that a view wants, in its order; they stay the status'. */
struct view_rows {
	plist_t *rows;
	size_t count;
};

/* False when out of memory.  A table that is not there has no rows. */
bool view_select(struct view_rows *out, const struct view *v, plist_t status);
void view_rows_fini(struct view_rows *r);

/* Prints heading and rows; false when out of memory. */
bool view_print(const struct view *v, const struct view_rows *r, FILE *to);

/* Writes the rows, whole, as an array at the top. */
void view_json(struct json *j, const struct view_rows *r);

#endif
