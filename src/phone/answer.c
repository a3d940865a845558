/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"

void
answer_error(struct json *j, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_object(j, NULL);
	json_string(j, "error", text);
	json_end(j);
}
