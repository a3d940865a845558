/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The reader's side of a device: whom a message is for, message ids, limits,
 * and what a device must not do. */

#include <string.h>

#include "scm/device.h"
#include "unit.h"

static const struct scm_identity who = { 0x1234, 0x5678, "", "1-1" };
static const struct scm_host host;
static struct scm_policy *policy;
static struct scm_device dev;
static struct moment now;
static uint64_t held;
/* Something for owners to be. */
static char owners[SCM_SLOTS];

static void
start(enum scm_dialect dialect, const char *conf)
{
	const struct scm_format f = { .dialect = dialect };
	struct cause why = { "" };

	policy = scm_policy_new("scm.conf", conf, strlen(conf), &why);
	ck_assert_msg(policy != NULL, "%s", why.text);
	now = (struct moment){ INT64_C(9000000000) };
	held = 0;
	scm_device_init(&dev, &f, policy, &who, &host, now);
}

static void
stop(void)
{
	scm_policy_free(policy);
}

/* ---- What the device says ----------------------------------------------- */

static uint8_t sent[1 << 20];
static struct writer out;
static struct reader in;

static void
say(const struct scm_message *m)
{
	ck_assert(scm_message_write(&out, &dev.format, m));
	if (m->op == SCM_WRITE)
		write_zeros(&out, m->total);
}

static void
begin_transfer(void)
{
	out = writer_over(sent, sizeof sent);
}

static void
end_transfer(void)
{
	ck_assert(!out.bad);
	in = reader_over(sent, writer_used(&out));
}

static struct scm_event
next_event(void)
{
	struct scm_event e;

	scm_device_input(&dev, SCM_BULK, &in, held, now, &e);
	return e;
}

/* The one event that a message makes. */
static struct scm_event
event_of(const struct scm_message *m)
{
	struct scm_event e;

	begin_transfer();
	say(m);
	end_transfer();
	e = next_event();
	if (e.kind != SCM_DEVICE_IDLE && e.kind != SCM_DEVICE_BROKEN)
		ck_assert_int_eq(next_event().kind, SCM_DEVICE_IDLE);
	return e;
}

/* The worker of a slot is done; `busy` of its ids are not answered. */
static void
release(uint32_t slot, uint32_t busy, uint32_t optional)
{
	struct scm_ids ids = dev.slots[slot].ids;

	ids.busy = busy;
	ids.optional = optional;
	scm_device_release(&dev, slot, &ids);
}

static struct scm_event
event_of_open(uint32_t sock, uint16_t family, uint16_t protocol)
{
	return event_of(&(struct scm_message){ .op = SCM_OPEN, .id = 5,
	    .sock = sock, .family = family, .protocol = protocol });
}

static uint32_t
open_socket(uint32_t sock)
{
	const struct scm_event e = event_of_open(sock, SCM_INET, SCM_TCP);

	HOLDS(e.kind == SCM_DEVICE_OPEN, "socket %u: %d", sock, e.kind);
	HOLDS(e.message.sock == sock, "it is %u", e.message.sock);
	scm_device_opened(&dev, e.slot, &owners[e.slot]);
	return e.slot;
}

static void
assert_reply(struct scm_event e, enum scm_op op, int32_t code)
{
	ck_assert_int_eq(e.kind, SCM_DEVICE_REPLY);
	ck_assert_int_eq(e.message.op, SCM_ACK);
	ck_assert_int_eq(e.message.answered, op);
	ck_assert_int_eq(e.message.code, code);
}

/* ---- Sockets ------------------------------------------------------------ */

START_TEST(an_open_makes_a_socket)
{
	uint32_t slot;

	start((enum scm_dialect)_i, "");
	slot = open_socket(7);
	ck_assert_uint_eq(dev.open, 1);
	ck_assert_ptr_eq(dev.slots[slot].owner, &owners[slot]);
	ck_assert_uint_eq(scm_device_next(&dev, 0), slot);
	ck_assert_uint_eq(scm_device_next(&dev, slot + 1), SCM_NO_SLOT);
	/* Protocol 0 is the usual one. */
	if (_i == SCM_8) {
		const struct scm_event e = event_of_open(8, SCM_INET6, 0);

		ck_assert_int_eq(e.kind, SCM_DEVICE_OPEN);
		ck_assert_int_eq(e.message.protocol, SCM_TCP);
	}
	stop();
}
END_TEST

static const struct {
	uint16_t family, protocol;
	int32_t code;
} opens[] = {
	{ 0, SCM_TCP, SCM_EAFNOSUPPORT },
	{ 1, SCM_TCP, SCM_EAFNOSUPPORT },  /* AF_UNIX */
	{ 16, SCM_TCP, SCM_EAFNOSUPPORT }, /* AF_NETLINK */
	{ 17, SCM_TCP, SCM_EAFNOSUPPORT }, /* AF_PACKET */
	{ 40, SCM_TCP, SCM_EAFNOSUPPORT }, /* AF_VSOCK */
	{ SCM_INET, 1, SCM_EPROTONOSUPPORT }, /* ICMP */
	{ SCM_INET, 132, SCM_EPROTONOSUPPORT },
	{ SCM_INET, 255, SCM_EPROTONOSUPPORT }, /* raw */
	{ SCM_INET, SCM_UDP, SCM_EPROTONOSUPPORT },
};

START_TEST(an_open_of_anything_else_is_refused)
{
	start(SCM_8, "allow * tcp * *\n");
	assert_reply(event_of_open(7, opens[_i].family, opens[_i].protocol),
	    SCM_OPEN, opens[_i].code);
	ck_assert_uint_eq(dev.open, 0);
	stop();
	start(SCM_8, "allow * udp 192.0.2.1 53\n");
	ck_assert(event_of_open(7, SCM_INET, SCM_UDP).kind == SCM_DEVICE_OPEN);
	stop();
}
END_TEST

START_TEST(a_number_is_opened_once)
{
	uint32_t slot;

	start((enum scm_dialect)_i, "");
	slot = open_socket(7);
	assert_reply(event_of_open(7, SCM_INET, SCM_TCP), SCM_OPEN,
	    SCM_EEXIST);
	ck_assert_uint_eq(dev.open, 1);
	/* When its worker has said so, it is free; not before. */
	scm_device_leave(&dev, slot);
	ck_assert_uint_ne(open_socket(7), slot);
	ck_assert_uint_eq(dev.leaving, 1);
	release(slot, 0, 0);
	ck_assert_uint_eq(dev.leaving, 0);
	ck_assert_uint_eq(dev.open, 1);
	stop();
}
END_TEST

START_TEST(there_are_so_many_sockets)
{
	start((enum scm_dialect)_i, "limit * sockets 3\n");
	for (uint32_t sock = 10; sock < 13; sock++)
		open_socket(sock);
	assert_reply(event_of_open(13, SCM_INET, SCM_TCP), SCM_OPEN,
	    SCM_EMFILE);
	scm_device_leave(&dev, 1);
	open_socket(13);
	stop();
}
END_TEST

START_TEST(a_socket_that_cannot_be_made_is_refused)
{
	struct scm_event e;
	struct scm_message m;

	start((enum scm_dialect)_i, "");
	e = event_of_open(7, SCM_INET, SCM_TCP);
	m = scm_device_refuse(&dev, e.slot, &e.message, SCM_ENOMEM);
	ck_assert_int_eq(m.code, SCM_ENOMEM);
	ck_assert_uint_eq(m.sock, 7);
	ck_assert_uint_eq(dev.open + dev.leaving, 0);
	if (_i == SCM_8)
		ck_assert_uint_eq(dev.free_count, 256);
	stop();
}
END_TEST

START_TEST(what_is_for_no_socket_is_answered)
{
	static const enum scm_op ops[] = { SCM_CONNECT, SCM_CLOSE, SCM_WRITE,
		SCM_SETOPT, SCM_GETOPT, SCM_IOCTL };

	start(SCM_8, "");
	open_socket(8);
	for (int i = 0; i < UNIT_COUNT(ops); i++)
		assert_reply(event_of(&(struct scm_message){ .op = ops[i],
		    .id = 1, .sock = 7, .total = 3 }), ops[i], SCM_EBADF);
	stop();
}
END_TEST

START_TEST(a_message_reaches_its_socket)
{
	struct scm_event e;
	uint32_t slots[40];

	start((enum scm_dialect)_i, "");
	for (uint32_t i = 0; i < 40; i++)
		slots[i] = open_socket(200 - i);
	for (uint32_t i = 0; i < 40; i++) {
		e = event_of(&(struct scm_message){ .op = SCM_CLOSE, .id = 3,
		    .sock = 200 - i });
		ck_assert_int_eq(e.kind, SCM_DEVICE_FORWARD);
		ck_assert_ptr_eq(e.owner, &owners[slots[i]]);
		ck_assert_uint_eq(e.message.id, 3);
	}
	stop();
}
END_TEST

/* Three sockets in one transfer, and what one of them writes in parts. */
START_TEST(a_transfer_has_messages_for_many)
{
	struct scm_event e;
	uint32_t a, b, parts = 0, bytes = 0;

	start((enum scm_dialect)_i, "");
	a = open_socket(1);
	b = open_socket(2);
	begin_transfer();
	say(&(struct scm_message){ .op = SCM_WRITE, .sock = 1, .total = 100 });
	say(&(struct scm_message){ .op = SCM_WRITE, .sock = 2, .total = 10 });
	say(&(struct scm_message){ .op = SCM_CLOSE, .sock = 1 });
	end_transfer();
	for (size_t all = reader_left(&in), at = 0; at < all; at += 31) {
		in = reader_over(sent + at, all - at < 31 ? all - at : 31);
		while ((e = next_event()).kind != SCM_DEVICE_IDLE) {
			ck_assert_int_eq(e.kind, SCM_DEVICE_FORWARD);
			ck_assert_uint_eq(e.slot, e.message.sock == 1 ? a : b);
			parts++;
			bytes += e.message.op == SCM_WRITE ? e.message.len : 0;
		}
	}
	ck_assert_uint_eq(bytes, 110);
	ck_assert_uint_ge(parts, 6);
	ck_assert_uint_eq(dev.messages, 5);
	stop();
}
END_TEST

/* ---- Policy and limits -------------------------------------------------- */

static struct scm_event
event_of_connect(uint8_t last)
{
	return event_of(&(struct scm_message){ .op = SCM_CONNECT, .id = 1,
	    .sock = 7, .address = { .family = SCM_INET, .port = 80,
		.ip = { 192, 0, 2, last } } });
}

START_TEST(a_connect_is_judged)
{
	struct scm_policy *before;
	struct scm_event e;
	struct cause why;

	start((enum scm_dialect)_i, "allow * tcp 192.0.2.1 80\n");
	open_socket(7);
	e = event_of_connect(1);
	ck_assert(e.kind == SCM_DEVICE_FORWARD && e.verdict.allowed);
	e = event_of_connect(2);
	ck_assert(e.kind == SCM_DEVICE_FORWARD && !e.verdict.allowed);
	ck_assert_int_eq(e.verdict.reason, SCM_NO_RULE);
	ck_assert_uint_eq(dev.refused, 1);
	before = policy;
	policy = scm_policy_new("scm.conf", "allow * tcp 192.0.2.2 80\n", 25,
	    &why);
	scm_device_set_policy(&dev, policy, &host, now);
	scm_policy_free(before);
	ck_assert(!event_of_connect(1).verdict.allowed);
	ck_assert(event_of_connect(2).verdict.allowed);
	stop();
}
END_TEST

START_TEST(connects_have_a_rate)
{
	struct scm_event e;

	start(SCM_8, "allow * tcp * *\nlimit * connects-per-second 5\n");
	open_socket(7);
	for (int i = 0; i < 5; i++)
		ck_assert(event_of_connect(1).verdict.allowed);
	e = event_of_connect(1);
	ck_assert(!e.verdict.allowed && e.verdict.reason == SCM_TOO_MANY);
	now = moment_after_ms(now, 200);
	ck_assert(event_of_connect(1).verdict.allowed);
	ck_assert(!event_of_connect(1).verdict.allowed);
	stop();
}
END_TEST

START_TEST(bytes_have_a_rate)
{
	start(SCM_8, "limit * bytes-per-second 1000\n");
	open_socket(7);
	event_of(&(struct scm_message){ .op = SCM_WRITE, .sock = 7,
	    .total = 1000 });
	ck_assert(!moment_before(now, scm_bucket_ready(&dev.bytes)));
	event_of(&(struct scm_message){ .op = SCM_WRITE, .sock = 7,
	    .total = 500 });
	ck_assert_int_eq(scm_bucket_ready(&dev.bytes).ns,
	    moment_after_ms(now, 500).ns);
	stop();
}
END_TEST

/* Parts of it come, and none is forwarded; the next one is fresh. */
START_TEST(so_much_may_wait)
{
	struct scm_event e;

	start((enum scm_dialect)_i, "limit * buffered 64K\n");
	open_socket(7);
	held = 65536 - 99;
	begin_transfer();
	say(&(struct scm_message){ .op = SCM_WRITE, .sock = 7, .total = 100 });
	say(&(struct scm_message){ .op = SCM_WRITE, .sock = 7, .total = 99 });
	end_transfer();
	in.end = in.at + scm_header_len(dev.format.dialect) + 50;
	e = next_event();
	ck_assert_int_eq(e.kind, SCM_DEVICE_OVERFLOW);
	ck_assert_ptr_eq(e.owner, &owners[e.slot]);
	ck_assert_int_eq(next_event().kind, SCM_DEVICE_IDLE);
	in.end = out.at;
	e = next_event();
	ck_assert_int_eq(e.kind, SCM_DEVICE_FORWARD);
	ck_assert_uint_eq(e.message.total, 99);
	ck_assert_int_eq(next_event().kind, SCM_DEVICE_IDLE);
	stop();
}
END_TEST

/* ---- Message ids -------------------------------------------------------- */

START_TEST(every_socket_has_ids)
{
	bool used[256] = { false };
	uint32_t least = 256, total = 0;

	start(SCM_8, "limit * sockets 128\n");
	for (uint32_t sock = 0; sock < 128; sock++) {
		const struct scm_ids *ids =
		    &dev.slots[open_socket(sock)].ids;

		least = ids->count < least ? ids->count : least;
		total += ids->count;
		for (unsigned i = 0; i < ids->count; i++) {
			HOLDS(!used[ids->ids[i]], "id %u twice", ids->ids[i]);
			used[ids->ids[i]] = true;
		}
	}
	ck_assert_uint_eq(least, SCM_IDS_MIN);
	ck_assert_uint_eq(total + dev.free_count, 256);
	stop();
	/* The fewer sockets there can be, the more each gets. */
	start(SCM_8, "limit * sockets 1\n");
	ck_assert_uint_eq(dev.slots[open_socket(0)].ids.count, SCM_IDS_MAX);
	stop();
}
END_TEST

static struct scm_event
event_of_ack(uint16_t id, uint32_t sock)
{
	return event_of(&(struct scm_message){ .op = SCM_ACK, .id = id,
	    .sock = sock });
}

START_TEST(an_answer_reaches_whoever_asked)
{
	uint32_t slot;
	uint16_t id;
	struct scm_event e;

	start(SCM_8, "");
	slot = open_socket(7);
	open_socket(8);
	id = dev.slots[slot].ids.ids[0];
	e = event_of_ack(id, 7);
	ck_assert(e.kind == SCM_DEVICE_FORWARD && e.slot == slot);
	ck_assert_int_eq(event_of_ack(id, 8).kind, SCM_DEVICE_NOTE);
	ck_assert_int_eq(event_of_ack(255, 7).kind, SCM_DEVICE_NOTE);
	e = event_of(&(struct scm_message){ .op = SCM_REPLY, .id = id,
	    .sock = 7 });
	ck_assert(e.kind == SCM_DEVICE_FORWARD && e.slot == slot);
	ck_assert_uint_eq(dev.violations, 2);
	stop();
}
END_TEST

/* An id is not used before its answer, wherever its socket is by then. */
START_TEST(an_id_rests_until_its_answer)
{
	uint32_t slot;
	struct scm_ids ids;

	start(SCM_8, "limit * sockets 1\n");
	slot = open_socket(7);
	ids = dev.slots[slot].ids;
	scm_device_leave(&dev, slot);
	/* Of three unanswered, one is answered before the worker is done. */
	ck_assert_int_eq(event_of_ack(ids.ids[1], 7).kind, SCM_DEVICE_IDLE);
	ck_assert_int_eq(event_of_ack(ids.ids[1], 7).kind, SCM_DEVICE_NOTE);
	release(slot, 7, 0);
	ck_assert_uint_eq(dev.orphans, 2);
	ck_assert_uint_eq(dev.free_count, 254);
	for (int i = 0; i < 100; i++) {
		slot = open_socket(7);
		for (unsigned k = 0; k < dev.slots[slot].ids.count; k++) {
			HOLDS(dev.slots[slot].ids.ids[k] != ids.ids[0], "0");
			HOLDS(dev.slots[slot].ids.ids[k] != ids.ids[2], "2");
		}
		release(slot, 0, 0);
	}
	ck_assert_int_eq(event_of_ack(ids.ids[0], 8).kind, SCM_DEVICE_NOTE);
	ck_assert_int_eq(event_of_ack(ids.ids[0], 7).kind, SCM_DEVICE_IDLE);
	ck_assert_int_eq(event_of_ack(ids.ids[0], 7).kind, SCM_DEVICE_NOTE);
	ck_assert_int_eq(event_of_ack(ids.ids[2], 7).kind, SCM_DEVICE_IDLE);
	ck_assert_uint_eq(dev.orphans, 0);
	ck_assert_uint_eq(dev.free_count, 256);
	stop();
}
END_TEST

/* The id of a CLOSE rests too, as long as there are others: some devices answer
 * it, and some do not. */
START_TEST(the_id_of_a_close_rests_while_it_can)
{
	uint32_t slot;
	uint16_t id;

	start(SCM_8, "limit * sockets 1\n");
	slot = open_socket(7);
	id = dev.slots[slot].ids.ids[0];
	release(slot, 1, 1);
	ck_assert_uint_eq(dev.resting, 1);
	for (int i = 0; i < 100; i++) {
		slot = open_socket(7);
		HOLDS(scm_ids_bit(&dev.slots[slot].ids, id) == 0, "used");
		release(slot, 0, 0);
	}
	ck_assert_int_eq(event_of_ack(id, 7).kind, SCM_DEVICE_IDLE);
	ck_assert_int_eq(event_of_ack(id, 7).kind, SCM_DEVICE_NOTE);
	ck_assert_uint_eq(dev.free_count, 256);
	/* Ten thousand that are not answered. */
	for (int i = 0; i < 10000; i++) {
		slot = open_socket(7);
		release(slot, 1u << i % 2, 1u << i % 2);
	}
	ck_assert_uint_eq(dev.orphans, 0);
	ck_assert_uint_eq(dev.free_count + dev.resting, 256);
	stop();
}
END_TEST

START_TEST(a_device_that_answers_nothing_is_reset)
{
	struct scm_event e;
	int rounds = 0;

	start(SCM_8, "");
	do {
		const uint32_t slot = open_socket(7);
		const uint32_t count = dev.slots[slot].ids.count;

		scm_device_leave(&dev, slot);
		release(slot, (1u << count) - 1, 0);
	} while (!dev.broken && ++rounds < 100);
	e = event_of_open(7, SCM_INET, SCM_TCP);
	ck_assert_int_eq(e.kind, SCM_DEVICE_BROKEN);
	ck_assert_ptr_nonnull(strstr(e.why.text, "not answered"));
	stop();
}
END_TEST

START_TEST(answers_of_dialect_12_are_not_missed)
{
	struct scm_event e;

	start(SCM_12, "");
	open_socket(7);
	e = event_of_ack(999, 7);
	ck_assert_int_eq(e.kind, SCM_DEVICE_IDLE);
	e = event_of_ack(1, 12345);
	ck_assert_int_eq(e.kind, SCM_DEVICE_IDLE);
	ck_assert_uint_eq(dev.violations, 0);
	stop();
}
END_TEST

/* ---- What ends a device ------------------------------------------------- */

static const struct {
	enum scm_dialect dialect;
	uint8_t bytes[12];
	const char *why;
} broken[] = {
	{ SCM_8, { 9 }, "opcode 0x09" },
	{ SCM_8, { 0xff }, "opcode 0xff" },
	{ SCM_8, { 3, 0, 7, 0, 0xff, 0xff, 0xff, 0xff },
	    "4294967295 bytes of payload in a WRITE" },
	{ SCM_8, { 1, 0, 7, 0, 1, 0, 1, 0 },
	    "65537 bytes of payload in a CONNECT" },
	{ SCM_12, { 7 }, "opcode 0x07" },
	{ SCM_12, { 3, 1 }, "opcode 0x103" },
	{ SCM_12, { 3, 0, 0, 0, 7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff },
	    "4294967295 bytes of payload in a WRITE" },
};

START_TEST(a_broken_stream_ends_the_device)
{
	struct scm_event e;

	start(broken[_i].dialect, "");
	open_socket(7);
	in = reader_over(broken[_i].bytes, scm_header_len(broken[_i].dialect));
	e = next_event();
	ck_assert_int_eq(e.kind, SCM_DEVICE_BROKEN);
	ck_assert_msg(strstr(e.why.text, broken[_i].why) != NULL, "%s",
	    e.why.text);
	/* And nothing is believed from it after that. */
	e = event_of_open(8, SCM_INET, SCM_TCP);
	ck_assert_int_eq(e.kind, SCM_DEVICE_BROKEN);
	ck_assert_ptr_nonnull(strstr(e.why.text, broken[_i].why));
	stop();
}
END_TEST

START_TEST(transfers_may_end_within_a_message)
{
	start(SCM_12, "");
	begin_transfer();
	say(&(struct scm_message){ .op = SCM_OPEN, .sock = 7,
	    .family = SCM_INET, .protocol = SCM_TCP });
	in = reader_over(sent, 15);
	ck_assert_int_eq(next_event().kind, SCM_DEVICE_IDLE);
	scm_device_transfer_ended(&dev, SCM_BULK);
	ck_assert_uint_eq(dev.splits, 1);
	/* The other pipe has a stream of its own. */
	scm_device_transfer_ended(&dev, SCM_INTERRUPT);
	ck_assert_uint_eq(dev.splits, 1);
	in = reader_over(sent + 15, 6);
	ck_assert_int_eq(next_event().kind, SCM_DEVICE_OPEN);
	scm_device_transfer_ended(&dev, SCM_BULK);
	ck_assert_uint_eq(dev.splits, 1);
	stop();
}
END_TEST

/* A socket leaves while a WRITE for it arrives: its rest is answered as for a
 * number that is not open. */
START_TEST(a_socket_leaves_within_a_write)
{
	static uint8_t write_of_100[SCM_HEADER_MAX + 100];
	uint32_t slot;
	size_t len;

	start((enum scm_dialect)_i, "");
	len = scm_header_len(dev.format.dialect) + 100;
	slot = open_socket(7);
	begin_transfer();
	say(&(struct scm_message){ .op = SCM_WRITE, .sock = 7, .total = 100 });
	memcpy(write_of_100, sent, len);
	in = reader_over(write_of_100, 50);
	ck_assert_int_eq(next_event().kind, SCM_DEVICE_FORWARD);
	ck_assert_int_eq(next_event().kind, SCM_DEVICE_IDLE);
	scm_device_leave(&dev, slot);
	release(slot, 0, 0);
	in = reader_over(write_of_100 + 50, len - 51);
	ck_assert_int_eq(next_event().kind, SCM_DEVICE_IDLE);
	in = reader_over(write_of_100 + len - 1, 1);
	assert_reply(next_event(), SCM_WRITE, SCM_EBADF);
	ck_assert_int_eq(next_event().kind, SCM_DEVICE_IDLE);
	stop();
}
END_TEST

START_TEST(messages_have_their_pipe)
{
	ck_assert_int_eq(scm_pipe_of(SCM_8, true, SCM_ACK), SCM_BULK);
	ck_assert_int_eq(scm_pipe_of(SCM_12, false, SCM_ACK), SCM_BULK);
	ck_assert_int_eq(scm_pipe_of(SCM_12, true, SCM_ACK), SCM_INTERRUPT);
	ck_assert_int_eq(scm_pipe_of(SCM_12, true, SCM_CLOSE), SCM_INTERRUPT);
	ck_assert_int_eq(scm_pipe_of(SCM_12, true, SCM_WRITE), SCM_BULK);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm device");
	TCase *tc = tcase_create("sockets");
	const int both = SCM_12 + 1;

	tcase_add_loop_test(tc, an_open_makes_a_socket, SCM_8, both);
	tcase_add_loop_test(tc, an_open_of_anything_else_is_refused, 0,
	    UNIT_COUNT(opens));
	tcase_add_loop_test(tc, a_number_is_opened_once, SCM_8, both);
	tcase_add_loop_test(tc, there_are_so_many_sockets, SCM_8, both);
	tcase_add_loop_test(tc, a_socket_that_cannot_be_made_is_refused, SCM_8,
	    both);
	tcase_add_test(tc, what_is_for_no_socket_is_answered);
	tcase_add_loop_test(tc, a_message_reaches_its_socket, SCM_8, both);
	tcase_add_loop_test(tc, a_transfer_has_messages_for_many, SCM_8, both);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_loop_test(tc, a_connect_is_judged, SCM_8, both);
	tcase_add_test(tc, connects_have_a_rate);
	tcase_add_test(tc, bytes_have_a_rate);
	tcase_add_loop_test(tc, so_much_may_wait, SCM_8, both);
	suite_add_tcase(s, tc);
	tc = tcase_create("ids");
	tcase_add_test(tc, every_socket_has_ids);
	tcase_add_test(tc, an_answer_reaches_whoever_asked);
	tcase_add_test(tc, an_id_rests_until_its_answer);
	tcase_add_test(tc, the_id_of_a_close_rests_while_it_can);
	tcase_add_test(tc, a_device_that_answers_nothing_is_reset);
	tcase_add_test(tc, answers_of_dialect_12_are_not_missed);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_add_loop_test(tc, a_broken_stream_ends_the_device, 0,
	    UNIT_COUNT(broken));
	tcase_add_test(tc, transfers_may_end_within_a_message);
	tcase_add_loop_test(tc, a_socket_leaves_within_a_write, SCM_8, both);
	tcase_add_test(tc, messages_have_their_pipe);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
