/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/control.h"

#include <string.h>

#include "base/json.h"
#include "phone/farm.h"

/* A request is a line, with its newline. */
static size_t
measure(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = memchr(bytes, '\n', len);

	return end != NULL ? (size_t)(end - bytes) + 1 : 0;
}

static uint8_t *
answer(void *arg, uint8_t *request, size_t len, size_t *answer_len)
{
	struct json j;

	request[len - 1] = '\0';
	json_init(&j);
	command_run(arg, (char *)request, &j);
	if (json_text(&j) == NULL) {
		json_fini(&j);
		return NULL; /* out of memory */
	}
	/* The newline takes the place of the end, which is not sent. */
	j.text[j.len] = '\n';
	*answer_len = j.len + 1;
	return (uint8_t *)j.text;
}

struct responder *
control_open(struct farm *f, const char *path, struct cause *why)
{
	static const struct responder_ops ops = {
		.request_max = CONTROL_LINE_MAX,
		.measure = measure,
		.answer = answer,
	};

	return responder_open(path, CONTROL_CLIENTS_MAX, &ops, f, why);
}
