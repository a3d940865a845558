/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bring-up over a scripted transport: every call can be made to fail. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "unit.h"
#include "usb/bringup.h"
#include "usb_layouts.h"

struct layout {
	const uint8_t *bytes;
	size_t len;
};
#define LAYOUT(x) { x, sizeof x }

struct fake {
	struct transport base;
	struct layout configs[6];
	unsigned count;
	const char *serial;
	int serial_index;
	int current; /* configuration */
	bool anew;
	/* Script: call number `fail_at` (from 1) answers fail_error; with
	 * `fail_on` also all behind it. */
	int fail_at, fail_error;
	bool fail_on;
	bool slow; /* descriptors of configurations take all the time, stall */
	int mode_answer; /* what SET_MODE's byte says; -1: stalls */
	/* What happened. */
	int calls;
	int set_to, detached, claimed, mode_set;
	unsigned longest;
	int steps[16], step_count;
};

static struct fake *
fake_of(struct transport *t)
{
	return (struct fake *)t;
}

/* 0: go on. */
static int
scripted(struct fake *f)
{
	f->calls++;
	if (f->calls == f->fail_at || (f->fail_on && f->calls > f->fail_at))
		return f->fail_error;
	return 0;
}

static int
give(void *data, const struct usb_setup_packet *setup, const void *bytes,
    size_t len)
{
	if (len > setup->length)
		len = setup->length;
	memcpy(data, bytes, len);
	return (int)len;
}

static int
give_string(struct fake *f, const struct usb_setup_packet *setup, void *data)
{
	static const uint8_t languages[] = { 4, 3, 0x09, 0x04 };
	uint8_t text[256] = { 0, 3 };
	size_t len = 2;

	if ((setup->value & 0xff) == 0)
		return give(data, setup, languages, sizeof languages);
	if ((setup->value & 0xff) != f->serial_index || setup->index != 0x0409)
		return USB_ERROR_STALL;
	for (const char *c = f->serial; *c != '\0'; c++) {
		text[len++] = (uint8_t)*c;
		text[len++] = 0;
	}
	text[0] = (uint8_t)len;
	return give(data, setup, text, len);
}

static int
give_descriptor(struct fake *f, const struct usb_setup_packet *setup,
    void *data, unsigned timeout_ms)
{
	const uint8_t device[] = { 18, 1, 0, 2, 0, 0, 0, 64, 0xac, 5, 0xa8,
		0x12, 2, 0x14, 1, 2, (uint8_t)f->serial_index,
		(uint8_t)f->count };
	const unsigned index = setup->value & 0xff;

	switch (setup->value >> 8) {
	case 1:
		return give(data, setup, device, sizeof device);
	case 2:
		if (f->slow) {
			poll(NULL, 0, (int)timeout_ms);
			return USB_ERROR_STALL;
		}
		if (index >= 6 || f->configs[index].bytes == NULL)
			return USB_ERROR_STALL;
		return give(data, setup, f->configs[index].bytes,
		    f->configs[index].len);
	case 3:
		return give_string(f, setup, data);
	}
	return USB_ERROR_STALL;
}

static int
fake_control(struct transport *t, const struct usb_setup_packet *setup,
    void *data, unsigned timeout_ms)
{
	struct fake *f = fake_of(t);
	const int error = scripted(f);

	ck_assert_uint_gt(timeout_ms, 0);
	if (timeout_ms > f->longest)
		f->longest = timeout_ms;
	if (error != 0)
		return error;
	if (setup->request_type == 0xc0 && setup->request == 0x45)
		return give(data, setup, "\3\3\3", 4);
	if (setup->request_type == 0xc0 && setup->request == 0x52) {
		const uint8_t byte = (uint8_t)f->mode_answer;

		f->mode_set = setup->index;
		return f->mode_answer < 0 ? USB_ERROR_STALL
					  : give(data, setup, &byte, 1);
	}
	if (setup->request_type == 0x80 && setup->request == 6)
		return give_descriptor(f, setup, data, timeout_ms);
	return USB_ERROR_STALL;
}

static int
fake_get_configuration(struct transport *t)
{
	const int error = scripted(fake_of(t));

	return error != 0 ? error : fake_of(t)->current;
}

static int
fake_set_configuration(struct transport *t, int value, int interfaces)
{
	const int error = scripted(fake_of(t));

	fake_of(t)->set_to = value;
	fake_of(t)->detached = interfaces;
	return error;
}

static int
fake_claim(struct transport *t, int interface)
{
	const int error = scripted(fake_of(t));

	fake_of(t)->claimed = interface;
	return error;
}

static const struct transport_ops fake_ops = {
	.name = "fake",
	.control = fake_control,
	.get_configuration = fake_get_configuration,
	.set_configuration = fake_set_configuration,
	.claim = fake_claim,
};

/* A phone in mode 1 as it stands on the bus: configuration 1 is current. */
static struct fake
phone(void)
{
	return (struct fake){ .base = { .ops = &fake_ops },
		.configs = { LAYOUT(layout_ptp), LAYOUT(layout_audio),
		    LAYOUT(layout_mux), LAYOUT(layout_tether) },
		.count = 4,
		.serial = "00008030001A2B3C4D5E6F70",
		.serial_index = 3,
		.current = 1,
		.set_to = -1,
		.claimed = -1 };
}

static void
on_step(void *arg, enum usb_step step)
{
	struct fake *f = arg;

	f->steps[f->step_count++] = (int)step;
}

static const struct usb_ident ident = { .key = "1-2.3", .bus = 1,
	.configurations = 4 };

static int
bring_up(struct fake *f, int mode, struct usb_phone *out, struct cause *why)
{
	why->text[0] = '\0';
	return usb_bring_up(&f->base, &ident, mode, f->anew, on_step, f, out,
	    why);
}

START_TEST(good_phone)
{
	struct fake f = phone();
	struct usb_phone p;
	struct cause why;

	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_OK);
	ck_assert_str_eq(p.udid, "00008030-001A2B3C4D5E6F70");
	ck_assert_uint_eq(p.configuration, 4);
	ck_assert_uint_eq(p.interface, 1);
	ck_assert_uint_eq(p.mode, 1);
	ck_assert_uint_eq(p.pipes.in, 0x85);
	ck_assert_uint_eq(p.pipes.out, 0x04);
	ck_assert_uint_eq(p.pipes.max_packet, 512);
	ck_assert_int_eq(f.set_to, 4);
	ck_assert_int_eq(f.detached, 1); /* configuration 1 has one interface */
	ck_assert_int_eq(f.claimed, 1);
	ck_assert_uint_le(f.longest, 1000);
	ck_assert_int_eq(f.step_count, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(f.steps[i], USB_STEP_MODE + i);
}
END_TEST

START_TEST(configuration_is_left_alone)
{
	struct fake f = phone();
	struct usb_phone p;
	struct cause why;

	f.current = 4;
	ck_assert_int_eq(bring_up(&f, 1, &p, &why), USB_OK);
	ck_assert_int_eq(f.set_to, -1);
	ck_assert_int_eq(f.mode_set, 0);

	/* Unless it failed in it, for what the system knows of it may be old. */
	f = phone();
	f.current = 4;
	f.anew = true;
	ck_assert_int_eq(bring_up(&f, 1, &p, &why), USB_OK);
	ck_assert_int_eq(f.set_to, 4);

	/* Unconfigured: no driver sits on anything. */
	f = phone();
	f.current = 0;
	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_OK);
	ck_assert_int_eq(f.set_to, 4);
	ck_assert_int_eq(f.detached, 0);
}
END_TEST

START_TEST(lower_configuration)
{
	struct fake f = phone();
	struct usb_phone p;
	struct cause why;

	/* The highest has no mux; another cannot be read at all. */
	f.configs[3] = (struct layout)LAYOUT(layout_direct);
	f.configs[1].bytes = NULL;
	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_OK);
	ck_assert_uint_eq(p.configuration, 3);

	f.configs[2].bytes = NULL;
	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_ERROR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(why.text, "1-2.3"));
	ck_assert_ptr_nonnull(strstr(why.text, "no"));
}
END_TEST

START_TEST(only_ncm)
{
	struct fake f = phone();
	struct usb_phone p;
	struct cause why;

	f.configs[0] = (struct layout)LAYOUT(layout_direct);
	f.count = 1;
	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_ERROR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(why.text, "mode 5"));
	ck_assert_ptr_nonnull(strstr(why.text, "USBMUXD_DEFAULT_DEVICE_MODE"));
}
END_TEST

START_TEST(mode_is_changed)
{
	struct fake f = phone();
	struct usb_phone p;
	struct cause why;

	ck_assert_int_eq(bring_up(&f, 3, &p, &why), USB_ERROR_GONE);
	ck_assert_int_eq(f.mode_set, 3);
	ck_assert_ptr_nonnull(strstr(why.text, "mode 3"));
	ck_assert_int_eq(f.set_to, -1);

	/* Refusals: a stall, and a byte that says no. */
	f = phone();
	f.mode_answer = -1;
	ck_assert_int_eq(bring_up(&f, 3, &p, &why), USB_OK);
	ck_assert_int_eq(f.mode_set, 3);
	f = phone();
	f.mode_answer = 1;
	ck_assert_int_eq(bring_up(&f, 3, &p, &why), USB_OK);

	/* A device whose mode cannot be told is left as it is. */
	f = phone();
	f.count = 5;
	ck_assert_int_eq(bring_up(&f, 3, &p, &why), USB_OK);
	ck_assert_int_eq(f.mode_set, 0);
	ck_assert_uint_eq(p.mode, 0);
}
END_TEST

START_TEST(serials)
{
	struct usb_phone p;
	struct cause why;
	struct fake f = phone();

	f.serial_index = 0;
	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_ERROR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(why.text, "serial"));
	f = phone();
	f.serial = "";
	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_ERROR_UNSUPPORTED);
	f = phone();
	f.serial = "../x";
	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_OK);
	ck_assert_str_eq(p.udid, "---x");
}
END_TEST

static const int errors[] = { USB_ERROR_TIMEOUT, USB_ERROR_STALL,
	USB_ERROR_GONE, USB_ERROR_IO, USB_ERROR_BUSY, USB_ERROR_ACCESS,
	USB_ERROR_NO_MEM, USB_ERROR_UNSUPPORTED, USB_ERROR_OVERFLOW,
	USB_ERROR_TAKEN };

/* Whichever call fails, alone or with all behind it, with whatever error:
 * the attempt ends, and says why unless it succeeds. */
START_TEST(every_call_fails)
{
	const int error = errors[_i % 10];
	const bool fail_on = _i >= 10;
	struct usb_phone p;
	struct cause why;
	struct fake f = phone();
	int calls, good = 0;

	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_OK);
	calls = f.calls;
	ck_assert_int_gt(calls, 10);
	for (int at = 1; at <= calls; at++) {
		int rc;

		f = phone();
		f.fail_at = at;
		f.fail_on = fail_on;
		f.fail_error = error;
		rc = bring_up(&f, 0, &p, &why);
		ck_assert(rc == USB_OK || rc == error ||
		    rc == USB_ERROR_UNSUPPORTED);
		if (rc != USB_OK)
			ck_assert_msg(strstr(why.text, "1-2.3") != NULL,
			    "call %d, error %d: '%s'", at, error, why.text);
		else
			ck_assert_str_ne(p.udid, "");
		good += rc == USB_OK;
	}
	/* What is gone is gone; a stall here and there is survived, but not
	 * where it is the configuration or the claim. */
	if (error == USB_ERROR_GONE || error == USB_ERROR_TAKEN)
		ck_assert_int_eq(good, 0);
	if (error == USB_ERROR_STALL && !fail_on)
		ck_assert_int_ge(good, calls / 2);
	if (fail_on)
		ck_assert_int_eq(good, 0);
}
END_TEST

/* Sixteen configurations that take a second each do not take sixteen. */
START_TEST(a_step_ends)
{
	const struct moment start = clock_now();
	struct fake f = phone();
	struct usb_phone p;
	struct cause why;

	f.slow = true;
	f.count = 255;
	ck_assert_int_eq(bring_up(&f, 0, &p, &why), USB_ERROR_TIMEOUT);
	ck_assert_int_lt(moment_ms_between(start, clock_now()), 7000);
}
END_TEST

START_TEST(words)
{
	for (int e = -10; e <= 0; e++)
		ck_assert_str_ne(usb_error_text(e), "an unknown error");
	for (int s = USB_STEP_OPEN; s <= USB_STEP_START; s++)
		ck_assert_str_ne(usb_step_name((enum usb_step)s), "unknown");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usb_bringup");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, good_phone);
	tcase_add_test(tc, configuration_is_left_alone);
	tcase_add_test(tc, lower_configuration);
	tcase_add_test(tc, only_ncm);
	tcase_add_test(tc, mode_is_changed);
	tcase_add_test(tc, serials);
	tcase_add_loop_test(tc, every_call_fails, 0, 20);
	tcase_add_test(tc, a_step_ends);
	tcase_add_test(tc, words);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
