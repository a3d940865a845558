/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_CTL_COLUMNS_H
#define MUXD_CTL_COLUMNS_H

/*
 * Text in columns as wide as what stands in them.  Cells are put in reading
 * order, the heading's first:
 *
 *	t = columns_new(2);
 *	columns_left(t, "PROGRAM");
 *	columns_right(t, "BYTES");
 *	...
 *	ok = columns_print(t, stdout);
 *	columns_free(t);
 *
 * A cell may come from a stranger: what a terminal would obey is replaced
 * (format_printable()).  Running out of memory spoils the whole, which
 * columns_print() tells.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct columns;

/* NULL when out of memory; all of these take that and do nothing. */
struct columns *columns_new(size_t count);
void columns_free(struct columns *t);

/* The next cell, copied, with its text at that side.  NULL and "" become "-",
 * so that columns can be counted. */
void columns_left(struct columns *t, const char *text);
void columns_right(struct columns *t, const char *text);

/* Prints all whole rows; no blanks at a line's end.  False when memory has run
 * out: nothing is printed then.  Whether `to` took it, ferror() tells. */
bool columns_print(const struct columns *t, FILE *to);

#endif
