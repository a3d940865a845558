/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/sock.h"
#include "usbip/server.h"
#include "usbip_golden.h"

/*
 * The engine in the place of the kernel's server: it is sent what the kernel's
 * client sent in tests/golden/usbip-captures.txt, over a device that does what
 * the captured one did, and must answer with the same bytes, in the same order.
 */

#define LINES_MAX 128
#define PATIENCE_S 30

static struct golden_line lines[LINES_MAX];
static int line_count;

/* The PDU of a line; its command is 0 when it is none. */
static struct usbip_pdu
pdu_of(const struct golden_line *l)
{
	struct usbip_pdu pdu = { .command = 0 };

	if (l->length >= USBIP_PDU_SIZE && l->length != USBIP_DEVICE_SIZE)
		ck_assert_int_eq(usbip_pdu_decode(&pdu, l->bytes), 0);
	return pdu;
}

static void
read_lines(void)
{
	FILE *f = golden_open("usbip-captures.txt");

	while (line_count < LINES_MAX && golden_next(f, &lines[line_count]))
		line_count++;
	fclose(f);
	ck_assert_int_eq(line_count, 89);
}

static const struct golden_line *
reply_to(uint32_t seqnum)
{
	for (int i = 0; i < line_count; i++) {
		const struct usbip_pdu pdu = pdu_of(&lines[i]);

		if (pdu.command == USBIP_RET_SUBMIT && pdu.seqnum == seqnum)
			return &lines[i];
	}
	return NULL;
}

/* ---- A device that does what was captured ------------------------------- */

/* The contract does not tell a backend the seqnum; SUBMITs are sent one at a
 * time here, so the sender does. */
static uint32_t current;
static struct usbip_urb *unanswered;

static void
replay_submit(struct usbip_device *dev, struct usbip_urb *u)
{
	const struct golden_line *l = reply_to(current);
	struct usbip_pdu pdu;
	const uint8_t *payload;

	(void)dev;
	if (l == NULL) {
		unanswered = u;
		return;
	}
	pdu = pdu_of(l);
	payload = l->bytes + USBIP_PDU_SIZE;
	if (usbip_urb_is_in(u)) {
		memcpy(u->buffer, payload, (size_t)pdu.ret_submit.actual);
		payload += pdu.ret_submit.actual;
	}
	for (uint32_t i = 0; i < u->iso_count; i++)
		usbip_iso_decode(&u->iso[i], payload + i * USBIP_ISO_SIZE);
	u->start_frame = pdu.ret_submit.start_frame;
	usbip_urb_complete(u, pdu.ret_submit.status,
	    (uint32_t)pdu.ret_submit.actual);
}

static void
replay_cancel(struct usbip_device *dev, struct usbip_urb *u)
{
	(void)dev;
	if (u == unanswered)
		usbip_urb_complete(u, USBIP_ECONNRESET, 0);
	unanswered = NULL;
}

static const struct usbip_device_ops ops = {
	.submit = replay_submit,
	.cancel = replay_cancel,
};

/* ---- Client ------------------------------------------------------------- */

static int
import(struct usbip_server *s, struct usbip_device *dev, uint32_t devid)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	const struct usbip_description desc = { .device = { .busid = "1-1",
		    .bus = devid >> 16, .address = devid & 0xffff } };
	uint8_t bytes[USBIP_REP_IMPORT_SIZE] = "\x01\x11\x80\x03\0\0\0\0" "1-1";
	struct cause why;
	int pair[2];

	dev->ops = &ops;
	ck_assert_int_eq(usbip_server_plug(s, dev, &desc, &why), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof patience);
	ck_assert_int_eq(usbip_server_adopt(s, pair[0], NULL, NULL, &why), 0);
	ck_assert_int_eq(
	    sock_send_all(pair[1], bytes, USBIP_REQ_IMPORT_SIZE), 0);
	ck_assert_int_eq(sock_recv_all(pair[1], bytes, sizeof bytes), 0);
	ck_assert_int_eq(bytes[7], 0);
	return pair[1];
}

static void
expect_line(int fd, const struct golden_line *l)
{
	uint8_t got[GOLDEN_BYTES];

	ck_assert_int_eq(sock_recv_all(fd, got, l->length), 0);
	ck_assert_mem_eq(got, l->bytes, l->length);
}

/* The line that answers the request `pdu`, whatever it is; or NULL. */
static const struct golden_line *
answer(const struct usbip_pdu *pdu)
{
	for (int i = 0; i < line_count; i++) {
		const struct usbip_pdu ret = pdu_of(&lines[i]);

		if (ret.command == pdu->command + 2 &&
		    ret.seqnum == pdu->seqnum)
			return &lines[i];
	}
	return NULL;
}

/* Returns how many requests the device of that devid got. */
static int
replay(uint32_t devid)
{
	struct usbip_device dev;
	struct cause why;
	struct usbip_server *s = usbip_server_new(&why);
	int fd, requests = 0;

	ck_assert_ptr_nonnull(s);
	fd = import(s, &dev, devid);
	for (int i = 0; i < line_count; i++) {
		const struct usbip_pdu pdu = pdu_of(&lines[i]);
		const struct golden_line *l;

		if (!lines[i].from_client || pdu.devid != devid)
			continue;
		if (pdu.command == USBIP_CMD_SUBMIT)
			current = pdu.seqnum;
		ck_assert_int_eq(
		    sock_send_all(fd, lines[i].bytes, lines[i].length), 0);
		l = answer(&pdu);
		if (l != NULL)
			expect_line(fd, l);
		requests++;
	}
	close(fd);
	usbip_server_free(s);
	return requests;
}

START_TEST(three_captured_imports_are_answered_alike)
{
	read_lines();
	ck_assert_int_eq(replay(0x30002), 14); /* Source/Sink gadget */
	ck_assert_int_eq(replay(0x10002), 17); /* isochronous audio */
	ck_assert_int_eq(replay(0x10003), 13); /* interrupt, unlinked */
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbip_replay");
	TCase *tc = tcase_create("replay");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, three_captured_imports_are_answered_alike);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
