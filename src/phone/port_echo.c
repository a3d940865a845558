/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Echo, and the two services that say something first.  What has come in is
 * held until it has gone out, so the phone's window closes when the host does
 * not read.
 */
#include "phone/port.h"

static const char greeting[] = PORT_GREETING;
#define GREETING_LEN (sizeof greeting - 1)

static bool
greet_open(struct conn *c)
{
	return conn_ring_put(c, greeting, GREETING_LEN);
}

static bool
echo_input(struct conn *c, const uint8_t *data, size_t len)
{
	return conn_ring_put(c, data, len);
}

/* What lies behind the bytes that output() gave before and sent() has not
 * dropped: none, because packets leave one after another. */
static size_t
echo_output(struct conn *c, size_t max, struct span out[2])
{
	const size_t n = ring_peek(&c->ring, max, out);

	c->offset += n;
	conn_consume(c, n);
	return n;
}

/* The greeting never came in, so sending it consumes nothing. */
static size_t
greet_output(struct conn *c, size_t max, struct span out[2])
{
	const size_t n = ring_peek(&c->ring, max, out);
	const size_t own = c->offset < GREETING_LEN
	    ? GREETING_LEN - (size_t)c->offset
	    : 0;

	c->offset += n;
	if (n > own)
		conn_consume(c, n - own);
	return n;
}

/* Only now the bytes' place may be used again. */
static void
echo_sent(struct conn *c, size_t n)
{
	ring_drop(&c->ring, n);
	conn_wake(c);
}

const struct port port_echo = {
	.name = "echo",
	.number = PORT_ECHO,
	.input = echo_input,
	.output = echo_output,
	.sent = echo_sent,
};

const struct port port_greet = {
	.name = "greet",
	.number = PORT_GREET,
	.early = true,
	.open = greet_open,
	.input = echo_input,
	.output = greet_output,
	.sent = echo_sent,
};

const struct port port_greet_joined = {
	.name = "greet-joined",
	.number = PORT_GREET_JOINED,
	.early = true,
	.joined = true,
	.open = greet_open,
	.input = echo_input,
	.output = greet_output,
	.sent = echo_sent,
};
