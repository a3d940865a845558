/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A whole host, reader, writer and workers, against a device, with every step
 * of each in random order.  The model of it all is simple: a row of connections
 * k = 0, 1, 2, ...; in each, the device and its peer send one another so many
 * bytes, which are known from k.  Whatever the order, each byte arrives once
 * and in its place, each message is answered once, no message id is used before
 * its answer, and at the end nothing is left of anything.
 *
 * The device is a second writing, over the same codec; mailboxes are queues, so
 * what two threads may see in another order than one expects, is seen here.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scm/device.h"
#include "scm/socket.h"
#include "scm_talk.h"
#include "unit.h"

#define CONNECTIONS 60 /* in one run */
#define NUMBERS 6      /* of sockets, so used again and again */
#define STEPS_MAX 2000000

static struct scm_format format;
static struct talk_bytes up, down; /* from the device, to the device */
static struct moment now;

/* ---- Workers ------------------------------------------------------------ */

enum mail_kind { MAIL_START, MAIL_MESSAGE, MAIL_PART, MAIL_GONE };

struct mail {
	struct mail *next;
	enum mail_kind kind;
	struct scm_message m;
	struct scm_verdict verdict;
	uint8_t data[];
};

struct worker {
	struct mail *first, **last;
	bool started, ended;
	struct scm_socket s;
	struct scm_ids ids;
	struct talk_bytes waiting;
	unsigned k;
	bool connecting, connected, told_end;
	uint32_t to_peer, from_peer;
	uint32_t on_the_way; /* WRITEs that have not left */
};

static struct scm_device dev;
static struct worker workers[SCM_SLOTS];
static uint32_t refused;

/* To the reader: what workers have asked of it, oldest first. */
static struct {
	uint32_t slot;
	bool release;
} asked[1024];
static size_t asked_first, asked_count;

static void
ask_reader(uint32_t slot, bool release)
{
	const size_t at = (asked_first + asked_count++) % 1024;

	HOLDS(asked_count <= 1024, "too many questions");
	asked[at].slot = slot;
	asked[at].release = release;
}

static void
post(uint32_t slot, enum mail_kind kind, const struct scm_event *e)
{
	struct worker *w = &workers[slot];
	const size_t len =
	    e != NULL && e->message.op == SCM_WRITE ? e->message.len : 0;
	struct mail *m = calloc(1, sizeof *m + len);

	m->kind = kind;
	if (e != NULL) {
		m->m = e->message;
		m->verdict = e->verdict;
		if (len > 0)
			memcpy(m->data, e->message.data, len);
	}
	*w->last = m;
	w->last = &m->next;
}

static void
perform(struct worker *w, const struct scm_action *a)
{
	const uint32_t slot = (uint32_t)(w - workers);

	switch (a->kind) {
	case SCM_DO_SOCKET:
	case SCM_DO_CLOSE:
		scm_device_taken(&dev, slot, talk_ready(&w->waiting));
		talk_forget(&w->waiting, talk_ready(&w->waiting));
		w->connecting = w->connected = false;
		if (a->kind == SCM_DO_SOCKET)
			scm_socket_made(&w->s, 0);
		break;
	case SCM_DO_CONNECT:
		w->k = a->address.port - 1u;
		w->connecting = true;
		break;
	case SCM_DO_SEND:
		talk_put(&down, &format, &a->message, 0, 0, 0);
		break;
	case SCM_DO_LEAVE:
		ask_reader(slot, false);
		break;
	case SCM_DO_END:
		ask_reader(slot, true);
		w->ended = true;
		break;
	default:
		ck_abort_msg("action %d", a->kind);
	}
}

static void
run(struct worker *w)
{
	struct scm_action a;

	while (scm_socket_next(&w->s, now, &a), a.kind != SCM_DO_NOTHING)
		perform(w, &a);
}

static void
take_part(struct worker *w, const struct mail *m)
{
	if (scm_socket_data(&w->s, &m->m, now))
		memcpy(talk_append(&w->waiting, m->m.len), m->data, m->m.len);
	else
		scm_device_taken(&dev, (uint32_t)(w - workers), m->m.len);
}

static bool
take_mail(struct worker *w)
{
	const struct scm_limits limits = { .connect_ms = 20000 };
	struct mail *m = w->first;

	if (m == NULL)
		return false;
	w->first = m->next;
	if (w->first == NULL)
		w->last = &w->first;
	if (m->kind == MAIL_START)
		scm_socket_start(&w->s, format.dialect, &m->m, &w->ids,
		    &limits, now);
	else if (m->kind == MAIL_MESSAGE)
		scm_socket_message(&w->s, &m->m, &m->verdict, now);
	else if (m->kind == MAIL_PART)
		take_part(w, m);
	else
		scm_socket_gone(&w->s);
	w->started = true;
	free(m);
	return true;
}

static void
write_to_peer(struct worker *w)
{
	bool is_ready;
	const uint64_t most = scm_socket_writable(&w->s, &is_ready);
	const uint32_t n = most > 0 ? 1 + talk_any((uint32_t)most) : 0;

	HOLDS(is_ready == (most > 0), "ready or not");
	HOLDS(most <= talk_ready(&w->waiting), "bytes that are not there");
	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		HOLDS(w->waiting.data[w->waiting.at + i] ==
		    talk_byte_at(w->k, 0, w->to_peer + i),
		    "connection %u: byte %u to the peer", w->k, w->to_peer + i);
	w->to_peer += n;
	scm_device_taken(&dev, (uint32_t)(w - workers), n);
	talk_forget(&w->waiting, n);
	scm_socket_written(&w->s, n, now);
}

static void
read_from_peer(struct worker *w)
{
	const uint32_t room = scm_socket_room(&w->s);
	const uint32_t left = talk_amount(w->k, 1) - w->from_peer;
	uint32_t n = left < room ? left : room;

	if (!w->connected || room == 0)
		return;
	if (left == 0 && !w->told_end) {
		w->told_end = true;
		scm_socket_peer_ended(&w->s, now);
	}
	if (n > 0) {
		const struct scm_message m =
		    scm_socket_received(&w->s, n = 1 + talk_any(n), now);

		talk_put(&down, &format, &m, w->k, 1, w->from_peer);
		w->from_peer += n;
		w->on_the_way++;
	}
}

static void
step_worker(struct worker *w)
{
	if (w->ended || (!w->started && w->first == NULL))
		return;
	switch (w->started ? talk_any(5) : 0) {
	case 0:
	case 1:
		take_mail(w);
		break;
	case 2:
		write_to_peer(w);
		break;
	case 3:
		read_from_peer(w);
		break;
	case 4:
		if (w->on_the_way > 0) {
			w->on_the_way--;
			scm_socket_left(&w->s);
		}
		if (w->connecting) {
			w->connecting = false;
			w->connected = !talk_is_refused(w->k);
			scm_socket_connected(&w->s,
			    w->connected ? 0 : ECONNREFUSED, now);
		}
		break;
	}
	run(w);
}

/* ---- The reader --------------------------------------------------------- */

static void
answer_workers(void)
{
	for (; asked_count > 0; asked_count--) {
		const uint32_t slot = asked[asked_first].slot;

		if (asked[asked_first].release) {
			scm_device_release(&dev, slot,
			    &workers[slot].s.ids);
			HOLDS(workers[slot].first == NULL, "lost mail");
			free(workers[slot].waiting.data);
		} else {
			scm_device_leave(&dev, slot);
			post(slot, MAIL_GONE, NULL);
		}
		asked_first = (asked_first + 1) % 1024;
	}
}

static void
take_event(const struct scm_event *e)
{
	struct worker *w = &workers[e->slot % SCM_SLOTS];

	switch (e->kind) {
	case SCM_DEVICE_OPEN:
		memset(w, 0, sizeof *w);
		w->last = &w->first;
		w->ids = dev.slots[e->slot].ids;
		scm_device_opened(&dev, e->slot, w);
		post(e->slot, MAIL_START, e);
		break;
	case SCM_DEVICE_FORWARD:
		HOLDS(e->owner == w, "another's mail");
		post(e->slot, e->message.op == SCM_WRITE ? MAIL_PART
							 : MAIL_MESSAGE, e);
		break;
	default:
		ck_abort_msg("event %d: %s", e->kind, e->why.text);
	}
}

static void
step_reader(void)
{
	size_t n = talk_ready(&up);
	struct reader in;
	struct scm_event e;

	answer_workers();
	if (n == 0)
		return;
	n = 1 + talk_any((uint32_t)(n < 20000 ? n : 20000));
	in = reader_over(up.data + up.at, n);
	for (;;) {
		scm_device_input(&dev, SCM_BULK, &in, now, &e);
		if (e.kind == SCM_DEVICE_IDLE)
			break;
		take_event(&e);
	}
	talk_forget(&up, n);
}

/* ---- The device --------------------------------------------------------- */

enum phase { CLOSED, OPENED, CONNECTING, CONNECTED, REFUSED, CLOSING };

static struct sock {
	enum phase phase;
	unsigned k;
	uint32_t sent, received, unanswered;
	bool told_end;
} socks[NUMBERS];

static struct {
	bool busy;
	enum scm_op op;
	uint32_t sock;
} asks[256]; /* messages of the device without an answer */
static uint32_t ask_count;
static bool host_ids[65536]; /* WRITEs and CLOSEs that are not answered yet */
static struct scm_message owed[65536];
static size_t owed_count;
static unsigned next_k, done;
static struct scm_splitter splitter;

static void
say(enum scm_op op, uint32_t n, struct scm_message m)
{
	struct sock *sk = &socks[n];

	HOLDS(ask_count < 256, "no id");
	do
		m.id = (uint16_t)talk_any(256);
	while (asks[m.id].busy);
	asks[m.id].busy = true;
	asks[m.id].op = op;
	asks[m.id].sock = n;
	ask_count++;
	sk->unanswered++;
	m.op = op;
	m.sock = n;
	talk_put(&up, &format, &m, sk->k, 0, sk->sent);
}

static void
connect_out(uint32_t n)
{
	say(SCM_CONNECT, n, (struct scm_message){ .address = {
	    .family = SCM_INET, .port = (uint16_t)(socks[n].k + 1),
	    .ip = { 10, 0, 0, 1 } } });
	socks[n].phase = CONNECTING;
}

static void
write_out(uint32_t n)
{
	struct sock *sk = &socks[n];
	const uint32_t left = talk_amount(sk->k, 0) - sk->sent;
	uint32_t len = 1 + talk_any(talk_any(10) == 0 ? 50000 : 700);

	len = len < left ? len : left;
	say(SCM_WRITE, n, (struct scm_message){ .total = len });
	sk->sent += len;
}

/* One thing that a socket of the device may do now. */
static void
step_sock(uint32_t n)
{
	struct sock *sk = &socks[n];
	const bool wrote_all = sk->sent == talk_amount(sk->k, 0);

	if (ask_count > 250)
		return;
	if (sk->phase == CLOSED && next_k < CONNECTIONS) {
		*sk = (struct sock){ .phase = OPENED, .k = next_k++ };
		say(SCM_OPEN, n, (struct scm_message){ .family = SCM_INET,
		    .protocol = SCM_TCP });
	} else if (sk->phase == OPENED) {
		connect_out(n);
	} else if ((sk->phase == CONNECTED || sk->phase == CONNECTING) &&
	    !talk_is_refused(sk->k) && !wrote_all) {
		write_out(n);
	} else if (sk->phase == REFUSED ||
	    (sk->phase == CONNECTED && wrote_all && sk->told_end)) {
		say(SCM_CLOSE, n, (struct scm_message){ .code = 0 });
		sk->phase = CLOSING;
	}
}

static void
hear_answer(const struct scm_message *m)
{
	struct sock *sk;

	HOLDS(m->id < 256 && asks[m->id].busy, "answer to nothing: %u", m->id);
	HOLDS(asks[m->id].sock == m->sock, "answer of socket %u", m->sock);
	HOLDS(format.dialect == SCM_8 || m->answered == asks[m->id].op,
	    "answer to another op");
	asks[m->id].busy = false;
	ask_count--;
	sk = &socks[m->sock];
	sk->unanswered--;
	if (asks[m->id].op == SCM_CONNECT) {
		HOLDS((m->code == SCM_ECONNREFUSED) == talk_is_refused(sk->k),
		    "connection %u: %d", sk->k, m->code);
		sk->phase = talk_is_refused(sk->k) ? REFUSED : CONNECTED;
		refused += talk_is_refused(sk->k);
		return;
	}
	HOLDS(m->code == 0, "connection %u: %s failed with %d", sk->k,
	    scm_op_name(asks[m->id].op), m->code);
	if (asks[m->id].op == SCM_CLOSE) {
		HOLDS(sk->unanswered == 0, "closed with WRITEs unanswered");
		sk->phase = CLOSED;
		done++;
	}
}

static void
hear_data(const struct scm_message *m)
{
	struct sock *sk = &socks[m->sock];

	HOLDS(sk->phase == CONNECTED, "data in phase %d", sk->phase);
	HOLDS(!sk->told_end, "data behind CLOSE");
	for (uint32_t i = 0; i < m->len; i++)
		HOLDS(m->data[i] == talk_byte_at(sk->k, 1, sk->received + i),
		    "connection %u: byte %u of the peer", sk->k,
		    sk->received + i);
	sk->received += m->len;
}

static void
hear(const struct scm_message *m)
{
	if (m->op == SCM_ACK) {
		hear_answer(m);
		return;
	}
	if (m->op == SCM_WRITE)
		hear_data(m);
	if (m->op == SCM_WRITE && m->left > 0)
		return;
	if (m->op == SCM_CLOSE) {
		struct sock *sk = &socks[m->sock];

		HOLDS(sk->received == talk_amount(sk->k, 1),
		    "connection %u: CLOSE before its data", sk->k);
		sk->told_end = true;
	}
	if (format.dialect == SCM_8) {
		HOLDS(!host_ids[m->id], "id %u before its answer", m->id);
		host_ids[m->id] = true;
		owed[owed_count++] = *m;
	}
}

static void
answer_host(void)
{
	size_t i;
	struct scm_message m;

	if (owed_count == 0)
		return;
	i = talk_any((uint32_t)owed_count);
	m = scm_ack(&owed[i], 0);
	host_ids[m.id] = false;
	talk_put(&up, &format, &m, 0, 0, 0);
	owed[i] = owed[--owed_count];
}

static void
step_device(void)
{
	size_t n = talk_ready(&down);
	struct reader in;
	struct scm_message m;
	struct cause why;

	step_sock(talk_any(NUMBERS));
	answer_host();
	if (n == 0)
		return;
	n = 1 + talk_any((uint32_t)(n < 30000 ? n : 30000));
	in = reader_over(down.data + down.at, n);
	while (scm_split(&splitter, &in, &m, &why) == SCM_SPLIT_MESSAGE)
		hear(&m);
	talk_forget(&down, n);
}

/* ---- Together ----------------------------------------------------------- */

static bool
is_quiet(void)
{
	return done == CONNECTIONS && talk_ready(&up) == 0 &&
	    talk_ready(&down) == 0 && owed_count == 0 && asked_count == 0 &&
	    dev.open == 0 && dev.leaving == 0;
}

static void
step(void)
{
	now.ns += 1000;
	switch (talk_any(8)) {
	case 0:
		step_reader();
		break;
	case 1:
	case 2:
		step_device();
		break;
	default:
		step_worker(&workers[talk_any(NUMBERS * 3)]);
		break;
	}
}

static void
talk(enum scm_dialect dialect, uint64_t seed)
{
	static const char conf[] = "allow * tcp 10.0.0.0/8 *\n"
				   "limit * connects-per-second 0\n";
	static const struct scm_identity who = { 1, 2, "", "1-1" };
	static const struct scm_host host;
	struct cause why;
	struct scm_policy *p =
	    scm_policy_new("scm.conf", conf, sizeof conf - 1, &why);
	uint32_t steps = 0;

	talk_chance = seed;
	now = (struct moment){ INT64_C(7000000000) };
	format.dialect = dialect;
	scm_device_init(&dev, &format, p, &who, &host, now);
	scm_splitter_init(&splitter, &format);
	next_k = done = 0;
	memset(workers, 0, sizeof workers);
	while (!is_quiet() && steps++ < STEPS_MAX)
		step();
	HOLDS(is_quiet(), "seed %llu: %u of %u connections are done",
	    (unsigned long long)seed, done, CONNECTIONS);
	HOLDS(dev.held == 0, "%llu bytes are held",
	    (unsigned long long)dev.held);
	HOLDS(ask_count == 0, "%u messages without answer", ask_count);
	HOLDS(dev.violations == 0, "violations");
	HOLDS(dialect == SCM_12 || dev.free_count == 256, "%u ids are free",
	    dev.free_count);
	scm_policy_free(p);
}

START_TEST(any_order_gives_the_same_bytes)
{
	for (uint64_t seed = 0; seed < 60; seed++)
		talk((enum scm_dialect)_i, seed * 977 + 1);
	ck_assert_uint_gt(refused, 0);
	free(up.data);
	free(down.data);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm talk");
	TCase *tc = tcase_create("orders");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, any_order_gives_the_same_bytes, SCM_8,
	    SCM_12 + 1);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
