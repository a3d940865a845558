/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/hex.h"

#include <stddef.h>
#include <string.h>

static int
digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) % 16 : -1;
}

long
hex_read(char *text)
{
	const size_t len = strlen(text);

	if (len % 2 != 0)
		return -1;
	for (size_t i = 0; i < len / 2; i++) {
		const int high = digit(text[2 * i]);
		const int low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		text[i] = (char)(high << 4 | low);
	}
	return (long)(len / 2);
}
