/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm_device_rig.h"

#include <string.h>

#include "unit.h"

static const struct scm_identity who = { 0x1234, 0x5678, "", "1-1" };
const struct scm_host dev_host;
struct scm_policy *dev_policy;
struct scm_device dev;
struct moment dev_now;
char dev_owners[SCM_SLOTS];

void
dev_start(enum scm_dialect dialect, const char *conf)
{
	const struct scm_format f = { .dialect = dialect };
	struct cause why = { "" };

	dev_policy = scm_policy_new("scm.conf", conf, strlen(conf), &why);
	ck_assert_msg(dev_policy != NULL, "%s", why.text);
	dev_now = (struct moment){ INT64_C(9000000000) };
	scm_device_init(&dev, &f, dev_policy, &who, &dev_host, dev_now);
}

void
dev_stop(void)
{
	scm_policy_free(dev_policy);
}

/* ---- What the device says ----------------------------------------------- */

uint8_t dev_sent[1 << 20];
struct writer dev_out;
struct reader dev_in;

void
dev_say(const struct scm_message *m)
{
	ck_assert(scm_message_write(&dev_out, &dev.format, m));
	if (m->op == SCM_WRITE)
		write_zeros(&dev_out, m->total);
}

void
dev_say_write(uint32_t sock, uint32_t len)
{
	dev_say(&(struct scm_message){ .op = SCM_WRITE, .sock = sock,
	    .total = len });
}

void
dev_begin_transfer(void)
{
	dev_out = writer_over(dev_sent, sizeof dev_sent);
}

void
dev_end_transfer(void)
{
	ck_assert(!dev_out.bad);
	dev_in = reader_over(dev_sent, writer_used(&dev_out));
}

struct scm_event
dev_next_event(void)
{
	struct scm_event e;

	scm_device_input(&dev, SCM_BULK, &dev_in, dev_now, &e);
	return e;
}

/* The one event that a message makes. */
struct scm_event
dev_event_of(const struct scm_message *m)
{
	struct scm_event e;

	dev_begin_transfer();
	dev_say(m);
	dev_end_transfer();
	e = dev_next_event();
	if (e.kind != SCM_DEVICE_IDLE && e.kind != SCM_DEVICE_BROKEN)
		ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_IDLE);
	return e;
}

/* The worker of a slot is done; `busy` of its ids are not answered. */
void
dev_release(uint32_t slot, uint32_t busy, uint32_t optional)
{
	struct scm_ids ids = dev.slots[slot].ids;

	ids.busy = busy;
	ids.optional = optional;
	scm_device_release(&dev, slot, &ids);
}

struct scm_event
dev_event_of_open(uint32_t sock, uint16_t family, uint16_t protocol)
{
	return dev_event_of(&(struct scm_message){ .op = SCM_OPEN, .id = 5,
	    .sock = sock, .family = family, .protocol = protocol });
}

uint32_t
dev_open_socket(uint32_t sock)
{
	const struct scm_event e = dev_event_of_open(sock, SCM_INET, SCM_TCP);

	HOLDS(e.kind == SCM_DEVICE_OPEN, "socket %u: %d", sock, e.kind);
	HOLDS(e.message.sock == sock, "it is %u", e.message.sock);
	scm_device_opened(&dev, e.slot, &dev_owners[e.slot]);
	return e.slot;
}

void
dev_assert_reply(struct scm_event e, enum scm_op op, int32_t code)
{
	ck_assert_int_eq(e.kind, SCM_DEVICE_REPLY);
	ck_assert_int_eq(e.message.op, SCM_ACK);
	ck_assert_int_eq(e.message.answered, op);
	ck_assert_int_eq(e.message.code, code);
}
