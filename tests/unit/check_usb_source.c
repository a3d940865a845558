/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The source of this host's USB and what it opens, over a libusb without
 * USB. */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "fake_libusb.h"
#include "unit.h"
#include "usb/bringup.h"
#include "usb/read_budget.h"
#include "usb_layouts.h"
#include "usb_trees.h"
#include "usb/sysfs.h"
#include "usb/transport_libusb.h"
#include "usb_watch.h"

static const struct fake_spec phone = { .bus = 1, .address = 7,
	.ports = { 2, 3 }, .port_count = 2, .vendor = 0x05ac,
	.product = 0x12a8, .speed = LIBUSB_SPEED_HIGH };
static const struct fake_spec mouse = { .bus = 1, .address = 8,
	.ports = { 4 }, .port_count = 1, .vendor = 0x046d,
	.product = 0xc077, .speed = LIBUSB_SPEED_LOW };
static const struct fake_spec bridge = { .bus = 2, .address = 3,
	.vendor = 0x05ac, .product = 0x8600, .speed = LIBUSB_SPEED_SUPER };

static struct usb_source *
new_source(bool hotplug)
{
	struct cause why;
	struct usb_source *s = usb_source_libusb_new(hotplug, &why);

	ck_assert_ptr_nonnull(s);
	return s;
}

static void
end(struct usb_watch *w)
{
	ck_assert_int_lt(watch_stop(w), 2000);
	ck_assert_int_eq(w->rc, 0);
	w->source->ops->free(w->source);
	ck_assert_int_eq(fake_counts().contexts, 0);
}

START_TEST(what_is_there)
{
	struct usb_watch w;
	const struct usb_ident *i;

	fake_plug(&phone);
	fake_plug(&mouse);
	fake_plug(&bridge);
	watch_start(&w, new_source(true));
	ck_assert_str_ne(watch_event(&w, 1), "");
	i = watch_ident(&w, "1-2.3");
	ck_assert_uint_eq(i->bus, 1);
	ck_assert_uint_eq(i->address, 7);
	ck_assert_uint_eq(i->port_count, 2);
	ck_assert_uint_eq(i->product, 0x12a8);
	ck_assert_uint_eq(i->configurations, 4);
	ck_assert_int_eq(i->speed, USB_SPEED_HIGH);
	ck_assert_uint_eq(usb_location(i), 0x01230000);
	/* Without ports the address names it. */
	ck_assert_int_eq(watch_ident(&w, "2@3")->speed, USB_SPEED_SUPER);
	end(&w);
	ck_assert_int_eq(w.count, 2);
}
END_TEST

START_TEST(comes_and_goes)
{
	struct fake_spec again = phone;
	struct fake_device *d;
	struct usb_watch w;

	watch_start(&w, new_source(true));
	d = fake_plug(&phone);
	fake_plug(&mouse);
	ck_assert_str_eq(watch_event(&w, 0), "+1-2.3");
	fake_unplug(d);
	ck_assert_str_eq(watch_event(&w, 1), "-1-2.3");
	d = fake_plug(&phone);
	ck_assert_str_eq(watch_event(&w, 2), "+1-2.3");
	end(&w);
	ck_assert_int_eq(w.count, 3);

	/* Away and back before anybody looked: the address tells. */
	watch_start(&w, new_source(false));
	ck_assert_str_eq(watch_event(&w, 0), "+1-2.3");
	fake_unplug(d);
	again.address = 9;
	fake_plug(&again);
	w.source->ops->rescan(w.source);
	ck_assert_str_eq(watch_event(&w, 1), "-1-2.3");
	ck_assert_str_eq(watch_event(&w, 2), "+1-2.3");
	ck_assert_uint_eq(watch_ident(&w, "1-2.3")->address, 9);
	end(&w);
}
END_TEST

/* What is listed, but cannot be found, is looked for: at once, and again while
 * what took its place comes up. */
START_TEST(not_where_it_should_be)
{
	struct fake_spec again = phone;
	struct usb_ident ident;
	struct fake_device *d;
	struct transport *t;
	struct usb_watch w;
	struct cause why;

	d = fake_plug(&phone);
	watch_start(&w, new_source(false));
	ck_assert_str_eq(watch_event(&w, 0), "+1-2.3");
	ident = *watch_ident(&w, "1-2.3");
	fake_unplug(d);
	ck_assert_int_eq(w.source->ops->open(w.source, &ident, &t, &why),
	    USB_ERROR_GONE);
	ck_assert_str_eq(watch_event(&w, 1), "-1-2.3");
	again.address = 9;
	fake_plug(&again);
	ck_assert_str_eq(watch_event(&w, 2), "+1-2.3");
	ck_assert_uint_eq(watch_ident(&w, "1-2.3")->address, 9);
	ck_assert(watch_answers(&w, 0));
	end(&w);
}
END_TEST

/* Without hotplug nothing is noticed before it is asked for. */
START_TEST(rescans)
{
	struct fake_device *d;
	struct usb_watch w;

	fake_plug(&bridge);
	watch_start(&w, new_source(false));
	ck_assert_str_eq(watch_event(&w, 0), "+2@3");
	ck_assert(watch_answers(&w, 0));
	d = fake_plug(&phone);
	w.source->ops->rescan(w.source);
	ck_assert(watch_answers(&w, 1)); /* after what it has found */
	ck_assert_int_eq(watch_count(&w), 2);
	ck_assert_str_eq(watch_event(&w, 1), "+1-2.3");
	fake_unplug(d);
	w.source->ops->rescan(w.source);
	ck_assert_str_eq(watch_event(&w, 2), "-1-2.3");
	ck_assert_int_eq(fake_counts().contexts, 1);

	/* One that fails is told, and is not the end. */
	fake_set_init(LIBUSB_ERROR_OTHER);
	w.source->ops->rescan(w.source);
	ck_assert(watch_answers(&w, 3));
	ck_assert_int_eq(watch_event(&w, 3)[0], '!');
	fake_set_init(0);
	fake_plug(&phone);
	w.source->ops->rescan(w.source);
	ck_assert_str_eq(watch_event(&w, 4), "+1-2.3");
	end(&w);
}
END_TEST

/* A rescan finds what the events have missed, and the events go on. */
START_TEST(rescan_with_hotplug)
{
	struct fake_device *d;
	struct usb_watch w;

	d = fake_plug(&phone);
	watch_start(&w, new_source(true));
	ck_assert_str_eq(watch_event(&w, 0), "+1-2.3");
	w.source->ops->rescan(w.source);
	fake_unplug(d);
	ck_assert_str_eq(watch_event(&w, 1), "-1-2.3");
	fake_plug(&phone);
	ck_assert_str_eq(watch_event(&w, 2), "+1-2.3");
	end(&w);
}
END_TEST

START_TEST(polls_without_capability)
{
	struct usb_watch w;

	fake_set_hotplug(false);
	watch_start(&w, new_source(true));
	fake_plug(&phone);
	ck_assert_str_eq(watch_event(&w, 0), "+1-2.3");
	end(&w);
}
END_TEST

START_TEST(no_usb)
{
	struct cause why = { "" };

	fake_set_init(LIBUSB_ERROR_OTHER);
	ck_assert_ptr_null(usb_source_libusb_new(true, &why));
	ck_assert_ptr_nonnull(strstr(why.text, "USB"));
}
END_TEST

/* Quit and rescan at any moment, from other threads. */
static void *
pester(void *arg)
{
	struct usb_source *s = arg;

	for (int i = 0; i < 200; i++)
		s->ops->rescan(s);
	return NULL;
}

START_TEST(pestered)
{
	struct usb_watch w;
	pthread_t t[2];

	fake_plug(&phone);
	watch_start(&w, new_source(true));
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(
		    pthread_create(&t[i], NULL, pester, w.source), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ck_assert_str_eq(watch_event(&w, 0), "+1-2.3");
	end(&w);
	ck_assert_int_eq(w.count, 1);
}
END_TEST

/* ---- Opening ---- */

static const struct usb_ident ident = { .key = "1-2.3", .bus = 1,
	.address = 7 };

START_TEST(opening)
{
	struct usb_source *s = new_source(true);
	struct usb_ident moved = ident;
	struct transport *t;
	struct cause why;

	fake_plug(&phone);
	moved.address = 8; /* another device in that port */
	ck_assert_int_eq(s->ops->open(s, &moved, &t, &why), USB_ERROR_GONE);
	ck_assert_ptr_nonnull(strstr(why.text, "1-2.3"));
	fake_set_open(LIBUSB_ERROR_ACCESS);
	ck_assert_int_eq(s->ops->open(s, &ident, &t, &why), USB_ERROR_ACCESS);
	ck_assert_ptr_nonnull(strstr(why.text, "udev"));
	fake_set_open(0);
	fake_set_init(LIBUSB_ERROR_NO_MEM);
	ck_assert_int_eq(s->ops->open(s, &ident, &t, &why), USB_ERROR_NO_MEM);
	fake_set_init(0);
	ck_assert_int_eq(fake_counts().contexts, 1);

	/* One that is never started. */
	ck_assert_int_eq(s->ops->open(s, &ident, &t, &why), USB_OK);
	t->ops->stop(t);
	t->ops->interrupt(t);
	t->ops->free(t);
	ck_assert_int_eq(fake_counts().handles, 0);
	s->ops->free(s);
	ck_assert_int_eq(fake_counts().contexts, 0);
}
END_TEST

/* ---- Opening directly ---- */

/* What a source says of opening this; a device that is opened is given up. */
static int
opens(struct usb_source *s, const struct usb_ident *i)
{
	struct transport *t;
	struct cause why = { "" };
	const int error = s->ops->open(s, i, &t, &why);

	if (error == USB_OK) {
		t->ops->stop(t);
		t->ops->free(t);
	} else {
		ck_assert_ptr_nonnull(strstr(why.text, "1-2.3"));
	}
	ck_assert_int_eq(fake_counts().handles, 0);
	ck_assert_int_eq(fake_counts().contexts, 1);
	return error;
}

static void
end_direct(struct usb_source *s)
{
	/* Nobody but the source has looked at all devices. */
	ck_assert_int_eq(fake_counts().discoveries, 1);
	s->ops->free(s);
	hide_trees();
}

START_TEST(opening_directly)
{
	struct fake_spec again = phone;
	struct fake_device *d;
	struct usb_ident moved = ident;
	struct usb_source *s;

	show_trees();
	d = fake_plug(&phone);
	s = new_source(true);
	ck_assert(local_is_direct());
	ck_assert_int_eq(opens(s, &ident), USB_OK);
	fake_set_init(LIBUSB_ERROR_NO_MEM);
	ck_assert_int_eq(opens(s, &ident), USB_ERROR_NO_MEM);
	fake_set_init(0);
	fake_set_wrap(LIBUSB_ERROR_ACCESS);
	ck_assert_int_eq(opens(s, &ident), USB_ERROR_ACCESS);
	fake_set_wrap(LIBUSB_ERROR_IO);
	ck_assert_int_eq(opens(s, &ident), USB_ERROR_IO);
	fake_set_wrap(0);
	/* There is no file of that address. */
	moved.address = 8;
	ck_assert_int_eq(opens(s, &moved), USB_ERROR_GONE);
	/* Another device has the port, and yet another one the address. */
	fake_unplug(d);
	ck_assert_int_eq(opens(s, &ident), USB_ERROR_GONE);
	again.address = 9;
	fake_plug(&again);
	again = phone;
	again.ports[1] = 4;
	fake_plug(&again);
	ck_assert_int_eq(opens(s, &ident), USB_ERROR_GONE);
	moved.address = 9;
	ck_assert_int_eq(opens(s, &moved), USB_OK);
	fake_set_wrap(1);
	ck_assert_int_eq(opens(s, &moved), USB_ERROR_GONE);
	end_direct(s);
}
END_TEST

/* Where one of the two is missing, devices are found as ever, also anew. */
START_TEST(opening_in_another_way)
{
	struct fake_device *d;
	struct usb_watch w;

	if (_i == 0)
		show_trees();
	fake_plug(&phone);
	sysfs_nodes = "/nowhere";
	watch_start(&w, new_source(true));
	ck_assert(!local_is_direct());
	ck_assert_str_eq(watch_event(&w, 0), "+1-2.3");
	ck_assert_int_eq(opens(w.source, &ident), USB_OK);
	ck_assert_int_eq(fake_counts().discoveries, 2);
	fake_deafen();
	d = fake_plug(&mouse);
	fake_unplug(d);
	w.source->ops->rescan(w.source);
	ck_assert(watch_answers(&w, 1));
	ck_assert_int_eq(fake_counts().discoveries, 3);
	end(&w);
	if (_i == 0)
		fake_hide();
}
END_TEST

/* What libusb has not heard of is found, and stays so while libusb goes on with
 * what it knows. */
START_TEST(unheard)
{
	struct fake_spec other = phone;
	struct fake_device *d;
	struct usb_watch w;

	show_trees();
	d = fake_plug(&phone);
	fake_plug(&mouse);
	watch_start(&w, new_source(true));
	ck_assert_str_eq(watch_event(&w, 0), "+1-2.3");
	ck_assert_int_eq(watch_ident(&w, "1-2.3")->speed, USB_SPEED_HIGH);
	fake_deafen();
	fake_unplug(d);
	w.source->ops->rescan(w.source);
	ck_assert_str_eq(watch_event(&w, 1), "-1-2.3");
	other.address = 12;
	other.speed = LIBUSB_SPEED_SUPER;
	fake_plug(&other);
	w.source->ops->rescan(w.source);
	ck_assert_str_eq(watch_event(&w, 2), "+1-2.3");
	ck_assert_uint_eq(watch_ident(&w, "1-2.3")->address, 12);
	ck_assert_uint_eq(watch_ident(&w, "1-2.3")->configurations, 4);
	ck_assert_uint_eq(watch_ident(&w, "1-2.3")->port_count, 2);
	ck_assert_int_eq(watch_ident(&w, "1-2.3")->speed, USB_SPEED_SUPER);
	w.source->ops->rescan(w.source);
	ck_assert(watch_answers(&w, 3));
	end(&w);
	ck_assert_int_eq(w.count, 3);
	ck_assert_int_eq(fake_counts().discoveries, 1);
	hide_trees();
}
END_TEST

/* One that is looked for is told when nothing else tells of it. */
START_TEST(unheard_in_doubt)
{
	struct fake_spec other = phone;
	struct moment before;
	struct usb_watch w;

	show_trees();
	fake_plug(&phone);
	watch_start(&w, new_source(true));
	ck_assert_str_eq(watch_event(&w, 0), "+1-2.3");
	fake_deafen();
	other.address = 12;
	other.ports[1] = 4;
	fake_plug(&other);
	before = clock_now();
	ck_assert_int_eq(opens(w.source, &(struct usb_ident){
	    .key = "1-2.3", .bus = 1, .address = 13 }), USB_ERROR_GONE);
	ck_assert_str_eq(watch_event(&w, 1), "+1-2.4");
	ck_assert_int_gt(moment_ms_between(before, clock_now()), 500);
	end(&w);
	ck_assert_int_eq(w.count, 2);
	hide_trees();
}
END_TEST

static int
phone_control(struct fake_device *d, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length)
{
	static const uint8_t dev[] = { 18, 1, 0, 2, 0, 0, 0, 64, 0xac, 5,
		0xa8, 0x12, 2, 0x14, 1, 2, 3, 4 };
	static const uint8_t language[] = { 4, 3, 9, 4 };
	static const uint8_t serial[] = { 6, 3, 'A', 0, 'B', 0 };
	static const struct {
		uint16_t value;
		const uint8_t *bytes;
		size_t len;
	} all[] = {
		{ 0x100, dev, sizeof dev },
		{ 0x200, layout_ptp, sizeof layout_ptp },
		{ 0x201, layout_audio, sizeof layout_audio },
		{ 0x202, layout_mux, sizeof layout_mux },
		{ 0x203, layout_tether, sizeof layout_tether },
		{ 0x300, language, sizeof language },
		{ 0x303, serial, sizeof serial },
	};

	(void)d, (void)index;
	if (type != 0x80 || request != 6)
		return LIBUSB_ERROR_PIPE;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (all[i].value != value)
			continue;
		if (length > all[i].len)
			length = (uint16_t)all[i].len;
		memcpy(data, all[i].bytes, length);
		return length;
	}
	return LIBUSB_ERROR_PIPE;
}

START_TEST(brought_up)
{
	struct usb_source *s = new_source(true);
	struct chunk_pool pool;
	struct transport *t;
	struct usb_phone p;
	struct cause why;

	chunk_pool_init(&pool, 8);
	fake_on_control(fake_plug(&phone), phone_control);
	ck_assert_int_eq(s->ops->open(s, &ident, &t, &why), USB_OK);
	ck_assert_int_eq(
	    usb_bring_up(t, &ident, 0, false, NULL, NULL, &p, &why), USB_OK);
	ck_assert_str_eq(p.udid, "AB");
	ck_assert_int_eq(fake_counts().configuration, 4);
	ck_assert_int_eq(fake_counts().detached, 1);
	ck_assert_int_eq(fake_counts().claimed, 1);
	ck_assert_int_eq(t->ops->start(t, &p.pipes, &pool), USB_OK);
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight),
	    LOCAL_READS);
	t->ops->stop(t);
	t->ops->free(t);
	s->ops->free(s);
	chunk_pool_fini(&pool);
	ck_assert_int_eq(fake_counts().released, 1);
}
END_TEST

/* Shares of the memory for reads: everyone gets one, few get what they want,
 * and the sum stays bounded. */
START_TEST(budget)
{
	static struct read_claim c[700];
	struct read_budget b;
	int sum = 0;

	read_budget_init(&b);
	for (int i = 0; i < 700; i++) {
		read_budget_join(&b, &c[i], i % 2 ? 8 : 4);
		read_budget_adjust(&b, &c[i], 1);
		ck_assert_int_ge(c[i].held, 1);
		if (i < 60)
			ck_assert_int_eq(c[i].held, i % 2 ? 8 : 4);
		sum += c[i].held;
	}
	ck_assert_int_le(sum, READ_BUDGET + 700);
	/* As their reads complete, those who have too much give it back, but
	 * not what is in flight. */
	read_budget_adjust(&b, &c[1], 3);
	ck_assert_int_eq(c[1].held, 5);
	for (int i = 0; i < 700; i++) {
		read_budget_adjust(&b, &c[i], c[i].held);
		ck_assert_int_eq(c[i].held, 1);
	}
	/* And grow again when others leave. */
	for (int i = 1; i < 700; i++)
		read_budget_leave(&b, &c[i]);
	read_budget_adjust(&b, &c[0], 0);
	ck_assert_int_eq(c[0].held, 4);
	read_budget_leave(&b, &c[0]);
	ck_assert_int_eq(atomic_load(&b.left), READ_BUDGET);
	ck_assert_int_eq(atomic_load(&b.claims), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usb_source");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, what_is_there);
	tcase_add_test(tc, comes_and_goes);
	tcase_add_test(tc, not_where_it_should_be);
	tcase_add_test(tc, rescans);
	tcase_add_test(tc, rescan_with_hotplug);
	tcase_add_test(tc, polls_without_capability);
	tcase_add_test(tc, no_usb);
	tcase_add_test(tc, pestered);
	tcase_add_test(tc, opening);
	if (can_open_directly()) {
		tcase_add_test(tc, opening_directly);
		tcase_add_loop_test(tc, opening_in_another_way, 0, 2);
		tcase_add_test(tc, unheard);
		tcase_add_test(tc, unheard_in_doubt);
	}
	tcase_add_test(tc, brought_up);
	tcase_add_test(tc, budget);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
