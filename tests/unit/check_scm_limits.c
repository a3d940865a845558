/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a device may have: connects, bytes, message ids. */

#include <string.h>

#include "scm_device_rig.h"
#include "unit.h"

/* ---- Policy and limits -------------------------------------------------- */

static struct scm_event
event_of_connect(uint8_t last)
{
	return dev_event_of(&(struct scm_message){ .op = SCM_CONNECT, .id = 1,
	    .sock = 7, .address = { .family = SCM_INET, .port = 80,
		.ip = { 192, 0, 2, last } } });
}

START_TEST(a_connect_is_judged)
{
	struct scm_policy *before;
	struct scm_event e;
	struct cause why;

	dev_start((enum scm_dialect)_i, "allow * tcp 192.0.2.1 80\n");
	dev_open_socket(7);
	e = event_of_connect(1);
	ck_assert(e.kind == SCM_DEVICE_FORWARD && e.verdict.allowed);
	e = event_of_connect(2);
	ck_assert(e.kind == SCM_DEVICE_FORWARD && !e.verdict.allowed);
	ck_assert_int_eq(e.verdict.reason, SCM_NO_RULE);
	ck_assert_uint_eq(dev.refused, 1);
	before = dev_policy;
	dev_policy = scm_policy_new("scm.conf",
	    "allow * tcp 192.0.2.2 80\n", 25, &why);
	scm_device_set_policy(&dev, dev_policy, &dev_host, dev_now);
	scm_policy_free(before);
	ck_assert(!event_of_connect(1).verdict.allowed);
	ck_assert(event_of_connect(2).verdict.allowed);
	dev_stop();
}
END_TEST

START_TEST(connects_have_a_rate)
{
	char text[SCM_VERDICT_TEXT_MAX];
	struct scm_event e;

	dev_start(SCM_8, "allow * tcp * *\nlimit * connects-per-second 5\n");
	dev_open_socket(7);
	for (int i = 0; i < 5; i++)
		ck_assert(event_of_connect(1).verdict.allowed);
	e = event_of_connect(1);
	ck_assert(!e.verdict.allowed && e.verdict.reason == SCM_TOO_MANY);
	ck_assert_ptr_nonnull(strstr(scm_verdict_text(text, dev_policy,
	    &e.verdict), "more CONNECTs in a second than scm.conf"));
	dev_now = moment_after_ms(dev_now, 200);
	ck_assert(event_of_connect(1).verdict.allowed);
	ck_assert(!event_of_connect(1).verdict.allowed);
	dev_stop();
}
END_TEST

START_TEST(bytes_have_a_rate)
{
	dev_start(SCM_8, "limit * bytes-per-second 1000\n");
	dev_open_socket(7);
	dev_event_of(&(struct scm_message){ .op = SCM_WRITE, .sock = 7,
	    .total = 1000 });
	ck_assert(!moment_before(dev_now, scm_bucket_ready(&dev.bytes)));
	dev_event_of(&(struct scm_message){ .op = SCM_WRITE, .sock = 7,
	    .total = 500 });
	ck_assert_int_eq(scm_bucket_ready(&dev.bytes).ns,
	    moment_after_ms(dev_now, 500).ns);
	dev_stop();
}
END_TEST

/* Parts of it come, and none is forwarded; the next one is fresh. */
START_TEST(so_much_may_wait)
{
	struct scm_event e;

	dev_start((enum scm_dialect)_i, "limit * buffered 64K\n");
	dev_open_socket(7);
	atomic_store(&dev.held, 65536 - 99);
	dev_begin_transfer();
	dev_say_write(7, 100);
	dev_say_write(7, 99);
	dev_end_transfer();
	dev_in.end = dev_in.at + scm_header_len(dev.format.dialect) + 50;
	e = dev_next_event();
	ck_assert_int_eq(e.kind, SCM_DEVICE_OVERFLOW);
	ck_assert_ptr_eq(e.owner, &dev_owners[e.slot]);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_IDLE);
	dev_in.end = dev_out.at;
	e = dev_next_event();
	ck_assert_int_eq(e.kind, SCM_DEVICE_FORWARD);
	ck_assert_uint_eq(e.message.total, 99);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_IDLE);
	dev_stop();
}
END_TEST

/* One whose peer does not read cannot have it all. */
START_TEST(what_may_wait_is_shared)
{
	uint32_t hog, next;
	uint64_t last = 65536;
	struct scm_event e;

	dev_start((enum scm_dialect)_i, "limit * buffered 64K\n");
	hog = dev_open_socket(1);
	next = dev_open_socket(2);
	for (uint32_t sock = 1; sock <= 2; sock++) {
		int writes = 0;

		do {
			dev_begin_transfer();
			dev_say_write(sock, 1024);
			dev_end_transfer();
			e = dev_next_event();
		} while (e.kind == SCM_DEVICE_FORWARD && ++writes < 1000);
		ck_assert_int_eq(e.kind, SCM_DEVICE_OVERFLOW);
		/* Half of what there was. */
		last /= 2;
		ck_assert_uint_eq(dev.slots[sock == 1 ? hog : next].held,
		    last);
	}
	/* What is written makes room, and what is left behind, too. */
	scm_device_taken(&dev, next, last);
	ck_assert_uint_eq(dev.held, dev.slots[hog].held);
	dev_release(hog, 0, 0);
	ck_assert_uint_eq(dev.held, 0);
	ck_assert_uint_eq(dev.slots[hog].held, 0);
	dev_stop();
}
END_TEST

/* ---- Message ids -------------------------------------------------------- */

START_TEST(every_socket_has_ids)
{
	bool used[256] = { false };
	uint32_t least = 256, total = 0;

	dev_start(SCM_8, "limit * sockets 128\n");
	for (uint32_t sock = 0; sock < 128; sock++) {
		const struct scm_ids *ids =
		    &dev.slots[dev_open_socket(sock)].ids;

		least = ids->count < least ? ids->count : least;
		total += ids->count;
		for (unsigned i = 0; i < ids->count; i++) {
			HOLDS(!used[ids->ids[i]], "id %u twice", ids->ids[i]);
			used[ids->ids[i]] = true;
		}
	}
	ck_assert_uint_eq(least, SCM_IDS_MIN);
	ck_assert_uint_eq(total + dev.free_count, 256);
	dev_stop();
	/* The fewer sockets there can be, the more each gets. */
	dev_start(SCM_8, "limit * sockets 1\n");
	ck_assert_uint_eq(dev.slots[dev_open_socket(0)].ids.count, SCM_IDS_MAX);
	dev_stop();
}
END_TEST

static struct scm_event
event_of_ack(uint16_t id, uint32_t sock)
{
	return dev_event_of(&(struct scm_message){ .op = SCM_ACK, .id = id,
	    .sock = sock });
}

START_TEST(an_answer_reaches_whoever_asked)
{
	uint32_t slot;
	uint16_t id;
	struct scm_event e;

	dev_start(SCM_8, "");
	slot = dev_open_socket(7);
	dev_open_socket(8);
	id = dev.slots[slot].ids.ids[0];
	e = event_of_ack(id, 7);
	ck_assert(e.kind == SCM_DEVICE_FORWARD && e.slot == slot);
	ck_assert_int_eq(event_of_ack(id, 8).kind, SCM_DEVICE_NOTE);
	ck_assert_int_eq(event_of_ack(255, 7).kind, SCM_DEVICE_NOTE);
	e = dev_event_of(&(struct scm_message){ .op = SCM_REPLY, .id = id,
	    .sock = 7 });
	ck_assert(e.kind == SCM_DEVICE_FORWARD && e.slot == slot);
	ck_assert_uint_eq(dev.violations, 2);
	dev_stop();
}
END_TEST

/* An id is not used before its answer, wherever its socket is by then. */
START_TEST(an_id_rests_until_its_answer)
{
	uint32_t slot;
	struct scm_ids ids;

	dev_start(SCM_8, "limit * sockets 1\n");
	slot = dev_open_socket(7);
	ids = dev.slots[slot].ids;
	scm_device_leave(&dev, slot);
	/* Of three unanswered, one is answered before the worker is done. */
	ck_assert_int_eq(event_of_ack(ids.ids[1], 7).kind, SCM_DEVICE_IDLE);
	ck_assert_int_eq(event_of_ack(ids.ids[1], 7).kind, SCM_DEVICE_NOTE);
	dev_release(slot, 7, 0);
	ck_assert_uint_eq(dev.orphans, 2);
	ck_assert_uint_eq(dev.free_count, 254);
	for (int i = 0; i < 100; i++) {
		slot = dev_open_socket(7);
		for (unsigned k = 0; k < dev.slots[slot].ids.count; k++) {
			HOLDS(dev.slots[slot].ids.ids[k] != ids.ids[0], "0");
			HOLDS(dev.slots[slot].ids.ids[k] != ids.ids[2], "2");
		}
		dev_release(slot, 0, 0);
	}
	ck_assert_int_eq(event_of_ack(ids.ids[0], 8).kind, SCM_DEVICE_NOTE);
	ck_assert_int_eq(event_of_ack(ids.ids[0], 7).kind, SCM_DEVICE_IDLE);
	ck_assert_int_eq(event_of_ack(ids.ids[0], 7).kind, SCM_DEVICE_NOTE);
	ck_assert_int_eq(event_of_ack(ids.ids[2], 7).kind, SCM_DEVICE_IDLE);
	ck_assert_uint_eq(dev.orphans, 0);
	ck_assert_uint_eq(dev.free_count, 256);
	dev_stop();
}
END_TEST

/* The id of a CLOSE rests too, as long as there are others: some devices answer
 * it, and some do not. */
START_TEST(the_id_of_a_close_rests_while_it_can)
{
	uint32_t slot;
	uint16_t id;

	dev_start(SCM_8, "limit * sockets 1\n");
	slot = dev_open_socket(7);
	id = dev.slots[slot].ids.ids[0];
	dev_release(slot, 1, 1);
	ck_assert_uint_eq(dev.resting, 1);
	for (int i = 0; i < 100; i++) {
		slot = dev_open_socket(7);
		HOLDS(scm_ids_bit(&dev.slots[slot].ids, id) == 0, "used");
		dev_release(slot, 0, 0);
	}
	ck_assert_int_eq(event_of_ack(id, 7).kind, SCM_DEVICE_IDLE);
	ck_assert_int_eq(event_of_ack(id, 7).kind, SCM_DEVICE_NOTE);
	ck_assert_uint_eq(dev.free_count, 256);
	/* Ten thousand that are not answered. */
	for (int i = 0; i < 10000; i++) {
		slot = dev_open_socket(7);
		dev_release(slot, 1u << i % 2, 1u << i % 2);
	}
	ck_assert_uint_eq(dev.orphans, 0);
	ck_assert_uint_eq(dev.free_count + dev.resting, 256);
	dev_stop();
}
END_TEST

/* Ids that are not answered take the place of sockets, before they take all. */
START_TEST(no_socket_without_ids)
{
	uint32_t slot, sock = 0, count;

	dev_start(SCM_8, "limit * sockets 128\n");
	while (dev.orphans < 100) {
		slot = dev_open_socket(200);
		count = dev.slots[slot].ids.count;
		dev_release(slot, (1u << count) - 1, 0);
	}
	while (dev.free_count >= SCM_IDS_MIN)
		dev_open_socket(sock++);
	ck_assert_uint_lt(sock, 128);
	dev_assert_reply(dev_event_of_open(sock, SCM_INET, SCM_TCP), SCM_OPEN,
	    SCM_ENOBUFS);
	ck_assert(!dev.broken);
	dev_stop();
}
END_TEST

START_TEST(a_device_that_answers_nothing_is_reset)
{
	struct scm_event e;
	int rounds = 0;

	dev_start(SCM_8, "");
	do {
		const uint32_t slot = dev_open_socket(7);
		const uint32_t count = dev.slots[slot].ids.count;

		scm_device_leave(&dev, slot);
		dev_release(slot, (1u << count) - 1, 0);
	} while (!dev.broken && ++rounds < 100);
	e = dev_event_of_open(7, SCM_INET, SCM_TCP);
	ck_assert_int_eq(e.kind, SCM_DEVICE_BROKEN);
	ck_assert_ptr_nonnull(strstr(e.why.text, "not answered"));
	dev_stop();
}
END_TEST

START_TEST(answers_of_dialect_12_are_not_missed)
{
	struct scm_event e;

	dev_start(SCM_12, "");
	dev_open_socket(7);
	e = event_of_ack(999, 7);
	ck_assert_int_eq(e.kind, SCM_DEVICE_IDLE);
	e = event_of_ack(1, 12345);
	ck_assert_int_eq(e.kind, SCM_DEVICE_IDLE);
	ck_assert_uint_eq(dev.violations, 0);
	dev_stop();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm limits");
	const int both = SCM_12 + 1;
	TCase *tc = tcase_create("limits");

	tcase_add_loop_test(tc, a_connect_is_judged, SCM_8, both);
	tcase_add_test(tc, connects_have_a_rate);
	tcase_add_test(tc, bytes_have_a_rate);
	tcase_add_loop_test(tc, so_much_may_wait, SCM_8, both);
	tcase_add_loop_test(tc, what_may_wait_is_shared, SCM_8, both);
	suite_add_tcase(s, tc);
	tc = tcase_create("ids");
	tcase_add_test(tc, every_socket_has_ids);
	tcase_add_test(tc, an_answer_reaches_whoever_asked);
	tcase_add_test(tc, an_id_rests_until_its_answer);
	tcase_add_test(tc, the_id_of_a_close_rests_while_it_can);
	tcase_add_test(tc, no_socket_without_ids);
	tcase_add_test(tc, a_device_that_answers_nothing_is_reset);
	tcase_add_test(tc, answers_of_dialect_12_are_not_missed);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
