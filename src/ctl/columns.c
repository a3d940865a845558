/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/columns.h"

#include <stdlib.h>

#include "ctl/format.h"

#define GAP 2 /* blanks between columns */

struct cell {
	char *text;
	size_t width;
	bool right;
};

struct columns {
	size_t count; /* of columns */
	struct cell *cells; /* row after row */
	size_t used, size;
	bool bad;
};

struct columns *
columns_new(size_t count)
{
	struct columns *t = calloc(1, sizeof *t);

	if (t != NULL)
		t->count = count;
	return t;
}

void
columns_free(struct columns *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->used; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}

static bool
make_room(struct columns *t)
{
	const size_t size = t->size > 0 ? t->size * 2 : 64;
	struct cell *cells;

	if (t->used < t->size)
		return true;
	cells = realloc(t->cells, size * sizeof *cells);
	if (cells == NULL)
		return false;
	t->cells = cells;
	t->size = size;
	return true;
}

static void
put(struct columns *t, const char *text, bool right)
{
	struct cell cell = { .right = right };

	if (t == NULL || t->bad)
		return;
	if (text == NULL || *text == '\0')
		text = "-";
	cell.text = make_room(t) ? format_printable(text, &cell.width) : NULL;
	if (cell.text != NULL)
		t->cells[t->used++] = cell;
	else
		t->bad = true;
}

void
columns_left(struct columns *t, const char *text)
{
	put(t, text, false);
}

void
columns_right(struct columns *t, const char *text)
{
	put(t, text, true);
}

static size_t
width_of(const struct columns *t, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < t->used; i += t->count)
		if (t->cells[i].width > width)
			width = t->cells[i].width;
	return width;
}

static void
print_cell(const struct cell *cell, size_t width, bool last, FILE *to)
{
	const int pad = (int)(width - cell->width);

	if (cell->right)
		fprintf(to, "%*s%s", pad, "", cell->text);
	else
		fprintf(to, "%s%*s", cell->text, last ? 0 : pad, "");
	fprintf(to, "%*s", last ? 0 : GAP, "");
}

bool
columns_print(const struct columns *t, FILE *to)
{
	size_t *widths;

	if (t == NULL || t->bad)
		return false;
	widths = calloc(t->count, sizeof *widths);
	if (widths == NULL)
		return false;
	for (size_t i = 0; i < t->count; i++)
		widths[i] = width_of(t, i);
	for (size_t row = 0; row + t->count <= t->used; row += t->count) {
		for (size_t i = 0; i < t->count; i++)
			print_cell(&t->cells[row + i], widths[i],
			    i + 1 == t->count, to);
		putc('\n', to);
	}
	free(widths);
	return true;
}
