/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commands of the control socket: raw sockets, whose every message a tester
 * chooses, and whose every answer he reads with `take`.  Nobody waits here: a
 * command that sends says under which message id, and the answer is there when
 * it is there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/json.h"
#include "phone/answer.h"
#include "phone/hex.h"
#include "phone/scmdev.h"

struct call {
	struct scmdev *s;
	char **arg;  /* behind the verb */
	int count;
	struct json *j;
};

/* ---- What the host has said --------------------------------------------- */

void
scmdev_hear(struct scmdev *s, const uint8_t *bytes, size_t len)
{
	struct scmdev_heard *h = NULL;

	if (s->heard_count < SCMDEV_HEARD_MAX &&
	    s->heard_bytes < SCMDEV_HEARD_BYTES_MAX)
		h = malloc(sizeof *h + len);
	if (h == NULL) {
		s->unheard++;
		return;
	}
	h->next = NULL;
	h->len = len;
	memcpy(h->bytes, bytes, len);
	if (s->last_heard != NULL)
		s->last_heard->next = h;
	else
		s->heard = h;
	s->last_heard = h;
	s->heard_count++;
	s->heard_bytes += len;
}

void
scmdev_heard_free(struct scmdev *s)
{
	while (s->heard != NULL) {
		struct scmdev_heard *h = s->heard;

		s->heard = h->next;
		free(h);
	}
	s->last_heard = NULL;
	s->heard_count = 0;
	s->heard_bytes = 0;
}

static void
put_hex(struct json *j, const char *key, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * len + 1);

	if (text == NULL) {
		json_null(j, key);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	json_string_len(j, key, text, 2 * len);
	free(text);
}

static void
put_heard(const struct scmdev *s, const struct scmdev_heard *h, struct json *j)
{
	struct scmdev_message m;

	scmdev_read_head(&s->style, h->bytes, &m);
	scmdev_read_payload(&s->style, h->bytes +
	    scmdev_header_size(&s->style), &m);
	json_object(j, NULL);
	json_string(j, "opcode", scmdev_op_name(m.op));
	json_uint(j, "message", m.id);
	json_uint(j, "socket", m.socket);
	if (m.op == SCMDEV_ACK || m.op == SCMDEV_REPLY)
		json_int(j, "code", m.code);
	if (s->style.hss && m.op == SCMDEV_ACK)
		json_string(j, "of", scmdev_op_name(m.of));
	if (m.op == SCMDEV_WRITE || m.op == SCMDEV_REPLY)
		put_hex(j, "data", m.data, m.len);
	put_hex(j, "raw", h->bytes, h->len);
	json_end(j);
}

static void
do_take(struct call *c)
{
	json_object(c->j, NULL);
	json_array(c->j, "messages");
	for (const struct scmdev_heard *h = c->s->heard; h != NULL;
	     h = h->next)
		put_heard(c->s, h, c->j);
	json_end(c->j);
	json_end(c->j);
	scmdev_heard_free(c->s);
}

/* ---- Arguments ---------------------------------------------------------- */

/* False, and an error. */
static bool
get_number(struct call *c, int i, long long least, long long most,
    long long *out)
{
	const char *text = i < c->count ? c->arg[i] : "";
	char *end = NULL;

	errno = 0;
	*out = strtoll(text, &end, 0);
	if (*text != '\0' && *end == '\0' && errno == 0 && *out >= least &&
	    *out <= most)
		return true;
	answer_error(c->j, "'%.40s': expected a number from %lld to %lld", text, least,
	    most);
	return false;
}

/* The bytes that hexadecimal digits say, in their own place; none is none. */
static bool
get_bytes(struct call *c, int i, const uint8_t **out, uint32_t *len)
{
	char *text = i < c->count ? c->arg[i] : NULL;
	const long n = text != NULL ? hex_read(text) : 0;

	if (n < 0) {
		answer_error(c->j, "expected pairs of hexadecimal digits");
		return false;
	}
	*out = (const uint8_t *)text;
	*len = (uint32_t)n;
	return true;
}

static struct scmdev_socket *
get_socket(struct call *c)
{
	struct scmdev_socket *sock;
	long long id;

	if (!get_number(c, 0, 0, UINT32_MAX, &id))
		return NULL;
	sock = scmdev_socket_find(c->s, (uint32_t)id);
	if (sock != NULL && sock->raw)
		return sock;
	answer_error(c->j, "socket %lld is none that 'open' has made", id);
	return NULL;
}

/* ---- Messages ----------------------------------------------------------- */

static bool
send_request(struct call *c, struct scmdev_socket *sock,
    struct scmdev_message *m)
{
	m->socket = sock->id;
	if (c->s->usb.configuration == 0)
		answer_error(c->j, "no host has configured the device");
	else if (!scmdev_request(c->s, m, sock, true))
		answer_error(c->j, "%d messages wait for answers, or out of memory",
		    SCMDEV_IDS);
	else {
		json_object(c->j, NULL);
		json_bool(c->j, "ok", true);
		json_uint(c->j, "socket", sock->id);
		json_uint(c->j, "message", m->id);
		json_end(c->j);
		return true;
	}
	return false;
}

static void
do_open(struct call *c)
{
	struct scmdev_message m = { .op = SCMDEV_OPEN };
	struct scmdev_socket *sock;

	for (int i = 0; i < c->count; i++) {
		m.v6 |= strcmp(c->arg[i], "inet6") == 0;
		m.udp |= strcmp(c->arg[i], "udp") == 0;
		if (strcmp(c->arg[i], "inet6") != 0 &&
		    strcmp(c->arg[i], "inet") != 0 &&
		    strcmp(c->arg[i], "udp") != 0 &&
		    strcmp(c->arg[i], "tcp") != 0) {
			answer_error(c->j, "open: expected tcp or udp, inet or inet6");
			return;
		}
	}
	sock = scmdev_socket_new(c->s);
	if (sock == NULL) {
		answer_error(c->j, "there are %d sockets, or out of memory",
		    SCMDEV_SOCKETS);
		return;
	}
	sock->raw = true;
	sock->v6 = m.v6;
	sock->udp = m.udp;
	if (send_request(c, sock, &m))
		sock->state = SCMDEV_S_OPENING;
	else
		scmdev_socket_drop(c->s, sock);
}

static void
do_connect(struct call *c)
{
	uint8_t bytes[SCMDEV_SOCKADDR_MAX];
	struct scmdev_message m = { .op = SCMDEV_CONNECT, .data = bytes };
	struct scmdev_socket *sock = get_socket(c);
	struct scmdev_address to;
	struct cause why;

	if (sock == NULL)
		return;
	if (c->count != 3) {
		answer_error(c->j, "connect: expected SOCKET ADDRESS PORT");
		return;
	}
	if (scmdev_address_parse(&to, c->arg[1], c->arg[2], &why) < 0) {
		answer_error(c->j, "connect: %s", why.text);
		return;
	}
	m.len = (uint32_t)scmdev_write_sockaddr(&c->s->style, &to, bytes);
	if (send_request(c, sock, &m) && sock->state == SCMDEV_S_OPEN)
		sock->state = SCMDEV_S_CONNECTING;
}

static void
do_write(struct call *c)
{
	struct scmdev_message m = { .op = SCMDEV_WRITE };
	struct scmdev_socket *sock = get_socket(c);

	if (sock != NULL && get_bytes(c, 1, &m.data, &m.len))
		send_request(c, sock, &m);
}

static void
do_close(struct call *c)
{
	struct scmdev_message m = { .op = SCMDEV_CLOSE };
	struct scmdev_socket *sock = get_socket(c);
	long long code = 0;

	if (sock == NULL || (c->count > 1 &&
		!get_number(c, 1, INT32_MIN, INT32_MAX, &code)))
		return;
	m.code = (int32_t)code;
	if (send_request(c, sock, &m))
		sock->state = SCMDEV_S_CLOSING;
}

static void
do_shutdown(struct call *c)
{
	struct scmdev_message m = { .op = SCMDEV_SHUTDOWN };
	struct scmdev_socket *sock = get_socket(c);

	if (sock == NULL)
		return;
	if (c->s->style.hss)
		send_request(c, sock, &m);
	else
		answer_error(c->j, "dialect 8 has no SHUTDOWN");
}

/* Numbers, and then bytes: what no edition lays out, as this project does. */
static void
send_option(struct call *c, enum scmdev_op op, int numbers, bool bytes)
{
	uint8_t payload[512];
	struct writer w = writer_over(payload, sizeof payload);
	struct scmdev_message m = { .op = op, .data = payload };
	struct scmdev_socket *sock = get_socket(c);
	const uint8_t *data;
	long long n;
	uint32_t len;

	if (sock == NULL)
		return;
	if (c->s->style.hss) {
		answer_error(c->j, "dialect 12 has no %s", scmdev_op_name(op));
		return;
	}
	for (int i = 1; i <= numbers; i++) {
		if (!get_number(c, i, INT32_MIN, UINT32_MAX, &n))
			return;
		write_le32(&w, (uint32_t)n);
	}
	if (bytes) {
		if (!get_bytes(c, numbers + 1, &data, &len))
			return;
		write_bytes(&w, data, len);
	}
	m.len = (uint32_t)writer_used(&w);
	if (w.bad)
		answer_error(c->j, "more than %zu bytes", sizeof payload);
	else
		send_request(c, sock, &m);
}

static void
do_setopt(struct call *c)
{
	send_option(c, SCMDEV_SETOPT, 2, true);
}

static void
do_getopt(struct call *c)
{
	send_option(c, SCMDEV_GETOPT, 3, false);
}

static void
do_ioctl(struct call *c)
{
	send_option(c, SCMDEV_IOCTL, 1, true);
}

/* ---- Anything else ------------------------------------------------------ */

/* Messages among the bytes wait for their answers, as far as they are any. */
static void
expect_answers(struct scmdev *s, const uint8_t *bytes, size_t len)
{
	const size_t head = scmdev_header_size(&s->style);
	struct scmdev_message m;

	for (size_t at = 0; len - at >= head; at += head + m.len) {
		struct scmdev_sent *sent;

		if (scmdev_read_head(&s->style, bytes + at, &m) !=
			SCMDEV_HEAD_OK || m.len > len - at - head)
			return;
		sent = &s->sent[m.id % SCMDEV_IDS];
		if (m.op == SCMDEV_ACK || m.op == SCMDEV_REPLY ||
		    m.op == SCMDEV_NOOP || sent->waiting)
			continue;
		if (m.op == SCMDEV_OPEN && s->style.hss && m.len >= 4) {
			struct reader r = reader_over(bytes + at + head, 4);

			m.socket = read_le32(&r);
		}
		*sent = (struct scmdev_sent){
			.known = true, .waiting = true, .recorded = true,
			.extra = true, .id = m.id, .op = m.op,
			.socket = m.socket,
		};
		s->waiting++;
	}
}

static void
do_send(struct call *c)
{
	const bool event = c->count > 1 && strcmp(c->arg[1], "interrupt") == 0;
	const uint8_t *bytes;
	uint32_t len;

	if (!get_bytes(c, 0, &bytes, &len))
		return;
	if (c->count > 1 && !event)
		answer_error(c->j, "send: expected HEX, or HEX interrupt");
	else if (event && !c->s->events)
		answer_error(c->j, "send: there is no interrupt pair");
	else if (c->s->usb.configuration == 0)
		answer_error(c->j, "no host has configured the device");
	else if (len > SCMDEV_SEND_MAX || !scmdev_accepts(c->s) ||
	    !scmdev_queue(c->s, event ? SCMDEV_EVENT : SCMDEV_BULK, bytes,
		len))
		answer_error(c->j, "more than %d bytes or %d transfers, or out of memory",
		    SCMDEV_SEND_MAX, SCMDEV_QUEUE_MAX);
	else {
		expect_answers(c->s, bytes, len);
		json_object(c->j, NULL);
		json_bool(c->j, "ok", true);
		json_end(c->j);
	}
}

static void
do_misbehave(struct call *c)
{
	struct cause why;

	if (scmdev_misbehave(c->s, c->count > 0 ? c->arg[0] : "", &why) < 0) {
		answer_error(c->j, "%s", why.text);
		return;
	}
	json_object(c->j, NULL);
	json_bool(c->j, "ok", true);
	json_end(c->j);
}

static const struct verb {
	const char *name;
	int most; /* arguments */
	void (*run)(struct call *c);
} verbs[] = {
	{ "open", 2, do_open },
	{ "connect", 3, do_connect },
	{ "write", 2, do_write },
	{ "close", 2, do_close },
	{ "shutdown", 1, do_shutdown },
	{ "setopt", 4, do_setopt },
	{ "getopt", 4, do_getopt },
	{ "ioctl", 3, do_ioctl },
	{ "send", 2, do_send },
	{ "take", 0, do_take },
	{ "misbehave", 1, do_misbehave },
};

void
scmdev_command(struct device *d, char **word, int count, struct json *j)
{
	struct call c = {
		.s = scmdev_of(d), .arg = word + 1, .count = count - 1, .j = j,
	};

	if (count == 0) {
		answer_error(c.j, "scm: what?  See muxphone(1)");
		return;
	}
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(word[0], verbs[i].name) != 0)
			continue;
		if (c.count > verbs[i].most)
			answer_error(c.j, "%s: too many arguments", word[0]);
		else
			verbs[i].run(&c);
		return;
	}
	answer_error(c.j, "scm: '%.40s' is none of its commands", word[0]);
}
