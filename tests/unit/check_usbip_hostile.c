/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/log.h"
#include "unit.h"
#include "usbip_rig.h"

/*
 * The USB/IP server engine and importers that lie: each field of each request
 * is wrong in turn.  What can be answered is, and the stream goes on; otherwise
 * this one import ends.  Another one goes on beside it all the time.
 */

static struct rig rig;
static struct rig_device one, two;
static int bystander; /* has imported `two` */
static unsigned imports;
static int open_before;

static int
open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
setup(void)
{
	open_before = open_descriptors();
	log_set_level(LOG_LEVEL_ERROR);
	rig_open(&rig);
	rig_device_init(&one, "3-1", 2);
	rig_device_init(&two, "3-2", 3);
	rig_plug(&rig, &one);
	rig_plug(&rig, &two);
	bystander = rig_import(&rig, &two);
	imports = 0;
}

static void
teardown(void)
{
	close(bystander);
	rig_close(&rig);
	rig_device_fini(&one);
	rig_device_fini(&two);
	ck_assert_int_eq(open_descriptors(), open_before);
}

static void
bystander_is_well(void)
{
	static uint32_t seqnum;

	rig_submit(bystander, &two, ++seqnum, RIG_INSTANT, 100);
	rig_expect_ret(bystander, seqnum, USBIP_OK, 100);
	rig_submit(bystander, &two, ++seqnum, 0x80 | RIG_INSTANT, 5000);
	rig_expect_data(bystander, seqnum, 5000);
}

/* ---- Requests, before something is wrong with them ---------------------- */

enum kind { IN, OUT, CONTROL, ISO_IN, ISO_OUT, UNLINK };

/* Where fields of a PDU lie, and of the first ISO descriptor of an IN. */
enum field {
	COMMAND = 0, SEQNUM = 4, DEVID = 8, DIRECTION = 12, ENDPOINT = 16,
	FLAGS = 20, VICTIM = 20, LENGTH = 24, START_FRAME = 28, PACKETS = 32,
	INTERVAL = 36, SETUP = 40, SETUP_LENGTH = 44,
	ISO_OFFSET = 48, ISO_LENGTH = 52, ISO_ACTUAL = 56, ISO_STATUS = 60,
};

#define SEQ 7
#define DATA 64     /* bytes of each transfer */
#define ISO_DATA 160
#define ISO_COUNT 3
#define REQUEST_MAX (USBIP_PDU_SIZE + ISO_DATA + ISO_COUNT * USBIP_ISO_SIZE)

static struct usbip_pdu
sound_pdu(enum kind kind)
{
	static const uint8_t endpoints[] = {
		[IN] = 0x80 | RIG_INSTANT, [OUT] = RIG_INSTANT,
		[CONTROL] = 0x80 | RIG_CONTROL, [ISO_IN] = 0x80 | RIG_ISO,
		[ISO_OUT] = RIG_ISO, [UNLINK] = 0 };
	const bool iso = kind == ISO_IN || kind == ISO_OUT;
	struct usbip_pdu pdu = rig_submit_pdu(&one, SEQ, endpoints[kind],
	    iso ? ISO_DATA : DATA);

	if (kind == CONTROL)
		memcpy(pdu.submit.setup, "\x80\x06\0\1\0\0\x40\0", 8);
	if (iso)
		pdu.submit.packets = ISO_COUNT;
	if (kind == UNLINK) {
		pdu = (struct usbip_pdu){ .command = USBIP_CMD_UNLINK,
			.seqnum = SEQ + 1, .devid = pdu.devid,
			.unlink.seqnum = SEQ };
	}
	return pdu;
}

/* The whole request; its length. */
static size_t
sound_request(enum kind kind, uint8_t out[REQUEST_MAX])
{
	static const struct usbip_iso packets[ISO_COUNT] = { { 100, 40, 0, 0 },
		{ 0, 20, 0, 0 }, { 60, 10, 0, 0 } };
	const struct usbip_pdu pdu = sound_pdu(kind);
	struct writer w = writer_over(out, REQUEST_MAX);

	usbip_pdu_encode(write_room(&w, USBIP_PDU_SIZE), &pdu);
	for (uint32_t i = 0; kind == OUT && i < DATA; i++)
		write_u8(&w, rig_pattern(DATA, i));
	if (kind == ISO_OUT)
		write_zeros(&w, ISO_DATA);
	if (kind == ISO_IN || kind == ISO_OUT)
		for (int i = 0; i < ISO_COUNT; i++)
			usbip_iso_encode(write_room(&w, USBIP_ISO_SIZE),
			    &packets[i]);
	ck_assert(!w.bad);
	return writer_used(&w);
}

/* ---- What must come of it ----------------------------------------------- */

enum verdict {
	ENDS,     /* the import */
	WAITS,    /* for more that the request promises, or has answered less
		   * than what came: it stays until its importer goes */
	ANSWERED, /* with `status`, and the stream goes on */
};

struct lie {
	enum kind kind;
	enum field field;
	uint32_t value;
	enum verdict verdict;
	int status;
};

#define INT_BELOW 0x80000000u
#define INT_TOP 0x7fffffffu
#define ALL_ONES 0xffffffffu
#define TOO_LONG (USBIP_LENGTH_MAX + 1)

static const struct lie lies[] = {
	{ IN, COMMAND, 0, ENDS, 0 },
	{ IN, COMMAND, USBIP_RET_SUBMIT, ENDS, 0 },
	{ IN, COMMAND, USBIP_RET_UNLINK, ENDS, 0 },
	{ IN, COMMAND, 5, ENDS, 0 },
	{ IN, COMMAND, 0x01000000, ENDS, 0 },
	{ IN, COMMAND, ALL_ONES, ENDS, 0 },
	{ IN, COMMAND, USBIP_CMD_UNLINK, ANSWERED, 0 },
	{ IN, SEQNUM, 0, ANSWERED, 0 },
	{ IN, SEQNUM, INT_TOP, ANSWERED, 0 },
	{ IN, SEQNUM, INT_BELOW, ANSWERED, 0 },
	{ IN, SEQNUM, ALL_ONES, ANSWERED, 0 },
	{ IN, DEVID, 0, ENDS, 0 },
	{ IN, DEVID, 0x00030003, ENDS, 0 }, /* the bystander's */
	{ IN, DEVID, 0x02000300, ENDS, 0 },
	{ IN, DEVID, ALL_ONES, ENDS, 0 },
	{ IN, DIRECTION, 0, WAITS, 0 },
	{ IN, DIRECTION, 2, ENDS, 0 },
	{ IN, DIRECTION, INT_BELOW, ENDS, 0 },
	{ IN, DIRECTION, ALL_ONES, ENDS, 0 },
	{ IN, ENDPOINT, 0, ANSWERED, 0 }, /* a control request of zeros */
	{ IN, ENDPOINT, 15, ANSWERED, USBIP_EPIPE },
	{ IN, ENDPOINT, 16, ANSWERED, USBIP_EPIPE },
	{ IN, ENDPOINT, 0x81, ANSWERED, USBIP_EPIPE },
	{ IN, ENDPOINT, INT_BELOW | RIG_INSTANT, ANSWERED, USBIP_EPIPE },
	{ IN, ENDPOINT, ALL_ONES, ANSWERED, USBIP_EPIPE },
	{ IN, FLAGS, 0, ANSWERED, 0 },
	{ IN, FLAGS, ALL_ONES, ANSWERED, 0 },
	{ IN, LENGTH, 0, ANSWERED, 0 },
	{ IN, LENGTH, TOO_LONG, ANSWERED, USBIP_ENOMEM },
	{ IN, LENGTH, INT_TOP, ANSWERED, USBIP_ENOMEM },
	{ IN, LENGTH, INT_BELOW, ENDS, 0 },
	{ IN, LENGTH, ALL_ONES, ENDS, 0 },
	{ IN, START_FRAME, INT_BELOW, ANSWERED, 0 },
	{ IN, START_FRAME, ALL_ONES, ANSWERED, 0 },
	{ IN, PACKETS, 1, WAITS, 0 },
	{ IN, PACKETS, USBIP_ISO_PACKETS_MAX + 1, ENDS, 0 },
	{ IN, PACKETS, INT_TOP, ENDS, 0 },
	{ IN, PACKETS, INT_BELOW, ENDS, 0 },
	{ IN, PACKETS, ALL_ONES - 1, ENDS, 0 },
	{ IN, PACKETS, ALL_ONES, ANSWERED, 0 },
	{ IN, INTERVAL, INT_TOP, ANSWERED, 0 },
	{ IN, INTERVAL, INT_BELOW, ANSWERED, 0 },
	{ IN, SETUP, ALL_ONES, ANSWERED, 0 },

	{ OUT, DIRECTION, 1, ENDS, 0 }, /* its data is no request */
	{ OUT, LENGTH, 0, ENDS, 0 },
	{ OUT, LENGTH, DATA - USBIP_PDU_SIZE, ENDS, 0 },
	{ OUT, LENGTH, DATA + 1, WAITS, 0 },
	{ OUT, LENGTH, USBIP_LENGTH_MAX, WAITS, 0 },
	{ OUT, LENGTH, TOO_LONG, WAITS, 0 },
	{ OUT, LENGTH, INT_TOP, WAITS, 0 },
	{ OUT, LENGTH, INT_BELOW, ENDS, 0 },
	{ OUT, ENDPOINT, ALL_ONES, ANSWERED, USBIP_EPIPE },
	{ OUT, PACKETS, 1, WAITS, 0 },
	{ OUT, PACKETS, USBIP_ISO_PACKETS_MAX, WAITS, 0 },
	{ OUT, PACKETS, USBIP_ISO_PACKETS_MAX + 1, ENDS, 0 },

	{ CONTROL, DIRECTION, 0, WAITS, 0 },
	{ CONTROL, LENGTH, 0, ANSWERED, USBIP_EINVAL },
	{ CONTROL, LENGTH, DATA - 1, ANSWERED, USBIP_EINVAL },
	{ CONTROL, PACKETS, 1, WAITS, 0 },
	{ CONTROL, SETUP, 0x00060001, ANSWERED, USBIP_EINVAL },
	{ CONTROL, SETUP, ALL_ONES, ANSWERED, 0 },
	{ CONTROL, SETUP_LENGTH, 0x00004100, ANSWERED, USBIP_EINVAL },
	{ CONTROL, SETUP_LENGTH, 0x0000ffff, ANSWERED, USBIP_EINVAL },

	{ ISO_IN, ENDPOINT, 0, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, LENGTH, 0, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, LENGTH, 139, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, LENGTH, INT_TOP, ANSWERED, USBIP_ENOMEM },
	{ ISO_IN, PACKETS, 0, ENDS, 0 },
	{ ISO_IN, PACKETS, ISO_COUNT - 1, WAITS, 0 },
	{ ISO_IN, PACKETS, ISO_COUNT + 1, WAITS, 0 },
	{ ISO_IN, PACKETS, USBIP_ISO_PACKETS_MAX, WAITS, 0 },
	{ ISO_IN, ISO_OFFSET, 121, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, ISO_OFFSET, ISO_DATA + 1, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, ISO_OFFSET, INT_BELOW, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, ISO_OFFSET, ALL_ONES - 39, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, ISO_OFFSET, ALL_ONES, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, ISO_LENGTH, 0, ANSWERED, 0 },
	{ ISO_IN, ISO_LENGTH, 61, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, ISO_LENGTH, INT_BELOW, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, ISO_LENGTH, ALL_ONES, ANSWERED, USBIP_EINVAL },
	{ ISO_IN, ISO_ACTUAL, ALL_ONES, ANSWERED, 0 },
	{ ISO_IN, ISO_STATUS, ALL_ONES, ANSWERED, 0 },
	{ ISO_OUT, LENGTH, ISO_DATA + 1, WAITS, 0 },
	{ ISO_OUT, PACKETS, ISO_COUNT + 1, WAITS, 0 },
	{ ISO_OUT, PACKETS, ALL_ONES, ENDS, 0 },

	{ UNLINK, COMMAND, USBIP_CMD_SUBMIT, ANSWERED, 0 },
	{ UNLINK, COMMAND, USBIP_RET_UNLINK, ENDS, 0 },
	{ UNLINK, SEQNUM, SEQ, ANSWERED, USBIP_ECONNRESET },
	{ UNLINK, SEQNUM, ALL_ONES, ANSWERED, USBIP_ECONNRESET },
	{ UNLINK, DEVID, 0, ENDS, 0 },
	{ UNLINK, DEVID, ALL_ONES, ENDS, 0 },
	{ UNLINK, DIRECTION, ALL_ONES, ANSWERED, USBIP_ECONNRESET },
	{ UNLINK, ENDPOINT, ALL_ONES, ANSWERED, USBIP_ECONNRESET },
	{ UNLINK, VICTIM, 0, ANSWERED, 0 },
	{ UNLINK, VICTIM, SEQ + 1, ANSWERED, 0 }, /* itself */
	{ UNLINK, VICTIM, ALL_ONES, ANSWERED, 0 },
	{ UNLINK, LENGTH, ALL_ONES, ANSWERED, USBIP_ECONNRESET },
	{ UNLINK, SETUP_LENGTH, ALL_ONES, ANSWERED, USBIP_ECONNRESET },
};

/* Whatever comes, up to the end. */
static void
drain_to_end(int fd)
{
	char sink[4096];
	ssize_t n;

	do
		n = recv(fd, sink, sizeof sink, 0);
	while (n > 0);
	RIG_CHECK(n == 0 || errno == ECONNRESET, "it has not ended: %s",
	    strerror(errno));
}

/* One reply, whole. */
static void
expect_answer(int fd, const uint8_t *request, int status)
{
	static uint8_t sink[65536];
	const struct usbip_pdu got = rig_receive_pdu(fd);
	struct usbip_pdu rq;

	ck_assert_int_eq(usbip_pdu_decode(&rq, request), 0);
	ck_assert_uint_eq(got.seqnum, rq.seqnum);
	ck_assert_uint_eq(got.command, rq.command + 2);
	if (got.command == USBIP_RET_UNLINK) {
		ck_assert_int_eq(got.ret_unlink.status, status);
		return;
	}
	ck_assert_int_eq(got.ret_submit.status, status);
	ck_assert_int_eq(got.ret_submit.packets, rq.submit.packets);
	rig_receive(fd, sink, (size_t)usbip_ret_submit_payload(&got,
	    rq.direction == 1, (uint32_t)rq.submit.length,
	    usbip_iso_count(rq.submit.packets)));
}

static void
expect_verdict(int fd, const uint8_t *request, const struct lie *lie)
{
	char byte;

	if (lie->verdict == ENDS)
		drain_to_end(fd);
	if (lie->verdict == WAITS)
		ck_assert_int_ne(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT),
		    0);
	if (lie->verdict != ANSWERED)
		return;
	expect_answer(fd, request, lie->status);
	rig_submit(fd, &one, 1000, 0x80 | RIG_INSTANT, 100);
	rig_expect_data(fd, 1000, 100);
}

START_TEST(each_field_is_wrong_in_turn)
{
	const struct lie *lie = &lies[_i];
	uint8_t bytes[REQUEST_MAX];
	struct writer w;
	int fd;
	size_t len;

	fd = rig_import(&rig, &one);
	len = sound_request(lie->kind, bytes);
	w = writer_over(bytes + lie->field, 4);
	write_be32(&w, lie->value);
	if (lie->kind == UNLINK)
		rig_submit(fd, &one, SEQ, 0x80 | RIG_HELD, 8);
	rig_send(fd, bytes, len);
	bystander_is_well();
	expect_verdict(fd, bytes, lie);
	close(fd);
	rig_await(&one, &one.released, 1);
	bystander_is_well();
	/* The next importer finds all as it should be. */
	fd = rig_import(&rig, &one);
	rig_submit(fd, &one, 1, 0x80 | RIG_INSTANT, 100);
	rig_expect_data(fd, 1, 100);
	close(fd);
}
END_TEST

/* A request that stops at any byte, and an importer that goes then. */
START_TEST(each_request_is_cut)
{
	uint8_t bytes[REQUEST_MAX];
	const size_t len = sound_request((enum kind)_i, bytes);

	for (size_t cut = 1; cut < len; cut += cut % USBIP_PDU_SIZE < 40 ? 9
									 : 1) {
		const int fd = rig_import(&rig, &one);

		rig_send(fd, bytes, cut);
		close(fd);
		rig_await(&one, &one.released, ++imports);
	}
	ck_assert_uint_eq(one.submits, 0);
	bystander_is_well();
}
END_TEST

/* Slow is not hostile. */
START_TEST(each_request_may_come_byte_by_byte)
{
	const enum kind kind = (enum kind)_i;
	uint8_t bytes[REQUEST_MAX];
	const size_t len = sound_request(kind, bytes);
	const int fd = rig_import(&rig, &one);

	if (kind == UNLINK)
		rig_submit(fd, &one, SEQ, 0x80 | RIG_HELD, 8);
	for (size_t i = 0; i < len; i++)
		rig_send(fd, &bytes[i], 1);
	expect_answer(fd, bytes, kind == UNLINK ? USBIP_ECONNRESET : USBIP_OK);
	close(fd);
}
END_TEST

/* ---- Operations --------------------------------------------------------- */

struct opening {
	uint32_t version_and_code, status;
	const char *busid;
	bool answered;
	uint32_t reply_code, reply_status;
};

static const struct opening openings[] = {
	{ 0x01118003, 0, "3-1", true, USBIP_REP_IMPORT, USBIP_ST_OK },
	{ 0x01118003, 0, "3-2", true, USBIP_REP_IMPORT, USBIP_ST_DEV_BUSY },
	{ 0x01118003, 0, "3-1 ", true, USBIP_REP_IMPORT, USBIP_ST_NODEV },
	{ 0x01118003, 0, "", true, USBIP_REP_IMPORT, USBIP_ST_NODEV },
	{ 0x01118003, 0, "%s%n../../etc/passwd", true, USBIP_REP_IMPORT,
	    USBIP_ST_NODEV },
	{ 0x01118003, 0, "3-1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", true,
	    USBIP_REP_IMPORT, USBIP_ST_NODEV },
	{ 0x01118002, 0, "3-1", true, USBIP_REP_DEVINFO, USBIP_ST_NA },
	{ 0x01118002, 0, "9-9", true, USBIP_REP_DEVINFO, USBIP_ST_NODEV },
	{ 0x01008003, 0, "3-1", false, 0, 0 }, /* versions */
	{ 0x01108003, 0, "3-1", false, 0, 0 },
	{ 0x01128003, 0, "3-1", false, 0, 0 },
	{ 0x11018003, 0, "3-1", false, 0, 0 },
	{ 0x00008005, 0, "", false, 0, 0 },
	{ 0xffff8002, 0, "3-1", false, 0, 0 },
	{ 0x01110003, 0, "3-1", false, 0, 0 }, /* replies */
	{ 0x01110005, 0, "3-1", false, 0, 0 },
	{ 0x01118000, 0, "3-1", false, 0, 0 }, /* nobody's operations */
	{ 0x01118006, 0, "3-1", false, 0, 0 },
	{ 0x01110380, 0, "3-1", false, 0, 0 },
	{ 0x0111ffff, 0xffffffff, "3-1", false, 0, 0 },
};

START_TEST(each_opening_is_answered_or_hung_up_on)
{
	const struct opening *o = &openings[_i];
	uint8_t bytes[USBIP_REQ_IMPORT_SIZE] = { 0 }, reply[USBIP_OP_SIZE];
	struct writer w = writer_over(bytes, USBIP_OP_SIZE);
	struct usbip_op op;
	const int fd = rig_connect(&rig);

	write_be32(&w, o->version_and_code);
	write_be32(&w, o->status);
	memcpy(bytes + USBIP_OP_SIZE, o->busid,
	    strnlen(o->busid, USBIP_BUSID_SIZE));
	rig_send(fd, bytes, sizeof bytes);
	if (o->answered) {
		rig_receive(fd, reply, sizeof reply);
		usbip_op_decode(&op, reply);
		ck_assert_uint_eq(op.version, USBIP_VERSION);
		ck_assert_uint_eq(op.code, o->reply_code);
		ck_assert_uint_eq(op.status, o->reply_status);
	}
	if (!o->answered || o->reply_status != USBIP_ST_OK)
		rig_expect_end(fd);
	close(fd);
	bystander_is_well();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbip_hostile");
	TCase *tc = tcase_create("hostile");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, each_field_is_wrong_in_turn, 0,
	    UNIT_COUNT(lies));
	tcase_add_loop_test(tc, each_request_is_cut, IN, UNLINK + 1);
	tcase_add_loop_test(tc, each_request_may_come_byte_by_byte, IN,
	    UNLINK + 1);
	tcase_add_loop_test(tc, each_opening_is_answered_or_hung_up_on, 0,
	    UNIT_COUNT(openings));
	suite_add_tcase(s, tc);
	return unit_run(s);
}
