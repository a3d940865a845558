/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lockdown's stream: a length of four bytes, big-endian, and a property list,
 * XML or binary; the answer has the form of the request.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "phone/lockdown.h"
#include "phone/mux.h"
#include "phone/port.h"
#include "wire/plist_guard.h"

/* Requests are taken on while less than this waits to be fetched.  Beyond it
 * the host's bytes stay unacknowledged. */
#define BACKLOG_MAX (256 * 1024)

/* A request has a handful of keys; a pair record, as a dictionary of its own
 * in one, a dozen. */
#define REQUEST_LIMITS ((struct plist_limits){ 8, 1024 })

struct lockdown {
	uint8_t head[4];
	size_t have;       /* bytes of head and body */
	size_t body_len;   /* when the head is there */
	size_t body_size;  /* allocated */
	uint8_t *body;
	size_t unread; /* input that has been handled and not yet consumed */
};

static bool
lockdown_open(struct conn *c)
{
	c->lockdown = calloc(1, sizeof *c->lockdown);
	return c->lockdown != NULL;
}

static void
lockdown_close(struct conn *c)
{
	if (c->lockdown == NULL)
		return;
	free(c->lockdown->body);
	free(c->lockdown);
	c->lockdown = NULL;
}

static bool
put_answer(struct conn *c, const void *bytes, uint32_t len)
{
	uint8_t head[4];
	struct writer w = writer_over(head, sizeof head);

	write_be32(&w, len);
	return conn_ring_put(c, head, sizeof head) &&
	    conn_ring_put(c, bytes, len);
}

static bool
send_answer(struct conn *c, plist_t answer, bool binary)
{
	char *bytes = NULL;
	uint32_t len = 0;
	bool done;

	if (binary)
		plist_to_bin(answer, &bytes, &len);
	else
		plist_to_xml(answer, &bytes, &len);
	done = bytes != NULL && put_answer(c, bytes, len);
	if (binary)
		plist_to_bin_free(bytes);
	else
		plist_to_xml_free(bytes);
	return done;
}

/* A whole request.  False: it is none, or memory has run out. */
static bool
handle_request(struct conn *c, const uint8_t *body, size_t len)
{
	const bool binary = len >= 8 && memcmp(body, "bplist00", 8) == 0;
	plist_t request = plist_guard_parse(body, len, REQUEST_LIMITS);
	plist_t answer;
	bool sent;

	if (request == NULL)
		return false;
	answer = lockdown_answer(c->mux->id, request);
	plist_free(request);
	if (answer == NULL)
		return false;
	sent = send_answer(c, answer, binary);
	plist_free(answer);
	return sent;
}

/* The length is known: makes room for the body. */
static bool
begin_body(struct lockdown *l)
{
	struct reader r = reader_over(l->head, sizeof l->head);
	uint8_t *body;

	l->body_len = read_be32(&r);
	if (l->body_len == 0 || l->body_len > LOCKDOWN_REQUEST_MAX)
		return false;
	if (l->body_len <= l->body_size)
		return true;
	body = realloc(l->body, l->body_len);
	if (body == NULL)
		return false;
	l->body = body;
	l->body_size = l->body_len;
	return true;
}

/* Takes what belongs to the current request: how many bytes; 0: an error. */
static size_t
take_part(struct conn *c, const uint8_t *data, size_t len)
{
	struct lockdown *l = c->lockdown;
	const bool in_head = l->have < sizeof l->head;
	uint8_t *into = in_head ? l->head + l->have
				: l->body + (l->have - sizeof l->head);
	const size_t wanted =
	    sizeof l->head + (in_head ? 0 : l->body_len) - l->have;
	const size_t n = len < wanted ? len : wanted;

	memcpy(into, data, n);
	l->have += n;
	if (n < wanted)
		return n;
	if (in_head)
		return begin_body(l) ? n : 0;
	l->have = 0;
	return handle_request(c, l->body, l->body_len) ? n : 0;
}

/* Lets the host send on, unless it should fetch its answers first. */
static void
consume(struct conn *c)
{
	struct lockdown *l = c->lockdown;
	const size_t n = l->unread;

	if (n == 0 || c->ring.used >= BACKLOG_MAX)
		return;
	l->unread = 0;
	conn_consume(c, n);
}

static bool
lockdown_input(struct conn *c, const uint8_t *data, size_t len)
{
	c->lockdown->unread += len;
	while (len > 0) {
		const size_t n = take_part(c, data, len);

		if (n == 0)
			return false;
		data += n;
		len -= n;
	}
	consume(c);
	return true;
}

static size_t
lockdown_output(struct conn *c, size_t max, struct span out[2])
{
	return ring_peek(&c->ring, max, out);
}

static void
lockdown_sent(struct conn *c, size_t n)
{
	ring_drop(&c->ring, n);
	consume(c);
	conn_wake(c);
}

const struct port port_lockdown = {
	.name = "lockdown",
	.number = PORT_LOCKDOWN,
	.open = lockdown_open,
	.input = lockdown_input,
	.output = lockdown_output,
	.sent = lockdown_sent,
	.close = lockdown_close,
};
