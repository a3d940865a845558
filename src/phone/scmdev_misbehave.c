/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a device must not do, for tests of hosts: one kind at a time, by its
 * name, until another is chosen.
 *
 * Messages that are not due are sent with ids of their own, so that the host's
 * answers to them, whatever they say, are none that nobody has asked for.
 */
#include "phone/scmdev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[SCMDEV_M_KINDS] = {
	[SCMDEV_M_NONE] = "none",
	[SCMDEV_M_SPLIT] = "split",
	[SCMDEV_M_PACK] = "pack",
	[SCMDEV_M_NEVER_ACK] = "never-ack",
	[SCMDEV_M_DOUBLE_ACK] = "double-ack",
	[SCMDEV_M_STRAY_ACK] = "stray-ack",
	[SCMDEV_M_STRAY_REPLY] = "stray-reply",
	[SCMDEV_M_DUPLICATE_OPEN] = "duplicate-open",
	[SCMDEV_M_EARLY_WRITE] = "early-write",
	[SCMDEV_M_LATE_WRITE] = "late-write",
	[SCMDEV_M_EMPTY_WRITE] = "empty-write",
	[SCMDEV_M_HUGE_LENGTH] = "huge-length",
	[SCMDEV_M_UNKNOWN_OPCODE] = "unknown-opcode",
	[SCMDEV_M_UNPLUG] = "unplug",
	[SCMDEV_M_DEAF] = "deaf",
};

const char *
scmdev_misbehaviour_name(enum scmdev_misbehaviour kind)
{
	return names[kind];
}

static int
find(const char *text, size_t len)
{
	for (int i = 0; i < SCMDEV_M_KINDS; i++)
		if (strlen(names[i]) == len && strncmp(names[i], text, len) == 0)
			return i;
	return -1;
}

int
scmdev_misbehave(struct scmdev *s, const char *text, struct cause *why)
{
	const size_t len = strcspn(text, "/");
	const int kind = find(text, len);
	unsigned long n = 0;
	char *end = NULL;

	if (kind < 0)
		return cause_set(why, "misbehave: '%.60s' is none that it "
		    "knows; see muxphone(1)", text);
	if (text[len] == '/') {
		n = strtoul(text + len + 1, &end, 10);
		if (text[len + 1] < '0' || text[len + 1] > '9' ||
		    *end != '\0' || n == 0 || n > UINT32_MAX)
			return cause_set(why, "misbehave: '%.60s' is no number "
			    "from 1", text + len + 1);
	}
	s->misbehaviour = (enum scmdev_misbehaviour)kind;
	s->misbehaviour_arg = n;
	s->misbehaved = 0;
	return 0;
}

/* ---- Messages that are not due ------------------------------------------ */

static void
send_write(struct scmdev *s, uint32_t socket, const char *text)
{
	struct scmdev_message m = {
		.op = SCMDEV_WRITE, .socket = socket,
		.data = (const uint8_t *)text, .len = (uint32_t)strlen(text),
	};

	if (scmdev_request_extra(s, &m))
		s->misbehaved++;
}

static void
send_again(struct scmdev *s, const struct scmdev_message *m)
{
	struct scmdev_message copy = *m;

	if (scmdev_request_extra(s, &copy))
		s->misbehaved++;
}

/* Bytes that are no message, in a transfer of their own. */
static void
send_nonsense(struct scmdev *s, const struct scmdev_message *like,
    size_t opcode_at, uint8_t opcode, size_t length_at)
{
	uint8_t bytes[SCMDEV_HEADER_MAX];
	struct scmdev_message m = {
		.op = SCMDEV_WRITE, .id = like->id, .socket = like->socket,
	};
	const size_t len = scmdev_write(&s->style, &m, bytes, sizeof bytes);

	bytes[opcode_at] = opcode;
	if (length_at > 0)
		memset(bytes + length_at, 0xff, 4);
	if (scmdev_queue(s, SCMDEV_BULK, bytes, len))
		s->misbehaved++;
}

/* An answer with an id that the host has not used, or not at the moment. */
static void
send_stray(struct scmdev *s, const struct scmdev_message *m, bool reply)
{
	uint8_t bytes[SCMDEV_HEADER_MAX + 9];
	const uint8_t nothing[4] = { 0 };
	struct scmdev_message stray = *m;
	size_t len;

	stray.id ^= 0x80;
	if (reply) {
		stray.op = SCMDEV_REPLY;
		stray.data = nothing;
		stray.len = s->style.hss ? 3 : 4;
	}
	len = scmdev_write(&s->style, &stray, bytes, sizeof bytes);
	if (scmdev_queue(s, scmdev_pipe_of(s, stray.op), bytes, len))
		s->misbehaved++;
}

/* The same answer once more. */
static void
send_twice(struct scmdev *s, const struct scmdev_message *m)
{
	uint8_t bytes[SCMDEV_HEADER_MAX + 9];
	const size_t len = scmdev_write(&s->style, m, bytes, sizeof bytes);

	if (scmdev_queue(s, scmdev_pipe_of(s, m->op), bytes, len))
		s->misbehaved++;
}

/* ---- When --------------------------------------------------------------- */

static void
before_write(struct scmdev *s, const struct scmdev_message *m)
{
	if (s->misbehaviour == SCMDEV_M_EMPTY_WRITE)
		send_write(s, m->socket, "");
	else if (s->misbehaviour == SCMDEV_M_HUGE_LENGTH && s->misbehaved == 0)
		send_nonsense(s, m, 0, s->style.hss ? 3 : SCMDEV_WRITE,
		    s->style.hss ? 8 : 4);
}

void
scmdev_misbehave_before(struct scmdev *s, const struct scmdev_message *m)
{
	switch (m->op) {
	case SCMDEV_OPEN:
		if (s->misbehaviour == SCMDEV_M_UNKNOWN_OPCODE)
			send_nonsense(s, m, 0, 0x7f, 0);
		break;
	case SCMDEV_CONNECT:
		if (s->misbehaviour == SCMDEV_M_EARLY_WRITE)
			send_write(s, m->socket, "early");
		break;
	case SCMDEV_WRITE:
		before_write(s, m);
		break;
	case SCMDEV_ACK:
		if (s->misbehaviour == SCMDEV_M_STRAY_ACK ||
		    s->misbehaviour == SCMDEV_M_STRAY_REPLY)
			send_stray(s, m,
			    s->misbehaviour == SCMDEV_M_STRAY_REPLY);
		break;
	default:
		break;
	}
}

void
scmdev_misbehave_after(struct scmdev *s, const struct scmdev_message *m)
{
	if (s->misbehaviour == SCMDEV_M_DUPLICATE_OPEN && m->op == SCMDEV_OPEN)
		send_again(s, m);
	else if (s->misbehaviour == SCMDEV_M_LATE_WRITE &&
	    m->op == SCMDEV_CLOSE)
		send_write(s, m->socket, "late");
	else if (s->misbehaviour == SCMDEV_M_DOUBLE_ACK &&
	    m->op == SCMDEV_ACK)
		send_twice(s, m);
}

/* At the same place each time; or at the first byte, the second and so on, up
 * to the 64th. */
size_t
scmdev_misbehave_cut(struct scmdev *s, size_t len)
{
	size_t at;

	if (s->misbehaviour != SCMDEV_M_SPLIT)
		return 0;
	at = s->misbehaviour_arg > 0 ? s->misbehaviour_arg
				     : 1 + s->misbehaved % 64;
	if (at >= len)
		at = len - 1;
	s->misbehaved++;
	return at;
}

size_t
scmdev_misbehave_unplug(struct scmdev *s, size_t len)
{
	const uint64_t after = s->misbehaviour_arg > 0 ? s->misbehaviour_arg
						       : 10;
	const uint64_t left = after - s->misbehaved;

	if (s->misbehaviour != SCMDEV_M_UNPLUG)
		return len;
	if (len < left) {
		s->misbehaved += len;
		return len;
	}
	/* Once: it comes back as a device like others. */
	s->misbehaviour = SCMDEV_M_NONE;
	return left;
}
