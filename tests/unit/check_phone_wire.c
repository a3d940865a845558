/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Wires that take time: what crosses them, and when. */
#include "phone/sourcesink.h"
#include "usb_host.h"

#define LENGTH 512
#define EACH_NS 10000000 /* for as much, with this: */
#define PACE "configured,pace=51200"

/* Between two looks at the clock lies the moment that counts. */
struct look {
	struct moment before, after;
};

static struct look submitted;

static void
submit_some(int count, bool out, bool in, struct test_urb *t[])
{
	submitted.before = clock_now();
	for (int i = 0; i < count; i++) {
		if (out)
			*t++ = submit(SOURCESINK_SINK, NULL, LENGTH);
		if (in)
			*t++ = submit(SOURCESINK_SOURCE, NULL, LENGTH);
	}
	submitted.after = clock_now();
}

static int
count_done(int total, struct test_urb *t[])
{
	int n = 0;

	for (int i = 0; i < total; i++)
		n += t[i]->status == USBIP_OK;
	return n;
}

/* As many are done as one wire has carried. */
static void
expect_carried(int done, const struct look *looked)
{
	ck_assert_int_ge(done,
	    (int)((looked->before.ns - submitted.after.ns) / EACH_NS));
	ck_assert_int_le(done,
	    (int)((looked->after.ns - submitted.before.ns) / EACH_NS));
}

static struct look
look_late(int ms)
{
	struct look look;

	usb_pass_time(ms);
	look.before = clock_now();
	device_pump(dev);
	look.after = clock_now();
	return look;
}

/* Nobody looks for a while, and yet each transfer ends when it has to. */
START_TEST(carries_by_itself)
{
	struct test_urb *t[32];
	struct look look;

	usb_plug_kind(&kind_sourcesink, PACE);
	submit_some(UNIT_COUNT(t), false, true, t);
	ck_assert_int_eq(count_done(UNIT_COUNT(t), t), 0);
	look = look_late(5);
	expect_carried(count_done(UNIT_COUNT(t), t), &look);
	look = look_late(43);
	expect_carried(count_done(UNIT_COUNT(t), t), &look);
	ck_assert_int_ge(count_done(UNIT_COUNT(t), t), 4);
	look = look_late(29);
	expect_carried(count_done(UNIT_COUNT(t), t), &look);
	for (int i = 1; i < UNIT_COUNT(t); i++)
		ck_assert(t[i - 1]->status == USBIP_OK ||
		    t[i]->status == PENDING);
	usb_unplug();
}
END_TEST

START_TEST(both_ways)
{
	struct test_urb *t[32];
	struct look look;
	int done;

	usb_plug_kind(&kind_sourcesink, PACE);
	submit_some(16, true, true, t);
	look = look_late(45);
	done = count_done(UNIT_COUNT(t), t);
	ck_assert_int_eq(done % 2, 0);
	expect_carried(done / 2, &look);
	usb_unplug();
}
END_TEST

/* In turn, not one way first. */
START_TEST(half_duplex)
{
	struct test_urb *t[32];
	struct look look;
	int done, out = 0;

	usb_plug_kind(&kind_sourcesink, PACE ",duplex=half");
	submit_some(16, true, true, t);
	look = look_late(45);
	done = count_done(UNIT_COUNT(t), t);
	expect_carried(done, &look);
	for (int i = 0; i < UNIT_COUNT(t); i += 2)
		out += t[i]->status == USBIP_OK;
	ck_assert_int_ge(out, done / 2);
	ck_assert_int_le(out, done / 2 + 1);
	usb_unplug();
}
END_TEST

START_TEST(lost_time_stays_lost)
{
	struct test_urb *t[2];

	usb_plug_kind(&kind_sourcesink, PACE);
	submit_some(1, false, true, t);
	usb_wait(t[0]);
	usb_pass_time(25);
	submit_some(1, false, true, t + 1);
	ck_assert_int_eq(t[1]->status, PENDING);
	usb_wait(t[1]);
	ck_assert_int_ge(clock_now().ns - submitted.before.ns, EACH_NS);
	ck_assert_uint_eq(dev->due.ns, MOMENT_NEVER.ns);
	usb_unplug();
}
END_TEST

/* What has left the device is the host's; what has not reached it is not its
 * own. */
START_TEST(cancelled_on_the_wire)
{
	struct test_urb *t[4];

	usb_plug_kind(&kind_sourcesink, "configured,pace=512");
	submit_some(2, true, true, t);
	device_cancel(dev, &t[0]->u);
	ck_assert_int_eq(t[0]->status, USBIP_ECONNRESET);
	ck_assert_uint_eq(t[0]->actual, 0);
	device_cancel(dev, &t[1]->u);
	expect(t[1], USBIP_OK, LENGTH);
	device_cancel(dev, &t[3]->u);
	ck_assert_int_eq(t[3]->status, USBIP_OK);
	ck_assert_int_eq(t[2]->status, PENDING);
	device_cancel(dev, &t[2]->u);
	ck_assert_int_eq(t[2]->status, USBIP_ECONNRESET);
	ck_assert_uint_eq(counted("bytes_out"), 2 * LENGTH);
	ck_assert_uint_eq(counted("bytes_in"), 0);
	usb_unplug();
}
END_TEST

START_TEST(stands_still)
{
	struct test_urb *t[4];

	usb_plug_kind(&kind_sourcesink, "configured,pace=512");
	submit_some(2, true, true, t);
	device_stall(dev, true);
	ck_assert_int_eq(count_done(4, t), 2);
	ck_assert_uint_eq(dev->due.ns, MOMENT_NEVER.ns);
	device_stall(dev, false);
	ck_assert_int_eq(count_done(4, t), 2);
	device_hang(dev, true);
	ck_assert_int_eq(count_done(4, t), 4);
	device_hang(dev, false);
	submit_some(2, true, true, t);
	device_slow(dev, 0);
	ck_assert_int_eq(count_done(4, t), 4);
	usb_unplug();
}
END_TEST

/* A device that takes no more keeps the wire free, and itself asleep. */
START_TEST(refused)
{
	struct test_urb *write, *more, *read;

	usb_plug_kind(&kind_sourcesink,
	    "loop,configured,pace=4000000000");
	write = submit(SOURCESINK_SINK, NULL, 262144);
	more = submit(SOURCESINK_SINK, NULL, LENGTH);
	usb_wait(write);
	usb_pass_time(1);
	device_pump(dev);
	ck_assert_int_eq(more->status, PENDING);
	ck_assert_uint_eq(dev->due.ns, MOMENT_NEVER.ns);
	read = submit(SOURCESINK_SOURCE, NULL, 262144);
	usb_wait(read);
	usb_wait(more);
	expect(more, USBIP_OK, LENGTH);
	usb_unplug();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/wire");
	TCase *t = tcase_create("wire");

	tcase_add_test(t, carries_by_itself);
	tcase_add_test(t, both_ways);
	tcase_add_test(t, half_duplex);
	tcase_add_test(t, lost_time_stays_lost);
	tcase_add_test(t, cancelled_on_the_wire);
	tcase_add_test(t, stands_still);
	tcase_add_test(t, refused);
	suite_add_tcase(s, t);
	return unit_run(s);
}
