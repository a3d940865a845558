/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cause.h"

#include <stdarg.h>
#include <stdio.h>

int
cause_set(struct cause *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->text, sizeof c->text, fmt, ap);
	va_end(ap);
	return -1;
}
