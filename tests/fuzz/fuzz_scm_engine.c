/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "scm/device.h"
#include "scm/socket.h"

/*
 * A host and whatever a device says to it, with events of its peers in between.
 * The input is a row of steps: bytes of the device, or something that happens
 * to a socket.  Bytes are neither lost nor invented, a message has one answer
 * at most, and of message ids there are always 256.
 */

static struct scm_device dev;
static struct moment now;
static uint64_t questions, answers;

static struct worker {
	bool live, leaving;
	struct scm_socket s;
	uint64_t waiting;
	bool connecting;
	uint32_t on_the_way;
} workers[SCM_SLOTS];

static void
drop(struct worker *w)
{
	scm_device_taken(&dev, (uint32_t)(w - workers), w->waiting);
	w->waiting = 0;
	w->connecting = false;
}

static void
check_sent(const struct scm_message *m)
{
	uint8_t bytes[SCM_MESSAGE_ROOM(SCM_VALUE_MAX)];
	struct writer w = writer_over(bytes, sizeof bytes);

	MUST(scm_message_write(&w, &dev.format, m));
	answers += m->op == SCM_ACK || m->op == SCM_REPLY;
}

/* A call to the system fails whenever the clock says an odd number. */
static int
luck(void)
{
	return now.ns / 1000000 & 1 ? ENOBUFS : 0;
}

static void
run(struct worker *w)
{
	const struct scm_value value = { { 1, 2 } };
	uint32_t slot = (uint32_t)(w - workers);
	struct scm_action a;

	for (int i = 0; scm_socket_next(&w->s, now, &a),
	     a.kind != SCM_DO_NOTHING; i++) {
		MUST(i < 2 * SCM_WRITES_MAX);
		if (a.kind == SCM_DO_SOCKET || a.kind == SCM_DO_CLOSE)
			drop(w);
		if (a.kind == SCM_DO_SOCKET)
			scm_socket_made(&w->s, luck());
		else if (a.kind == SCM_DO_CONNECT)
			w->connecting = true;
		else if (a.kind == SCM_DO_SETOPT || a.kind == SCM_DO_GETOPT)
			scm_socket_option_done(&w->s, luck(), &value);
		else if (a.kind == SCM_DO_SEND)
			check_sent(&a.message);
		else if (a.kind == SCM_DO_LEAVE)
			scm_device_leave(&dev, slot);
		else if (a.kind == SCM_DO_END) {
			MUST(w->waiting == 0);
			scm_device_release(&dev, slot, &w->s.ids);
			w->live = false;
			return;
		}
	}
}

/* The reader's "nothing more will come", a little later. */
static void
let_go(struct worker *w)
{
	if (w->live && w->s.state == SCM_LEAVING) {
		scm_socket_gone(&w->s);
		drop(w);
		run(w);
	}
}

/* ---- The device --------------------------------------------------------- */

static void
forward(struct worker *w, const struct scm_event *e)
{
	MUST(w->live);
	if (e->message.op != SCM_WRITE) {
		scm_socket_message(&w->s, &e->message, &e->verdict, now);
	} else if (scm_socket_data(&w->s, &e->message, now)) {
		w->waiting += e->message.len;
	} else {
		scm_device_taken(&dev, e->slot, e->message.len);
	}
	run(w);
}

static void
open_socket(const struct scm_event *e)
{
	struct worker *w = &workers[e->slot];

	if (luck() != 0) {
		const struct scm_message m = scm_device_refuse(&dev, e->slot,
		    &e->message, SCM_ENOMEM);

		check_sent(&m);
		return;
	}
	MUST(!w->live);
	memset(w, 0, sizeof *w);
	w->live = true;
	scm_device_opened(&dev, e->slot, w);
	scm_socket_start(&w->s, dev.format.dialect, &e->message,
	    &dev.slots[e->slot].ids, &dev.limits, now);
	run(w);
}

static void
count_question(const struct scm_message *m)
{
	if (m->op != SCM_ACK && m->op != SCM_REPLY &&
	    (m->op != SCM_WRITE || m->left == 0))
		questions++;
}

static void
hear_device(enum scm_pipe pipe, const uint8_t *bytes, size_t len)
{
	struct reader in = reader_over(bytes, len);
	struct scm_event e;

	for (;;) {
		scm_device_input(&dev, pipe, &in, now, &e);
		if (e.kind == SCM_DEVICE_IDLE || e.kind == SCM_DEVICE_BROKEN)
			break;
		if (e.kind == SCM_DEVICE_OPEN) {
			count_question(&e.message);
			open_socket(&e);
		} else if (e.kind == SCM_DEVICE_FORWARD) {
			count_question(&e.message);
			forward(e.owner, &e);
		} else if (e.kind == SCM_DEVICE_OVERFLOW) {
			questions++;
			scm_socket_overflow(&workers[e.slot].s, &e.message,
			    now);
			run(e.owner);
		} else if (e.kind == SCM_DEVICE_REPLY) {
			questions++;
			check_sent(&e.message);
		}
	}
	MUST(e.kind == SCM_DEVICE_BROKEN || reader_left(&in) == 0);
	MUST(e.kind != SCM_DEVICE_BROKEN || e.why.text[0] != '\0');
}

/* ---- The peers ---------------------------------------------------------- */

static void
write_to_peer(struct worker *w, uint32_t amount, int error)
{
	bool ready;
	const uint64_t most = scm_socket_writable(&w->s, &ready);
	const uint64_t n = w->s.datagram || amount > most ? most : amount;

	MUST(most <= w->waiting);
	if (!ready)
		return;
	if (w->s.datagram)
		scm_socket_datagram_sent(&w->s, error, now);
	else
		scm_socket_written(&w->s, n, now);
	w->waiting -= n;
	scm_device_taken(&dev, (uint32_t)(w - workers), n);
}

static void
read_from_peer(struct worker *w, uint32_t amount)
{
	const uint32_t room = scm_socket_room(&w->s);
	struct scm_message m;

	if (room == 0)
		return;
	m = scm_socket_received(&w->s, 1 + amount % room, now);
	check_sent(&m);
	w->on_the_way++;
}

static void
hear_peer(struct worker *w, uint8_t what, uint16_t amount)
{
	if (!w->live)
		return;
	switch (what % 8) {
	case 0:
		write_to_peer(w, amount, what & 8 ? EHOSTUNREACH : 0);
		break;
	case 1:
		read_from_peer(w, amount);
		break;
	case 2:
		if (w->connecting)
			scm_socket_connected(&w->s,
			    what & 8 ? ECONNREFUSED : 0, now);
		w->connecting = false;
		break;
	case 3:
		scm_socket_peer_ended(&w->s, now);
		break;
	case 4:
		scm_socket_broke(&w->s, ECONNRESET, now);
		break;
	case 5:
		if (w->on_the_way > 0) {
			w->on_the_way--;
			scm_socket_left(&w->s);
		}
		break;
	case 6:
		let_go(w);
		return;
	case 7:
		now = moment_after_ms(now, amount);
		scm_socket_expire(&w->s, now);
		break;
	}
	run(w);
}

/* ---- Together ----------------------------------------------------------- */

static void
check(void)
{
	uint64_t sum = 0;
	uint32_t ids = 0;

	for (uint32_t i = 0; i < SCM_SLOTS; i++) {
		MUST(workers[i].live ==
		    (dev.slots[i].state != SCM_SLOT_FREE));
		if (!workers[i].live)
			continue;
		sum += workers[i].waiting;
		ids += dev.slots[i].ids.count;
		MUST(workers[i].waiting >= workers[i].s.waiting);
		MUST(workers[i].waiting == dev.slots[i].held);
	}
	MUST(sum == dev.held);
	MUST(answers <= questions);
	MUST(dev.format.dialect == SCM_12 ||
	    ids + dev.free_count + dev.orphans + dev.resting == 256);
}

/* Every socket ends, whatever state it is in. */
static void
unplug(void)
{
	for (uint32_t i = 0; i < SCM_SLOTS; i++)
		if (workers[i].live) {
			scm_socket_gone(&workers[i].s);
			run(&workers[i]);
			MUST(!workers[i].live);
		}
	MUST(dev.held == 0 && dev.open == 0 && dev.leaving == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char conf[] = "allow * * 10.0.0.0/8 *\n"
				   "limit * buffered 64K\n";
	static const struct scm_identity who = { 1, 2, "", "1-1" };
	static const struct scm_host host;
	static struct scm_policy *policy;
	struct cause why;
	struct reader r = reader_over(bytes, len);
	const struct scm_format f = {
		.dialect = read_u8(&r) & 1 ? SCM_12 : SCM_8 };

	if (policy == NULL)
		policy = scm_policy_new("f", conf, sizeof conf - 1, &why);
	memset(workers, 0, sizeof workers);
	questions = answers = 0;
	now = (struct moment){ INT64_C(2000000000) };
	scm_device_init(&dev, &f, policy, &who, &host, now);
	while (!r.bad && reader_left(&r) > 0) {
		const uint8_t op = read_u8(&r);

		if (op & 0x80) {
			const size_t n = op & 0x3f;
			const uint8_t *data = read_bytes(&r, n);

			if (data != NULL)
				hear_device(op & 0x40 ? SCM_INTERRUPT
						      : SCM_BULK, data, n);
		} else {
			hear_peer(&workers[op & 7], op >> 3,
			    read_le16(&r));
		}
		check();
	}
	unplug();
	check();
	return 0;
}
