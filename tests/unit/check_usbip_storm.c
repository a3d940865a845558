/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "unit.h"
#include "usbip/importer.h"
#include "usbip_rig.h"

/*
 * Importer and engine together: submits from several threads, each followed by
 * an unlink at a random time (unless it has ended before), on endpoints that complete in every way there is.
 * Each URB ends exactly once, on both sides.
 */

#define SUBMITTERS 2
#define SUBMITS 100000 /* of all together */
#define WINDOW 128     /* URBs of one submitter, used again and again */
#define BYTES 64

static struct rig rig;
static struct rig_device device;
static struct importer imp;
static struct waker *waker;

static void
setup(void)
{
	struct usbip_device_entry entry;
	struct sock_addr addr;
	struct cause why;
	uint32_t status;
	int fd;

	rig_open(&rig);
	rig_device_init(&device, "3-1", 5);
	rig_plug(&rig, &device);
	RIG_EQ(sock_addr_parse(&addr, rig.path, NULL, &why), 0);
	fd = importer_attach(&addr, "3-1", UNIT_PATIENCE_MS, &entry, &status,
	    &why);
	RIG_CHECK(fd >= 0, "%s", why.text);
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

/* ---- URBs --------------------------------------------------------------- */

enum state {
	FREE,
	SUBMITTING, /* in flight perhaps, but not to be touched yet */
	IN_FLIGHT,
};

struct storm_urb {
	struct importer_urb urb; /* first */
	_Atomic int state;
	bool unlinked; /* the receiver's */
	uint8_t bytes[BYTES];
};

struct submitter {
	struct thread thread;
	uint32_t coin;
	int count;
	struct storm_urb urbs[WINDOW];
};

/* The receiver's. */
static struct {
	int ended;
	int unlinked;   /* that were asked back */
	int taken_back; /* and were */
	int too_late;   /* and had been done */
	int partly;     /* and had moved data */
} seen;

static uint32_t
toss(uint32_t *coin)
{
	*coin = *coin * 1664525 + 1013904223;
	return *coin >> 8;
}

static void
check_result(const struct storm_urb *u)
{
	const uint8_t endpoint = u->urb.endpoint & 0x7f;

	if (u->urb.status == USBIP_ECONNRESET) {
		RIG_CHECK(u->unlinked, "taken back, but not asked back");
		RIG_EQ(u->urb.actual, endpoint == RIG_PARTIAL ? 5 : 0);
		seen.taken_back++;
		seen.partly += u->urb.actual > 0;
		return;
	}
	RIG_EQ(u->urb.status, USBIP_OK);
	/* Here nothing completes of itself. */
	RIG_CHECK(endpoint != RIG_HELD && endpoint != RIG_PARTIAL,
	    "endpoint %u has completed", endpoint);
	seen.too_late += u->unlinked;
}

static void
ended(struct importer_urb *urb)
{
	struct storm_urb *u = (struct storm_urb *)urb;

	check_result(u);
	seen.ended++;
	RIG_CHECK(atomic_exchange(&u->state, FREE) != FREE,
	    "a URB has ended twice");
}

/* ---- Submitters --------------------------------------------------------- */

static void
submit(struct submitter *s, struct storm_urb *u)
{
	static const uint8_t endpoints[] = { RIG_INSTANT, 0x80 | RIG_INSTANT,
		RIG_LOCKED, 0x80 | RIG_LOCKED, RIG_ACTOR, 0x80 | RIG_ACTOR,
		RIG_HELD, 0x80 | RIG_HELD, 0x80 | RIG_PARTIAL };
	struct importer_urb *const one[] = { &u->urb };
	int submitting = SUBMITTING;

	while (atomic_load(&u->state) != FREE)
		sched_yield();
	memset(&u->urb, 0, sizeof u->urb);
	u->urb.endpoint = endpoints[toss(&s->coin) % sizeof endpoints];
	u->urb.buffer = u->bytes;
	u->urb.length = BYTES;
	u->urb.complete = ended;
	for (uint32_t i = 0; i < BYTES; i++)
		u->bytes[i] = rig_pattern(BYTES, i);
	u->unlinked = false;
	atomic_store(&u->state, SUBMITTING);
	RIG_CHECK(importer_submit(&imp, one, 1, true), "broken");
	/* Unless it has ended already. */
	atomic_compare_exchange_strong(&u->state, &submitting, IN_FLIGHT);
}

static void *
submit_all(void *arg)
{
	struct submitter *s = arg;

	for (int i = 0; i < s->count; i++)
		submit(s, &s->urbs[i % WINDOW]);
	return NULL;
}

/* ---- The receiver ------------------------------------------------------- */

static void
unlink_one(struct storm_urb *u)
{
	if (atomic_load(&u->state) != IN_FLIGHT || u->unlinked)
		return;
	u->unlinked = true;
	seen.unlinked++;
	importer_unlink(&imp, &u->urb);
}

static void
receive(void)
{
	struct pollfd pfd[2] = {
		{ .fd = imp.fd, .events = importer_events(&imp) },
		{ .fd = waker->read_fd, .events = POLLIN },
	};

	if (!importer_is_ready(&imp)) {
		poll(pfd, 2, 1);
		if (pfd[1].revents != 0)
			waker_clear(waker);
	}
	RIG_CHECK(importer_work(&imp), "the connection is broken");
}

static void
weather_the_storm(struct submitter *s, int total)
{
	struct moment until = moment_after_ms(clock_now(), 120000);
	uint32_t coin = 4711;
	int before = 0;

	while (seen.ended < total) {
		receive();
		for (uint32_t n = toss(&coin) % 64; n > 0; n--)
			unlink_one(&s[toss(&coin) % SUBMITTERS]
			    .urbs[toss(&coin) % WINDOW]);
		if (seen.ended != before)
			until = moment_after_ms(clock_now(), 120000);
		before = seen.ended;
		RIG_CHECK(moment_before(clock_now(), until),
		    "%d of %d have ended, and no more do", before, total);
	}
}

/* The engine may still be telling its pool of the last. */
static void
expect_all_done(int total)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);
	struct usbip_server_row row;

	do
		RIG_EQ(usbip_server_snapshot(rig.server, &row, 1), 1);
	while (row.in_flight > 0 && moment_before(clock_now(), until));
	RIG_EQ(row.in_flight, 0);
	RIG_EQ(row.urbs, total);
	RIG_EQ(device.submits, total);
	RIG_EQ(atomic_load(&imp.in_flight), 0);
}

START_TEST(every_urb_ends_once)
{
	static struct submitter s[SUBMITTERS];
	const char *scale = getenv("MUXD_TEST_SCALE");
	const int each = SUBMITS / SUBMITTERS /
	    (scale != NULL && atoi(scale) > 0 ? atoi(scale) : 1);

	for (int i = 0; i < SUBMITTERS; i++) {
		s[i].coin = (uint32_t)i;
		s[i].count = each;
		RIG_EQ(thread_start(&s[i].thread, "submitter", submit_all,
			   &s[i]), 0);
	}
	weather_the_storm(s, SUBMITTERS * each);
	for (int i = 0; i < SUBMITTERS; i++)
		thread_join(&s[i].thread);
	expect_all_done(SUBMITTERS * each);
	printf("%d ended: %d asked back, of which %d were taken back (%d with "
	    "data) and %d were done\n", seen.ended, seen.unlinked,
	    seen.taken_back, seen.partly, seen.too_late);
	/* Each of it, or this has tested nothing. */
	RIG_EQ(seen.taken_back + seen.too_late, seen.unlinked);
	RIG_CHECK(seen.partly > 0 && seen.too_late > 0 &&
	    seen.taken_back > seen.partly, "a storm of one kind");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbip_storm");
	TCase *tc = tcase_create("storm");

	tcase_set_timeout(tc, 240);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_urb_ends_once);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
