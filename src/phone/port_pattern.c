/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Discard, and the services that send the pattern whatever they hear.
 */
#include "phone/pattern.h"
#include "phone/port.h"

static bool
discard_input(struct conn *c, const uint8_t *data, size_t len)
{
	(void)data;
	conn_consume(c, len);
	return true;
}

static size_t
pattern_output(struct conn *c, size_t max, struct span out[2])
{
	const size_t n = max < PATTERN_RUN ? max : PATTERN_RUN;

	out[0] = (struct span){ pattern_at(c->offset), n };
	out[1] = (struct span){ NULL, 0 };
	c->offset += n;
	return n;
}

/* The RST goes right behind the last byte. */
static size_t
burst_output(struct conn *c, size_t max, struct span out[2])
{
	const size_t left = PORT_BURST_LEN - (size_t)c->offset;
	const size_t n = pattern_output(c, max < left ? max : left, out);

	if (n == left)
		conn_abort(c, "burst: all has been sent");
	return n;
}

const struct port port_discard = {
	.name = "discard",
	.number = PORT_DISCARD,
	.input = discard_input,
};

const struct port port_chargen = {
	.name = "chargen",
	.number = PORT_CHARGEN,
	.input = discard_input,
	.output = pattern_output,
};

const struct port port_burst = {
	.name = "burst",
	.number = PORT_BURST,
	.input = discard_input,
	.output = burst_output,
};
