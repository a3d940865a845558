/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/log.h"
#include "unit.h"
#include "usbip/importer.h"

/*
 * The importer and servers that lie: each field of each answer is wrong in
 * turn.  Either it does not matter, or this one connection ends; every URB
 * completes once, nothing is written beyond its buffer, and another importer
 * beside it goes on.
 */

#define DATA 64
#define ISO_DATA 160
#define ISO_COUNT 3
#define GUARD 0xa5

struct urb {
	struct importer_urb urb; /* first */
	int done;
	uint8_t bytes[ISO_DATA + 16]; /* the end of it must stay as it is */
	struct usbip_iso iso[ISO_COUNT];
	uint8_t iso_bytes[ISO_COUNT * USBIP_ISO_SIZE];
};

struct side {
	struct importer imp;
	int peer; /* the server's end; blocking */
};

enum { IN, OUT, ISO_IN, ISO_OUT, UNLINKED, URBS };

static struct waker *waker;
static struct side liar, honest;
static struct urb urbs[URBS], spare;

static void
note_done(struct importer_urb *u)
{
	((struct urb *)u)->done++;
}

static void
submit(struct side *side, struct urb *u, uint8_t endpoint, uint32_t length)
{
	static const struct usbip_iso packets[ISO_COUNT] = { { 0, 20, 0, 0 },
		{ 60, 10, 0, 0 }, { 100, 40, 0, 0 } };
	struct importer_urb *const one[] = { &u->urb };

	memset(u, 0, sizeof *u);
	memset(u->bytes, GUARD, sizeof u->bytes);
	u->urb.endpoint = endpoint;
	u->urb.buffer = u->bytes;
	u->urb.length = length;
	u->urb.complete = note_done;
	if ((endpoint & 0xf) == 5) {
		memcpy(u->iso, packets, sizeof packets);
		u->urb.iso = u->iso;
		u->urb.iso_bytes = u->iso_bytes;
		u->urb.iso_count = ISO_COUNT;
	}
	ck_assert(importer_submit(&side->imp, one, 1, false));
}

static void
side_open(struct side *side)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	importer_init(&side->imp, fds[0], 0x30005, waker);
	side->peer = fds[1];
}

static void
side_close(struct side *side)
{
	importer_abort(&side->imp);
	importer_fini(&side->imp);
	close(side->peer);
}

static void
setup(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	waker = waker_new_polled();
	side_open(&liar);
	side_open(&honest);
	submit(&liar, &urbs[IN], 0x81, DATA);
	submit(&liar, &urbs[OUT], 0x01, DATA);
	submit(&liar, &urbs[ISO_IN], 0x85, ISO_DATA);
	submit(&liar, &urbs[ISO_OUT], 0x05, ISO_DATA);
	submit(&liar, &urbs[UNLINKED], 0x82, DATA);
	importer_unlink(&liar.imp, &urbs[UNLINKED].urb);
}

static void
teardown(void)
{
	side_close(&liar);
	side_close(&honest);
	waker_put(waker);
}

static bool
work(struct side *side)
{
	bool good;

	do
		good = importer_work(&side->imp);
	while (good && importer_is_ready(&side->imp));
	return good;
}

/* ---- Answers, before something is wrong with them ----------------------- */

enum field {
	COMMAND = 0, SEQNUM = 4, DEVID = 8, DIRECTION = 12, ENDPOINT = 16,
	STATUS = 20, ACTUAL = 24, START_FRAME = 28, PACKETS = 32, ERRORS = 36,
	PADDING = 40,
	ISO_OFFSET = 48 + 35, ISO_LENGTH = 52 + 35, ISO_ACTUAL = 56 + 35,
	ISO_STATUS = 60 + 35, /* behind the data of ISO_IN */
};

#define ANSWER_MAX 256

/* The whole answer to that URB; its length. */
static size_t
sound_answer(int kind, uint8_t out[ANSWER_MAX])
{
	static const struct usbip_iso packets[ISO_COUNT] = { { 0, 20, 10, 0 },
		{ 60, 10, 5, USBIP_EPROTO }, { 100, 40, 20, 0 } };
	const bool iso = kind == ISO_IN || kind == ISO_OUT;
	const int32_t actual = iso ? 35 : DATA;
	struct usbip_pdu pdu = { .command = USBIP_RET_SUBMIT,
		.seqnum = urbs[kind].urb.seqnum,
		.ret_submit = { .actual = actual,
		    .packets = iso ? ISO_COUNT : 0, .errors = iso } };
	struct writer w = writer_over(out, ANSWER_MAX);

	if (kind == UNLINKED)
		pdu = (struct usbip_pdu){ .command = USBIP_RET_UNLINK,
			.seqnum = urbs[kind].urb.unlink_seqnum,
			.ret_unlink.status = USBIP_ECONNRESET };
	usbip_pdu_encode(write_room(&w, USBIP_PDU_SIZE), &pdu);
	if (kind == IN || kind == ISO_IN)
		for (int i = 0; i < actual; i++)
			write_u8(&w, (uint8_t)(i + 1));
	for (int i = 0; iso && i < ISO_COUNT; i++)
		usbip_iso_encode(write_room(&w, USBIP_ISO_SIZE), &packets[i]);
	ck_assert(!w.bad);
	return writer_used(&w);
}

/* ---- What must come of it ----------------------------------------------- */

enum verdict {
	ENDS,  /* the connection */
	WAITS, /* for more, with the URB not done */
	DONE,  /* with `status` and `actual` */
};

struct lie {
	int kind;
	enum field field;
	uint32_t value;
	bool relative; /* to what would be right */
	enum verdict verdict;
	int32_t status;
	uint32_t actual;
};

#define INT_BELOW 0x80000000u
#define INT_TOP 0x7fffffffu
#define ALL_ONES 0xffffffffu

static const struct lie lies[] = {
	{ IN, COMMAND, 0, false, ENDS, 0, 0 },
	{ IN, COMMAND, USBIP_CMD_SUBMIT, false, ENDS, 0, 0 },
	{ IN, COMMAND, USBIP_CMD_UNLINK, false, ENDS, 0, 0 },
	{ IN, COMMAND, USBIP_RET_UNLINK, false, ENDS, 0, 0 },
	{ IN, COMMAND, 5, false, ENDS, 0, 0 },
	{ IN, COMMAND, 0x03000000, false, ENDS, 0, 0 },
	{ IN, COMMAND, ALL_ONES, false, ENDS, 0, 0 },
	{ IN, SEQNUM, 0, false, ENDS, 0, 0 },
	{ IN, SEQNUM, ALL_ONES, true, ENDS, 0, 0 },
	{ IN, SEQNUM, 1, true, ENDS, 0, 0 }, /* the OUT's: then data is left */
	{ IN, SEQNUM, 2, true, ENDS, 0, 0 }, /* an ISO's: packets are missing */
	{ IN, SEQNUM, 5, true, ENDS, 0, 0 }, /* free */
	{ IN, SEQNUM, IMPORTER_URBS_MAX, true, ENDS, 0, 0 },
	{ IN, SEQNUM, INT_BELOW, true, ENDS, 0, 0 },
	{ IN, SEQNUM, ALL_ONES, false, ENDS, 0, 0 },
	{ IN, DEVID, ALL_ONES, false, DONE, 0, DATA },
	{ IN, DIRECTION, ALL_ONES, false, DONE, 0, DATA },
	{ IN, ENDPOINT, ALL_ONES, false, DONE, 0, DATA },
	{ IN, STATUS, INT_BELOW, false, DONE, INT32_MIN, DATA },
	{ IN, STATUS, INT_TOP, false, DONE, INT32_MAX, DATA },
	{ IN, STATUS, ALL_ONES, false, DONE, -1, DATA },
	{ IN, ACTUAL, DATA - 1, false, DONE, 0, DATA - 1 },
	{ IN, ACTUAL, 0, false, ENDS, 0, 0 }, /* its data is no answer */
	{ IN, ACTUAL, DATA + 1, false, ENDS, 0, 0 },
	{ IN, ACTUAL, INT_TOP, false, ENDS, 0, 0 },
	{ IN, ACTUAL, INT_BELOW, false, ENDS, 0, 0 },
	{ IN, ACTUAL, ALL_ONES, false, ENDS, 0, 0 },
	{ IN, START_FRAME, ALL_ONES, false, DONE, 0, DATA },
	{ IN, PACKETS, 1, false, ENDS, 0, 0 },
	{ IN, PACKETS, INT_TOP, false, ENDS, 0, 0 },
	{ IN, PACKETS, INT_BELOW, false, DONE, 0, DATA },
	{ IN, PACKETS, ALL_ONES, false, DONE, 0, DATA },
	{ IN, ERRORS, ALL_ONES, false, DONE, 0, DATA },
	{ IN, PADDING, ALL_ONES, false, DONE, 0, DATA },

	{ OUT, SEQNUM, ALL_ONES, true, WAITS, 0, 0 }, /* the IN's */
	{ OUT, ACTUAL, 0, false, DONE, 0, 0 },
	{ OUT, ACTUAL, DATA + 1, false, ENDS, 0, 0 },
	{ OUT, ACTUAL, ALL_ONES, false, ENDS, 0, 0 },
	{ OUT, PACKETS, 1, false, ENDS, 0, 0 },
	{ OUT, PACKETS, ALL_ONES, false, DONE, 0, DATA },

	{ ISO_IN, ACTUAL, 0, false, ENDS, 0, 0 },
	{ ISO_IN, ACTUAL, 34, false, ENDS, 0, 0 },
	{ ISO_IN, ACTUAL, 36, false, WAITS, 0, 0 },
	{ ISO_IN, ACTUAL, ISO_DATA + 1, false, ENDS, 0, 0 },
	{ ISO_IN, ACTUAL, ALL_ONES, false, ENDS, 0, 0 },
	{ ISO_IN, PACKETS, 0, false, ENDS, 0, 0 },
	{ ISO_IN, PACKETS, ISO_COUNT - 1, false, ENDS, 0, 0 },
	{ ISO_IN, PACKETS, ISO_COUNT + 1, false, ENDS, 0, 0 },
	{ ISO_IN, PACKETS, INT_TOP, false, ENDS, 0, 0 },
	{ ISO_IN, PACKETS, ALL_ONES, false, ENDS, 0, 0 },
	{ ISO_IN, ERRORS, ALL_ONES, false, DONE, 0, 35 },
	{ ISO_IN, ISO_OFFSET, ALL_ONES, false, DONE, 0, 35 },
	{ ISO_IN, ISO_LENGTH, ALL_ONES, false, DONE, 0, 35 },
	{ ISO_IN, ISO_ACTUAL, 9, false, ENDS, 0, 0 },
	{ ISO_IN, ISO_ACTUAL, 21, false, ENDS, 0, 0 },
	{ ISO_IN, ISO_ACTUAL, 11, false, ENDS, 0, 0 },
	{ ISO_IN, ISO_ACTUAL, INT_BELOW, false, ENDS, 0, 0 },
	{ ISO_IN, ISO_ACTUAL, ALL_ONES, false, ENDS, 0, 0 },
	{ ISO_IN, ISO_STATUS, INT_BELOW, false, DONE, 0, 35 },
	{ ISO_OUT, ACTUAL, 34, false, ENDS, 0, 0 },
	{ ISO_OUT, ACTUAL, ISO_DATA + 1, false, ENDS, 0, 0 },
	{ ISO_OUT, PACKETS, 0, false, ENDS, 0, 0 },
	{ ISO_OUT, PACKETS, ISO_COUNT + 1, false, ENDS, 0, 0 },

	{ UNLINKED, COMMAND, USBIP_RET_SUBMIT, false, ENDS, 0, 0 },
	{ UNLINKED, SEQNUM, INT_BELOW, true, ENDS, 0, 0 }, /* the SUBMIT's */
	{ UNLINKED, SEQNUM, 1, true, ENDS, 0, 0 },
	{ UNLINKED, SEQNUM, ALL_ONES, true, ENDS, 0, 0 }, /* not taken back */
	{ UNLINKED, STATUS, 0, false, WAITS, 0, 0 },
	{ UNLINKED, STATUS, 1, false, DONE, 1, 0 },
	{ UNLINKED, STATUS, INT_TOP, false, DONE, INT32_MAX, 0 },
	{ UNLINKED, STATUS, INT_BELOW, false, DONE, INT32_MIN, 0 },
	{ UNLINKED, ACTUAL, ALL_ONES, false, DONE, USBIP_ECONNRESET, 0 },
	{ UNLINKED, DIRECTION, ALL_ONES, false, DONE, USBIP_ECONNRESET, 0 },
};

static void
tell_lie(const struct lie *lie)
{
	uint8_t bytes[ANSWER_MAX];
	const size_t len = sound_answer(lie->kind, bytes);
	struct reader r = reader_over(bytes + lie->field, 4);
	struct writer w = writer_over(bytes + lie->field, 4);

	write_be32(&w, (lie->relative ? read_be32(&r) : 0) + lie->value);
	ck_assert_int_eq(sock_send_all(liar.peer, bytes, len), 0);
}

static void
expect_verdict(const struct lie *lie)
{
	const struct urb *u = &urbs[lie->kind];

	ck_assert_int_eq(work(&liar), lie->verdict != ENDS);
	if (lie->verdict == WAITS)
		ck_assert_int_eq(u->done, 0);
	if (lie->verdict != DONE)
		return;
	ck_assert_int_eq(u->done, 1);
	ck_assert_int_eq(u->urb.status, lie->status);
	ck_assert_uint_eq(u->urb.actual, lie->actual);
}

/* What the honest server says is heard. */
static void
others_go_on(void)
{
	struct usbip_pdu pdu = { .command = USBIP_RET_SUBMIT };
	uint8_t bytes[USBIP_PDU_SIZE];

	submit(&honest, &spare, 0x01, DATA);
	pdu.seqnum = spare.urb.seqnum;
	pdu.ret_submit.actual = DATA;
	usbip_pdu_encode(bytes, &pdu);
	ck_assert_int_eq(sock_send_all(honest.peer, bytes, sizeof bytes), 0);
	ck_assert(work(&honest));
	ck_assert_int_eq(spare.done, 1);
}

START_TEST(each_field_is_wrong_in_turn)
{
	tell_lie(&lies[_i]);
	expect_verdict(&lies[_i]);
	others_go_on();
	importer_abort(&liar.imp);
	for (int i = 0; i < URBS; i++) {
		const struct urb *u = &urbs[i];

		ck_assert_int_eq(u->done, 1);
		ck_assert_uint_le(u->urb.actual, u->urb.length);
		for (size_t k = u->urb.length; k < sizeof u->bytes; k++)
			ck_assert_uint_eq(u->bytes[k], GUARD);
	}
}
END_TEST

/* An answer that stops at any byte, and then the connection ends: what was
 * missing completes with that. */
START_TEST(each_answer_is_cut)
{
	uint8_t bytes[ANSWER_MAX];
	const size_t len = sound_answer(_i, bytes);

	for (size_t cut = 0; cut < len; cut++) {
		ck_assert_int_eq(sock_send_all(liar.peer, bytes, cut), 0);
		ck_assert(work(&liar));
		ck_assert_int_eq(urbs[_i].done, 0);
		shutdown(liar.peer, SHUT_WR);
		ck_assert(!work(&liar));
		importer_abort(&liar.imp);
		ck_assert_int_eq(urbs[_i].done, 1);
		ck_assert_int_eq(urbs[_i].urb.status, USBIP_ESHUTDOWN);
		ck_assert_uint_eq(urbs[_i].urb.actual, 0);
		teardown();
		setup();
	}
	others_go_on();
}
END_TEST

/* The sum is right, but one packet has more than fits it. */
START_TEST(a_packet_takes_from_another)
{
	uint8_t bytes[ANSWER_MAX];
	const size_t len = sound_answer(ISO_IN, bytes);
	struct writer w = writer_over(bytes + ISO_ACTUAL, 4);

	write_be32(&w, 10 + 20);
	w = writer_over(bytes + ISO_ACTUAL + 2 * USBIP_ISO_SIZE, 4);
	write_be32(&w, 20 - 20);
	ck_assert_int_eq(sock_send_all(liar.peer, bytes, len), 0);
	ck_assert(!work(&liar));
	ck_assert_int_eq(urbs[ISO_IN].done, 0);
	others_go_on();
}
END_TEST

/* Every answer as it should be, in any order: so the lies above are lies. */
START_TEST(the_truth_is_believed)
{
	uint8_t bytes[ANSWER_MAX];

	for (int i = URBS - 1; i >= 0; i--) {
		const size_t len = sound_answer(i, bytes);

		ck_assert_int_eq(sock_send_all(liar.peer, bytes, len), 0);
		ck_assert(work(&liar));
		ck_assert_int_eq(urbs[i].done, 1);
	}
	ck_assert_uint_eq(urbs[IN].bytes[DATA - 1], DATA);
	ck_assert_uint_eq(urbs[ISO_IN].bytes[9], 10);
	ck_assert_uint_eq(urbs[ISO_IN].bytes[60], 11);
	ck_assert_uint_eq(urbs[ISO_IN].bytes[119], 35);
	ck_assert_int_eq(urbs[ISO_IN].iso[1].status, USBIP_EPROTO);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("importer_lies");
	TCase *tc = tcase_create("lies");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, each_field_is_wrong_in_turn, 0,
	    UNIT_COUNT(lies));
	tcase_add_loop_test(tc, each_answer_is_cut, IN, URBS);
	tcase_add_test(tc, a_packet_takes_from_another);
	tcase_add_test(tc, the_truth_is_believed);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
