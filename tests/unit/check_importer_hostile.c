/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The importer against servers that are slow, odd or malicious: a socket pair
 * whose other end the test holds. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "unit.h"
#include "usbip/importer.h"

static struct importer imp;
static struct waker *waker;
static int peer; /* the server's end; blocking */

static void
setup(void)
{
	int fds[2], small = 4096;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	waker = waker_new_polled();
	importer_init(&imp, fds[0], 0x30005, waker);
	peer = fds[1];
}

static void
teardown(void)
{
	importer_abort(&imp);
	importer_fini(&imp);
	waker_put(waker);
	close(peer);
}

struct urb {
	struct importer_urb urb; /* first */
	int done;
	uint8_t bytes[64];
};

static void
note_done(struct importer_urb *u)
{
	((struct urb *)u)->done++;
}

static void
submit(struct urb *u, uint8_t endpoint, uint32_t length)
{
	struct importer_urb *const one[] = { &u->urb };

	memset(u, 0, sizeof *u);
	u->urb.endpoint = endpoint;
	u->urb.buffer = u->bytes;
	u->urb.length = length;
	u->urb.complete = note_done;
	ck_assert(importer_submit(&imp, one, 1, false));
}

/* What the server gets: the next PDU's head. */
static struct usbip_pdu
take(void)
{
	uint8_t bytes[USBIP_PDU_SIZE];
	struct usbip_pdu pdu;

	ck_assert_int_eq(sock_recv_all(peer, bytes, sizeof bytes), 0);
	ck_assert_int_eq(usbip_pdu_decode(&pdu, bytes), 0);
	return pdu;
}

static void
give(const struct usbip_pdu *pdu)
{
	uint8_t bytes[USBIP_PDU_SIZE];

	usbip_pdu_encode(bytes, pdu);
	ck_assert_int_eq(sock_send_all(peer, bytes, sizeof bytes), 0);
}

static struct usbip_pdu
ret_submit(uint32_t seqnum, int32_t status, int32_t actual)
{
	return (struct usbip_pdu){ .command = USBIP_RET_SUBMIT,
		.seqnum = seqnum,
		.ret_submit = { .status = status, .actual = actual } };
}

static void
give_ret_submit(uint32_t seqnum, int32_t status, int32_t actual)
{
	const struct usbip_pdu pdu = ret_submit(seqnum, status, actual);

	give(&pdu);
}

static void
give_ret_unlink(uint32_t seqnum, int32_t status)
{
	const struct usbip_pdu pdu = { .command = USBIP_RET_UNLINK,
		.seqnum = seqnum, .ret_unlink = { .status = status } };

	give(&pdu);
}

/* The receiver works off what there is.  False: it has hung up. */
static bool
work(void)
{
	bool good;

	do
		good = importer_work(&imp);
	while (good && importer_is_ready(&imp));
	return good;
}

/* ---- What must end the connection ---- */

START_TEST(nonsense)
{
	struct usbip_pdu pdu, bad;
	struct urb in, out;

	submit(&in, 0x81, 64);
	submit(&out, 0x01, 64);
	pdu = take();
	ck_assert_uint_eq(pdu.devid, 0x30005);
	ck_assert_uint_eq(pdu.direction, 1);
	bad = ret_submit(pdu.seqnum, 0, 64);
	switch (_i) {
	case 0: /* a number that is not in flight */
		bad.seqnum += 2;
		break;
	case 1: /* one of the same slot */
		bad.seqnum += IMPORTER_URBS_MAX;
		break;
	case 2: /* more than was asked for */
		bad.ret_submit.actual = 65;
		break;
	case 3:
		bad.ret_submit.actual = -1;
		break;
	case 4: /* packets where there are none */
		bad.ret_submit.packets = 1;
		break;
	case 5: /* a request */
		bad = pdu;
		break;
	case 6: /* an unlink that nobody has asked for */
		bad = (struct usbip_pdu){ .command = USBIP_RET_UNLINK,
			.seqnum = pdu.seqnum };
		break;
	case 7:
		bad = (struct usbip_pdu){ .command = USBIP_RET_UNLINK,
			.seqnum = pdu.seqnum ^ 0x80000000 };
		break;
	case 8: /* the wrong one of two */
		bad.seqnum++;
		bad.ret_submit.actual = 65;
		break;
	}
	give(&bad);
	ck_assert(!work());
	importer_abort(&imp);
	ck_assert_int_eq(in.done, 1);
	ck_assert_int_eq(out.done, 1);
	ck_assert_int_eq(in.urb.status, USBIP_ESHUTDOWN);
	ck_assert_uint_eq(in.urb.actual, 0);
}
END_TEST

START_TEST(unknown_command)
{
	uint8_t bytes[USBIP_PDU_SIZE] = { 0, 0, 0, 9 };

	ck_assert_int_eq(sock_send_all(peer, bytes, sizeof bytes), 0);
	ck_assert(!work());
}
END_TEST

START_TEST(answered_twice)
{
	uint8_t data[64] = { 0 };
	struct usbip_pdu pdu;
	struct urb u;

	submit(&u, 0x81, 64);
	pdu = take();
	for (int i = 0; i < 2; i++) {
		give_ret_submit(pdu.seqnum, 0, 64);
		ck_assert_int_eq(sock_send_all(peer, data, 64), 0);
	}
	ck_assert(!work());
	ck_assert_int_eq(u.done, 1);
	ck_assert_int_eq(u.urb.status, 0);
}
END_TEST

/* The end in the midst of a payload: nothing is delivered. */
START_TEST(cut_short)
{
	struct usbip_pdu pdu;
	struct urb u;

	submit(&u, 0x81, 64);
	pdu = take();
	give_ret_submit(pdu.seqnum, 0, 64);
	ck_assert_int_eq(sock_send_all(peer, "half", 4), 0);
	ck_assert(work());
	shutdown(peer, SHUT_WR);
	ck_assert(!work());
	ck_assert_int_eq(u.done, 0);
	importer_abort(&imp);
	ck_assert_int_eq(u.done, 1);
	ck_assert_int_eq(u.urb.status, USBIP_ESHUTDOWN);
	ck_assert_uint_eq(u.urb.actual, 0);
}
END_TEST

/* ---- What it must live with ---- */

START_TEST(byte_by_byte)
{
	uint8_t bytes[USBIP_PDU_SIZE + 64];
	struct usbip_pdu pdu;
	struct urb u;

	submit(&u, 0x81, 64);
	pdu = ret_submit(take().seqnum, 0, 64);
	usbip_pdu_encode(bytes, &pdu);
	for (int i = 0; i < 64; i++)
		bytes[USBIP_PDU_SIZE + i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof bytes; i++) {
		ck_assert_int_eq(u.done, 0);
		ck_assert_int_eq(sock_send_all(peer, &bytes[i], 1), 0);
		ck_assert(work());
	}
	ck_assert_int_eq(u.done, 1);
	for (int i = 0; i < 64; i++)
		ck_assert_uint_eq(u.bytes[i], i);
}
END_TEST

/* Servers that say "too late" and answer after it. */
START_TEST(unlink_out_of_order)
{
	struct usbip_pdu pdu, unlink;
	struct urb u;

	submit(&u, 0x81, 64);
	pdu = take();
	importer_unlink(&imp, &u.urb);
	unlink = take();
	ck_assert_uint_eq(unlink.command, USBIP_CMD_UNLINK);
	ck_assert_uint_eq(unlink.unlink.seqnum, pdu.seqnum);
	ck_assert_uint_ne(unlink.seqnum, pdu.seqnum);
	give_ret_unlink(unlink.seqnum, 0);
	ck_assert(work());
	ck_assert_int_eq(u.done, 0);
	give_ret_submit(pdu.seqnum, USBIP_EPIPE, 0);
	ck_assert(work());
	ck_assert_int_eq(u.done, 1);
	ck_assert_int_eq(u.urb.status, USBIP_EPIPE);

	/* And those that answer although they have taken it back. */
	submit(&u, 0x81, 64);
	pdu = take();
	importer_unlink(&imp, &u.urb);
	give_ret_unlink(take().seqnum, USBIP_ECONNRESET);
	ck_assert(work());
	ck_assert_int_eq(u.done, 1);
	give_ret_submit(pdu.seqnum, 0, 0);
	ck_assert(!work());
	ck_assert_int_eq(u.done, 1);
}
END_TEST

/* An answer to what has not been sent yet: the URB stays until it has been. */
START_TEST(too_early)
{
	static uint8_t big[1024 * 1024], sink[65536];
	struct importer_urb *one[1];
	struct usbip_pdu pdu;
	struct urb first, second;
	size_t left;

	submit(&first, 0x01, 0);
	memset(&second, 0, sizeof second);
	second.urb.endpoint = 0x01;
	second.urb.buffer = big;
	second.urb.length = sizeof big;
	second.urb.complete = note_done;
	one[0] = &second.urb;
	ck_assert(importer_submit(&imp, one, 1, false));
	ck_assert_int_ne(importer_events(&imp) & POLLOUT, 0);
	pdu = take();
	give_ret_submit(pdu.seqnum, 0, 0);
	give_ret_submit(pdu.seqnum + 1, 0, (int32_t)sizeof big);
	ck_assert(work());
	ck_assert_int_eq(first.done, 1);
	ck_assert_int_eq(second.done, 0);
	if (_i == 1) { /* and once more */
		give_ret_submit(pdu.seqnum + 1, 0, 0);
		ck_assert(!work());
		importer_abort(&imp);
		ck_assert_int_eq(second.done, 1);
		ck_assert_int_eq(second.urb.status, 0);
		return;
	}
	take();
	for (left = sizeof big; left > 0;) {
		const ssize_t n = recv(peer, sink,
		    left < sizeof sink ? left : sizeof sink, MSG_DONTWAIT);

		if (n > 0)
			left -= (size_t)n;
		ck_assert(work());
	}
	ck_assert(work());
	ck_assert_int_eq(second.done, 1);
	ck_assert_int_eq(importer_events(&imp) & POLLOUT, 0);
}
END_TEST

/* ---- A server that does not read ---- */

static struct {
	struct urb urb;
	pthread_t thread;
	_Atomic bool returned;
	bool taken;
} blocked;

static uint8_t big[1024 * 1024];

static void *
submit_big(void *arg)
{
	struct importer_urb *const one[] = { &blocked.urb.urb };

	(void)arg;
	blocked.urb.urb.endpoint = 0x01;
	blocked.urb.urb.buffer = big;
	blocked.urb.urb.length = sizeof big;
	blocked.urb.urb.complete = note_done;
	blocked.taken = importer_submit(&imp, one, 1, true);
	atomic_store(&blocked.returned, true);
	return NULL;
}

/* The submitter waits for room; the receiver does not, and what it submits
 * meanwhile goes out behind; breaking ends the wait. */
START_TEST(no_room)
{
	struct moment start;
	struct usbip_pdu pdu;
	struct urb u;

	ck_assert_int_eq(
	    pthread_create(&blocked.thread, NULL, submit_big, NULL), 0);
	pdu = take(); /* it has begun to send */
	give_ret_submit(pdu.seqnum ^ 0x100, 0, 0); /* nonsense, for later */
	poll(NULL, 0, 50);
	ck_assert(!atomic_load(&blocked.returned));
	start = clock_now();
	submit(&u, 0x81, 64);
	ck_assert_int_lt(moment_ms_between(start, clock_now()), 5000);
	ck_assert_int_eq(importer_events(&imp) & POLLOUT, 0);
	if (_i == 0) {
		ck_assert(!work()); /* here it is */
	} else {
		importer_break(&imp);
	}
	pthread_join(blocked.thread, NULL);
	ck_assert(blocked.taken);
	importer_abort(&imp);
	ck_assert_int_eq(u.done, 1);
	ck_assert_int_eq(blocked.urb.done, 1);
}
END_TEST

/* ---- Lists ---- */

static bool
wait_readable(void *arg, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	(void)arg;
	return poll(&pfd, 1, 50) > 0;
}

static size_t
encode_list(uint8_t *out, size_t size, uint32_t count)
{
	const struct usbip_op op = { .version = USBIP_VERSION,
		.code = USBIP_REP_DEVLIST };
	struct usbip_device_entry e = { .busid = "1-1", .vendor = 0x5ac,
		.interface_count = 2 };
	struct writer w = writer_over(out, size);

	usbip_op_encode(write_room(&w, USBIP_OP_SIZE), &op);
	write_be32(&w, count);
	for (uint32_t i = 0; i < count && i < 2; i++) {
		e.busid[2] = (char)('1' + i);
		usbip_device_encode(write_room(&w, USBIP_DEVICE_SIZE), &e);
		write_zeros(&w, 2 * USBIP_INTERFACE_SIZE);
	}
	ck_assert(!w.bad);
	return writer_used(&w);
}

/* A list that ends at any byte: nothing, or an error, never half a list. */
START_TEST(lists)
{
	struct usbip_device_entry *entries;
	struct cause why = { "" };
	uint8_t bytes[1024];
	const size_t len = encode_list(bytes, sizeof bytes, 2);
	size_t count;

	for (size_t cut = 0; cut <= len; cut++) {
		int fds[2], rc;

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		ck_assert_int_eq(sock_send_all(fds[1], bytes, cut), 0);
		close(fds[1]);
		rc = importer_receive_list(fds[0], wait_readable, NULL,
		    &entries, &count, &why);
		close(fds[0]);
		ck_assert_int_eq(rc, cut == 0 ? 0 : cut == len ? 1 : -1);
		if (rc != 1)
			continue;
		ck_assert_uint_eq(count, 2);
		ck_assert_str_eq(entries[1].busid, "1-2");
		free(entries);
	}
}
END_TEST

START_TEST(bad_lists)
{
	struct usbip_device_entry *entries;
	struct cause why = { "" };
	uint8_t bytes[1024];
	size_t len = encode_list(bytes, sizeof bytes, 0), count;

	switch (_i) {
	case 0: /* a version that nobody speaks */
		bytes[1] = 0;
		break;
	case 1: /* another answer */
		bytes[3] = 3;
		break;
	case 2: /* a refusal */
		bytes[7] = 5;
		break;
	case 3: /* as many devices as there are numbers */
		memset(bytes + 8, 0xff, 4);
		break;
	case 4: /* silence: given up */
		len = 0;
		break;
	}
	ck_assert_int_eq(sock_send_all(peer, bytes, len), 0);
	ck_assert_int_eq(importer_receive_list(imp.fd, wait_readable, NULL,
			     &entries, &count, &why), _i == 4 ? 0 : -1);
	if (_i != 4)
		ck_assert_str_ne(why.text, "");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("importer_hostile");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, nonsense, 0, 9);
	tcase_add_test(tc, unknown_command);
	tcase_add_test(tc, answered_twice);
	tcase_add_test(tc, cut_short);
	tcase_add_test(tc, byte_by_byte);
	tcase_add_test(tc, unlink_out_of_order);
	tcase_add_loop_test(tc, too_early, 0, 2);
	tcase_add_loop_test(tc, no_room, 0, 2);
	tcase_add_test(tc, lists);
	tcase_add_loop_test(tc, bad_lists, 0, 5);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
