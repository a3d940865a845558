/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usbip_golden.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static size_t
unhex(uint8_t *out, size_t room, const char *text)
{
	size_t digits = 0;

	for (; *text != '\0' && digits / 2 < room; text++) {
		const char *hex = "0123456789abcdef";
		const char *at = strchr(hex, *text);

		if (at == NULL)
			continue;
		if (digits % 2 == 0)
			out[digits / 2] = (uint8_t)((at - hex) << 4);
		else
			out[digits / 2] |= (uint8_t)(at - hex);
		digits++;
	}
	return digits / 2;
}

FILE *
golden_open(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[512];
	FILE *f;

	snprintf(path, sizeof path, "%s/tests/golden/%s",
	    top != NULL ? top : ".", name);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "cannot open %s", path);
	return f;
}

bool
golden_next(FILE *f, struct golden_line *out)
{
	char text[4096], way[5];
	int after;

	memset(out, 0, sizeof *out);
	while (fgets(text, sizeof text, f) != NULL) {
		if (sscanf(text, "%4s %zu: %n", way, &out->length, &after) < 2)
			continue;
		out->from_client = way[0] == 'C';
		out->shown = unhex(out->bytes, sizeof out->bytes, text + after);
		return true;
	}
	return false;
}
