/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The importer against the server engine. */
#include <check.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit.h"
#include "usbip/importer.h"
#include "usbip_rig.h"

static struct rig rig;
static struct rig_device device;
static struct importer imp;
static struct waker *waker;

static struct sock_addr
server(void)
{
	struct sock_addr addr;
	struct cause why;

	RIG_EQ(sock_addr_parse(&addr, rig.path, NULL, &why), 0);
	return addr;
}

static void
setup(void)
{
	const struct sock_addr addr = (rig_open(&rig), server());
	struct usbip_device_entry entry;
	struct cause why;
	uint32_t status;
	int fd;

	rig_device_init(&device, "3-1", 5);
	rig_plug(&rig, &device);
	fd = importer_attach(&addr, "3-1", 5000, &entry, &status, &why);
	RIG_CHECK(fd >= 0, "%s", why.text);
	RIG_EQ(entry.address, 5);
	waker = waker_new_polled();
	importer_init(&imp, fd, usbip_devid(entry.bus, entry.address), waker);
}

static void
teardown(void)
{
	importer_abort(&imp);
	importer_fini(&imp);
	waker_put(waker);
	rig_close(&rig);
	rig_device_fini(&device);
}

/* ---- URBs ---- */

struct urb {
	struct importer_urb urb; /* first */
	int done;                /* how often */
};

static void
note_done(struct importer_urb *u)
{
	((struct urb *)u)->done++;
}

static void
init(struct urb *u, uint8_t endpoint, void *buffer, uint32_t length)
{
	memset(u, 0, sizeof *u);
	u->urb.endpoint = endpoint;
	u->urb.buffer = buffer;
	u->urb.length = length;
	u->urb.complete = note_done;
}

static void
submit(struct urb *u)
{
	struct importer_urb *const one[] = { &u->urb };

	RIG_CHECK(importer_submit(&imp, one, 1, false), "not submitted");
}

/* One turn of the receiver. */
static bool
turn(int timeout_ms)
{
	struct pollfd pfd[2] = {
		{ .fd = imp.fd, .events = importer_events(&imp) },
		{ .fd = waker->read_fd, .events = POLLIN },
	};

	if (!importer_is_ready(&imp)) {
		if (poll(pfd, 2, timeout_ms) <= 0)
			return true;
		if (pfd[1].revents != 0)
			waker_clear(waker);
	}
	return importer_work(&imp);
}

static void
await(const struct urb *u)
{
	const struct moment until = moment_after_ms(clock_now(), 10000);

	while (u->done == 0 && moment_before(clock_now(), until))
		RIG_CHECK(turn(100), "the connection is broken");
	RIG_EQ(u->done, 1);
}

static void
fill(uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = rig_pattern(length, i);
}

static void
expect_pattern(const uint8_t *bytes, uint32_t length, uint32_t actual)
{
	for (uint32_t i = 0; i < actual; i++)
		RIG_EQ(bytes[i], rig_pattern(length, i));
}

/* ---- Tests ---- */

START_TEST(attaching)
{
	const struct sock_addr addr = server();
	struct usbip_device_entry entry;
	struct sock_addr nobody;
	struct cause why;
	uint32_t status;

	ck_assert_int_eq(importer_attach(&addr, "3-1", 5000, &entry, &status,
			     &why), -1);
	ck_assert_uint_eq(status, USBIP_ST_DEV_BUSY);
	ck_assert_ptr_nonnull(strstr(why.text, "3-1"));
	ck_assert_int_eq(importer_attach(&addr, "3-9", 5000, &entry, &status,
			     &why), -1);
	ck_assert_uint_eq(status, USBIP_ST_NODEV);
	ck_assert_int_eq(sock_addr_parse(&nobody, "unix:/nowhere", NULL, &why),
	    0);
	ck_assert_int_eq(importer_attach(&nobody, "3-1", 5000, &entry, &status,
			     &why), -1);
	ck_assert_uint_eq(status, 0);
}
END_TEST

START_TEST(control)
{
	static const uint8_t setup_bytes[8] = { 0x80, 6, 0, 1, 0, 0, 64, 0 };
	uint8_t bytes[64];
	struct urb u;

	init(&u, 0, bytes, sizeof bytes);
	memcpy(u.urb.setup, setup_bytes, 8);
	submit(&u);
	await(&u);
	ck_assert_int_eq(u.urb.status, 0);
	ck_assert_uint_eq(u.urb.actual, 18);
	expect_pattern(bytes, sizeof bytes, 18);

	/* OUT, with data: the setup tells. */
	init(&u, 0, bytes, 8);
	fill(bytes, 8);
	u.urb.setup[6] = 8;
	submit(&u);
	await(&u);
	ck_assert_int_eq(u.urb.status, 0);
}
END_TEST

/* Lengths about the sizes at which receiving takes another way. */
START_TEST(lengths)
{
	static const uint32_t all[] = { 0, 1, 47, 48, 511, 512, 975, 976, 977,
		1023, 1024, 1025, 4095, 4096, 16384, 65536, 1000003 };
	const uint32_t length = all[_i];
	uint8_t *bytes = malloc(length + 1);
	struct urb in[3], out;

	/* Three in a row, so that heads follow payloads. */
	for (int i = 0; i < 3; i++) {
		init(&in[i], 0x80 | (i == 1 ? RIG_SHORT : RIG_INSTANT),
		    malloc(length + 1), length);
		submit(&in[i]);
	}
	for (int i = 0; i < 3; i++) {
		const uint32_t actual = i == 1 ? length / 2 : length;

		await(&in[i]);
		RIG_EQ(in[i].urb.status, 0);
		RIG_EQ(in[i].urb.actual, actual);
		expect_pattern(in[i].urb.buffer, length, actual);
		free(in[i].urb.buffer);
	}
	fill(bytes, length);
	init(&out, RIG_INSTANT, bytes, length);
	submit(&out);
	await(&out);
	RIG_EQ(out.urb.status, 0);
	RIG_EQ(out.urb.actual, length);
	free(bytes);
}
END_TEST

START_TEST(statuses)
{
	uint8_t bytes[64];
	struct urb u[2];

	init(&u[0], 0x80 | RIG_HELD, bytes, 64);
	init(&u[1], 0x80 | 15, bytes, 64); /* no such endpoint */
	submit(&u[0]);
	submit(&u[1]);
	await(&u[1]);
	ck_assert_int_eq(u[1].urb.status, USBIP_EPIPE);
	ck_assert_int_eq(u[0].done, 0);
	rig_finish(&device, USBIP_EOVERFLOW, 10);
	await(&u[0]);
	ck_assert_int_eq(u[0].urb.status, USBIP_EOVERFLOW);
	ck_assert_uint_eq(u[0].urb.actual, 10);
	expect_pattern(bytes, 64, 10);
}
END_TEST

START_TEST(unlinked)
{
	uint8_t bytes[64];
	struct urb u;

	init(&u, 0x80 | RIG_HELD, bytes, 64);
	submit(&u);
	importer_unlink(&imp, &u.urb);
	importer_unlink(&imp, &u.urb); /* asking twice changes nothing */
	await(&u);
	ck_assert_int_eq(u.urb.status, USBIP_ECONNRESET);
	ck_assert_uint_eq(u.urb.actual, 0);
	rig_await(&device, &device.cancels, 1);

	/* Too late: it has been answered, but we have not seen it. */
	init(&u, 0x80 | RIG_HELD, bytes, 64);
	submit(&u);
	rig_finish(&device, 0, 64);
	importer_unlink(&imp, &u.urb);
	await(&u);
	ck_assert_int_eq(u.urb.status, 0);
	ck_assert_uint_eq(u.urb.actual, 64);

	/* And it can be used again. */
	init(&u, RIG_INSTANT, bytes, 64);
	fill(bytes, 64);
	submit(&u);
	await(&u);
	ck_assert_int_eq(u.urb.status, 0);
}
END_TEST

/* Unlinks race with completions; every URB ends once, with one of both. */
START_TEST(unlink_race)
{
	static struct urb u[64];
	static uint8_t bytes[64];
	int taken_back = 0;

	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 64; i++) {
			init(&u[i], 0x80 | RIG_LOCKED, bytes, 64);
			submit(&u[i]);
		}
		for (int i = 0; i < 64; i += 2)
			importer_unlink(&imp, &u[i].urb);
		for (int i = 0; i < 64; i++) {
			await(&u[i]);
			RIG_CHECK(u[i].urb.status == 0 ||
			    (i % 2 == 0 &&
				u[i].urb.status == USBIP_ECONNRESET),
			    "status %d", u[i].urb.status);
			taken_back += u[i].urb.status != 0;
		}
	}
	RIG_CHECK(taken_back > 0, "no unlink was ever first");
	RIG_EQ(atomic_load(&imp.in_flight), 0);
}
END_TEST

START_TEST(too_many)
{
	static struct urb u[IMPORTER_URBS_MAX + 1];
	static uint8_t byte;
	struct importer_urb *pair[2];

	for (int i = 0; i <= IMPORTER_URBS_MAX; i++)
		init(&u[i], 0x80 | RIG_HELD, &byte, 1);
	for (int i = 0; i < IMPORTER_URBS_MAX - 1; i++)
		submit(&u[i]);
	/* Two find no room: neither is taken.  One does. */
	pair[0] = &u[IMPORTER_URBS_MAX - 1].urb;
	pair[1] = &u[IMPORTER_URBS_MAX].urb;
	ck_assert(!importer_submit(&imp, pair, 2, false));
	ck_assert(importer_submit(&imp, pair, 1, false));
	ck_assert(!importer_submit(&imp, pair + 1, 1, false));
	importer_unlink(&imp, &u[0].urb);
	await(&u[0]);
	ck_assert(importer_submit(&imp, pair + 1, 1, false));
	importer_abort(&imp);
	for (int i = 0; i <= IMPORTER_URBS_MAX; i++) {
		RIG_EQ(u[i].done, 1);
		RIG_EQ(u[i].urb.status,
		    i == 0 ? USBIP_ECONNRESET : USBIP_ESHUTDOWN);
	}
	ck_assert(!importer_submit(&imp, pair, 1, false));
}
END_TEST

START_TEST(server_ends)
{
	struct urb u;
	uint8_t byte;

	init(&u, 0x80 | RIG_HELD, &byte, 1);
	submit(&u);
	/* A request that the server has not read has no last word. */
	rig_await(&device, &device.submits, 1);
	rig_unplug(&rig, &device);
	while (turn(1000))
		;
	ck_assert_int_eq(u.done, 1); /* the last word comes before the end */
	ck_assert_int_eq(u.urb.status, USBIP_ESHUTDOWN);
	importer_abort(&imp);
	ck_assert_int_eq(u.done, 1);
}
END_TEST

/* Half a buffer in each packet, the second one failed: each lands where it
 * belongs. */
START_TEST(isochronous)
{
	struct usbip_iso iso[4];
	uint8_t work[4 * USBIP_ISO_SIZE], bytes[4 * 100];
	struct urb u;

	memset(bytes, '.', sizeof bytes);
	for (uint32_t i = 0; i < 4; i++)
		iso[i] = (struct usbip_iso){ .offset = 100 * i,
			.length = 20 + 10 * i };
	init(&u, 0x80 | RIG_ISO, bytes, sizeof bytes);
	u.urb.iso = iso;
	u.urb.iso_bytes = work;
	u.urb.iso_count = 4;
	submit(&u);
	await(&u);
	ck_assert_int_eq(u.urb.status, 0);
	ck_assert_int_eq(u.urb.start_frame, 4711);
	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t half = iso[i].length / 2;

		ck_assert_uint_eq(iso[i].actual, half);
		ck_assert_int_eq(iso[i].status,
		    i == 1 ? USBIP_EPROTO : USBIP_OK);
		for (uint32_t k = 0; k < half; k++)
			ck_assert_uint_eq(bytes[100 * i + k], 'a' + i);
	}
}
END_TEST

/* ---- Threads ---- */

#define SUBMITTERS 3
#define EACH 3000
#define WINDOW 32

struct submitter {
	struct thread thread;
	_Atomic int in_flight;
	struct urb urbs[WINDOW];
	_Atomic bool busy[WINDOW];
	uint8_t bytes[WINDOW][600];
};

static _Atomic int completed;

static void
recycle(struct importer_urb *u)
{
	struct submitter *s = u->arg;
	const size_t i = (size_t)((struct urb *)u - s->urbs);

	RIG_EQ(u->status, 0);
	RIG_EQ(u->actual, u->length);
	if (u->endpoint & 0x80)
		expect_pattern(u->buffer, u->length, u->actual);
	atomic_store(&s->busy[i], false);
	atomic_fetch_add(&completed, 1);
}

static void *
submit_many(void *arg)
{
	struct submitter *s = arg;

	for (uint32_t i = 0; i < EACH; i++) {
		struct urb *u = &s->urbs[i % WINDOW];
		struct importer_urb *const one[] = { &u->urb };
		const uint32_t length = i * 37 % 600;

		while (atomic_load(&s->busy[i % WINDOW]))
			sched_yield();
		init(u, (uint8_t)((i % 2 ? 0x80 : 0) | RIG_INSTANT),
		    s->bytes[i % WINDOW], length);
		u->urb.arg = s;
		u->urb.complete = recycle;
		fill(u->urb.buffer, length);
		atomic_store(&s->busy[i % WINDOW], true);
		RIG_CHECK(importer_submit(&imp, one, 1, true), "broken");
	}
	return NULL;
}

START_TEST(many_threads)
{
	static struct submitter s[SUBMITTERS];
	const struct moment until = moment_after_ms(clock_now(), 60000);

	for (int i = 0; i < SUBMITTERS; i++)
		RIG_EQ(thread_start(&s[i].thread, "submitter", submit_many,
			   &s[i]), 0);
	while (atomic_load(&completed) < SUBMITTERS * EACH &&
	    moment_before(clock_now(), until))
		RIG_CHECK(turn(100), "the connection is broken");
	RIG_EQ(atomic_load(&completed), SUBMITTERS * EACH);
	for (int i = 0; i < SUBMITTERS; i++)
		thread_join(&s[i].thread);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("importer");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, attaching);
	tcase_add_test(tc, control);
	tcase_add_loop_test(tc, lengths, 0, 17);
	tcase_add_test(tc, statuses);
	tcase_add_test(tc, unlinked);
	tcase_add_test(tc, unlink_race);
	tcase_add_test(tc, too_many);
	tcase_add_test(tc, server_ends);
	tcase_add_test(tc, isochronous);
	tcase_add_test(tc, many_threads);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
