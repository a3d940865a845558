/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Descriptors as phones give them, and as nobody should. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "usb/descriptors.h"
#include "usb_layouts.h"

/* Parses a copy that is exactly `len` long, so that a sanitizer sees one byte
 * too far. */
static int
parse(struct usb_configuration *out, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int rc;

	ck_assert_ptr_nonnull(copy);
	if (len > 0)
		memcpy(copy, bytes, len);
	rc = usb_configuration_parse(out, copy, len);
	free(copy);
	return rc;
}
#define PARSE(out, bytes) parse(out, bytes, sizeof(bytes))

#define U_EVENT(address, interval) 7, 5, (address), 3, 64, 0, (interval)
/* A network interface, then one of another setting, then the wanted one with
 * both pairs. */
static const uint8_t layout_scm[] = { U_CONFIG(94, 4, 3),
	U_INTERFACE(0, 0, 1, 2, 6, 0), U_EVENT(0x83, 4),
	U_INTERFACE(1, 1, 2, 0xff, 0xab, 0), U_ENDPOINT(0x84, 2, 512),
	    U_ENDPOINT(0x04, 2, 512),
	U_INTERFACE(2, 0, 4, 0xff, 0xab, 0), U_ENDPOINT(0x81, 2, 512),
	    U_ENDPOINT(0x01, 2, 512), U_EVENT(0x82, 6), U_EVENT(0x02, 7),
	U_INTERFACE(3, 0, 0, 8, 6, 80) };

static bool
is_ff_ab(void *arg, const struct usb_class *c)
{
	(void)arg;
	return c->base == 0xff && c->sub == 0xab && c->protocol == 0;
}

static bool
is_any(void *arg, const struct usb_class *c)
{
	unsigned *asked = arg;

	(void)c;
	++*asked;
	return true;
}

static bool
find(struct usb_function *out, const uint8_t *bytes, size_t len,
    usb_class_fits *fits, void *arg)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	bool found;

	ck_assert_ptr_nonnull(copy);
	if (len > 0)
		memcpy(copy, bytes, len);
	found = usb_function_find(out, copy, len, fits, arg);
	free(copy);
	return found;
}

START_TEST(a_function_is_found_with_its_pairs)
{
	struct usb_function f;
	unsigned asked = 0;

	ck_assert(find(&f, layout_scm, sizeof layout_scm, is_ff_ab, NULL));
	ck_assert_uint_eq(f.configuration, 3);
	ck_assert_uint_eq(f.interface, 2);
	ck_assert_uint_eq(f.pipes.in, 0x81);
	ck_assert_uint_eq(f.pipes.out, 0x01);
	ck_assert_uint_eq(f.pipes.max_packet, 512);
	ck_assert_uint_eq(f.pipes.interrupt_in, 0x82);
	ck_assert_uint_eq(f.pipes.interrupt_out, 0x02);
	ck_assert_uint_eq(f.pipes.interrupt_in_packet, 64);
	ck_assert_uint_eq(f.pipes.interrupt_out_packet, 64);
	ck_assert_uint_eq(f.pipes.interrupt_in_interval, 6);
	ck_assert_uint_eq(f.pipes.interrupt_out_interval, 7);
	/* An interface without a bulk pair is none, whatever it is. */
	ck_assert(find(&f, layout_scm, sizeof layout_scm, is_any, &asked));
	ck_assert_uint_eq(f.interface, 2);
	ck_assert_uint_eq(asked, 2);
	ck_assert(!find(&f, layout_tether, sizeof layout_tether, is_ff_ab,
	    NULL));
}
END_TEST

START_TEST(half_a_pair_and_two_pairs)
{
	static const uint8_t half[] = { U_CONFIG(39, 1, 1),
		U_INTERFACE(0, 0, 4, 0xff, 0xab, 0), U_ENDPOINT(0x81, 2, 512),
		U_ENDPOINT(0x01, 2, 512), U_EVENT(0x82, 6) };
	static const uint8_t twice[] = { U_CONFIG(39, 1, 1),
		U_INTERFACE(0, 0, 4, 0xff, 0xab, 0), U_ENDPOINT(0x81, 2, 512),
		U_ENDPOINT(0x01, 2, 512), U_ENDPOINT(0x83, 2, 512) };
	struct usb_function f;

	ck_assert(find(&f, half, sizeof half, is_ff_ab, NULL));
	ck_assert_uint_eq(f.pipes.interrupt_in, 0);
	ck_assert_uint_eq(f.pipes.interrupt_out, 0);
	ck_assert(!find(&f, twice, sizeof twice, is_ff_ab, NULL));
}
END_TEST

START_TEST(a_function_that_is_cut_anywhere)
{
	struct usb_function f;

	for (size_t len = 0; len < sizeof layout_scm; len++)
		/* Whole are the pairs from the last of their endpoints on. */
		ck_assert(find(&f, layout_scm, len, is_ff_ab, NULL) ==
		    (len >= sizeof layout_scm - 9 - 14));
}
END_TEST

START_TEST(layouts_are_consistent)
{
	static const struct {
		const uint8_t *bytes;
		size_t len;
	} all[] = {
		{ layout_ptp, sizeof layout_ptp },
		{ layout_audio, sizeof layout_audio },
		{ layout_mux, sizeof layout_mux },
		{ layout_tether, sizeof layout_tether },
		{ layout_valeria, sizeof layout_valeria },
		{ layout_ncm, sizeof layout_ncm },
		{ layout_direct, sizeof layout_direct },
		{ layout_scm, sizeof layout_scm },
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		ck_assert_int_eq(usb_configuration_total(all[i].bytes,
				     USB_CONFIGURATION_HEAD_SIZE),
		    (int)all[i].len);
}
END_TEST

START_TEST(mux_is_found)
{
	struct usb_configuration c;

	ck_assert_int_eq(PARSE(&c, layout_tether), 0);
	ck_assert_uint_eq(c.value, 4);
	ck_assert_uint_eq(c.interfaces, 3);
	ck_assert(c.has_mux);
	ck_assert_uint_eq(c.mux_interface, 1);
	ck_assert_uint_eq(c.mux_pipes.in, 0x85);
	ck_assert_uint_eq(c.mux_pipes.out, 0x04);
	ck_assert_uint_eq(c.mux_pipes.max_packet, 512);
	ck_assert(!c.has_valeria && !c.has_ncm);

	ck_assert_int_eq(PARSE(&c, layout_ncm), 0);
	ck_assert(c.has_mux && c.has_ncm);
	ck_assert_uint_eq(c.mux_pipes.max_packet, 1024);
	ck_assert_uint_eq(c.mux_pipes.in, 0x85);

	ck_assert_int_eq(PARSE(&c, layout_ptp), 0);
	ck_assert(!c.has_mux);
	ck_assert_int_eq(PARSE(&c, layout_direct), 0);
	ck_assert(!c.has_mux && c.has_ncm);
}
END_TEST

/* All three numbers of the class must match, and the endpoints be one each. */
START_TEST(near_misses)
{
	static const uint8_t misses[][32] = {
		{ U_CONFIG(32, 1, 1), U_INTERFACE(0, 0, 2, 0xfe, 0xfe, 2),
		    U_ENDPOINT(0x04, 2, 512), U_ENDPOINT(0x85, 2, 512) },
		{ U_CONFIG(32, 1, 1), U_INTERFACE(0, 0, 2, 0xff, 0xfd, 2),
		    U_ENDPOINT(0x04, 2, 512), U_ENDPOINT(0x85, 2, 512) },
		{ U_CONFIG(32, 1, 1), U_INTERFACE(0, 0, 2, 0xff, 0xfe, 1),
		    U_ENDPOINT(0x04, 2, 512), U_ENDPOINT(0x85, 2, 512) },
		{ U_CONFIG(32, 1, 1), U_INTERFACE(0, 0, 2, 0xff, 0xfe, 2),
		    U_ENDPOINT(0x84, 2, 512), U_ENDPOINT(0x85, 2, 512) },
		{ U_CONFIG(32, 1, 1), U_INTERFACE(0, 0, 2, 0xff, 0xfe, 2),
		    U_ENDPOINT(0x04, 3, 512), U_ENDPOINT(0x85, 2, 512) },
		{ U_CONFIG(32, 1, 1), U_INTERFACE(0, 0, 2, 0xff, 0xfe, 2),
		    U_ENDPOINT(0x04, 2, 0), U_ENDPOINT(0x85, 2, 512) },
		{ U_CONFIG(32, 1, 1), U_INTERFACE(0, 0, 2, 0xff, 0xfe, 2),
		    U_ENDPOINT(0x04, 2, 512), U_ENDPOINT(0x80, 2, 512) },
		{ U_CONFIG(32, 1, 1), U_INTERFACE(0, 1, 2, 0xff, 0xfe, 2),
		    U_ENDPOINT(0x04, 2, 512), U_ENDPOINT(0x85, 2, 512) },
	};
	static const uint8_t three[] = { U_CONFIG(39, 1, 1),
		U_INTERFACE(0, 0, 3, 0xff, 0xfe, 2), U_ENDPOINT(0x04, 2, 512),
		U_ENDPOINT(0x85, 2, 512), U_ENDPOINT(0x86, 3, 8) };
	struct usb_configuration c;

	for (size_t i = 0; i < sizeof misses / sizeof misses[0]; i++) {
		ck_assert_int_eq(PARSE(&c, misses[i]), 0);
		ck_assert_msg(!c.has_mux, "miss %zu was taken", i);
	}
	ck_assert_int_eq(PARSE(&c, three), 0);
	ck_assert(!c.has_mux);
}
END_TEST

/* Cut anywhere, the mux is either all there or not there. */
START_TEST(truncated)
{
	struct usb_configuration c;

	for (size_t len = 0; len <= sizeof layout_mux; len++) {
		const int rc = parse(&c, layout_mux, len);

		ck_assert_int_eq(rc, len < USB_CONFIGURATION_HEAD_SIZE ? -1 : 0);
		ck_assert_int_eq(rc == 0 && c.has_mux, len == sizeof layout_mux);
	}
}
END_TEST

START_TEST(damaged)
{
	uint8_t bytes[sizeof layout_tether + 64];
	struct usb_configuration c;

	/* Bytes behind wTotalLength do not count. */
	memset(bytes, 0xff, sizeof bytes);
	memcpy(bytes, layout_tether, sizeof layout_tether);
	ck_assert_int_eq(PARSE(&c, bytes), 0);
	ck_assert(c.has_mux);

	/* A descriptor of length 0 would never end. */
	bytes[9] = 0;
	ck_assert_int_eq(PARSE(&c, bytes), 0);
	ck_assert(!c.has_mux);
	bytes[9] = 1;
	ck_assert_int_eq(PARSE(&c, bytes), 0);
	ck_assert(!c.has_mux);

	/* Damage behind the mux does not take it away. */
	memcpy(bytes, layout_tether, sizeof layout_tether);
	bytes[sizeof layout_mux] = 0;
	ck_assert_int_eq(PARSE(&c, bytes), 0);
	ck_assert(c.has_mux);

	/* A total that does not even hold the head. */
	bytes[2] = 8;
	bytes[3] = 0;
	ck_assert_int_eq(PARSE(&c, bytes), -1);
}
END_TEST

START_TEST(modes)
{
	struct usb_configuration c[7];
	const uint8_t *const four[] = { layout_ptp, layout_audio, layout_mux,
		layout_tether };
	const size_t lens[] = { sizeof layout_ptp, sizeof layout_audio,
		sizeof layout_mux, sizeof layout_tether };

	memset(c, 0, sizeof c);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(parse(&c[i], four[i], lens[i]), 0);
	ck_assert_uint_eq(usb_guess_mode(c, 0), 0);
	ck_assert_uint_eq(usb_guess_mode(c, 1), 5);
	ck_assert_uint_eq(usb_guess_mode(c, 4), 1);
	ck_assert_uint_eq(usb_guess_mode(c, 5), 0);
	ck_assert_int_eq(PARSE(&c[4], layout_valeria), 0);
	ck_assert_uint_eq(usb_guess_mode(c, 5), 2);
	ck_assert_int_eq(PARSE(&c[4], layout_ncm), 0);
	ck_assert_uint_eq(usb_guess_mode(c, 5), 3);
	ck_assert_uint_eq(usb_guess_mode(c, 6), 4);
	ck_assert_uint_eq(usb_guess_mode(c, 7), 0);
}
END_TEST

START_TEST(device)
{
	static const uint8_t bytes[] = { 18, 1, 0x00, 0x02, 0, 0, 0, 64, 0xac,
		0x05, 0xa8, 0x12, 0x02, 0x14, 1, 2, 3, 4 };
	struct usb_device_descriptor d;

	ck_assert_int_eq(usb_device_parse(&d, bytes, sizeof bytes), 0);
	ck_assert_uint_eq(d.vendor, 0x05ac);
	ck_assert_uint_eq(d.product, 0x12a8);
	ck_assert_uint_eq(d.release, 0x1402);
	ck_assert_uint_eq(d.serial_index, 3);
	ck_assert_uint_eq(d.configurations, 4);
	for (size_t len = 0; len < sizeof bytes; len++)
		ck_assert_int_eq(usb_device_parse(&d, bytes, len), -1);
}
END_TEST

/* A string descriptor of `text`. */
static size_t
string_of(uint8_t out[256], const char *text)
{
	const size_t len = strlen(text);

	ck_assert_uint_le(len, 126);
	out[0] = (uint8_t)(2 + 2 * len);
	out[1] = 3;
	for (size_t i = 0; i < len; i++) {
		out[2 + 2 * i] = (uint8_t)text[i];
		out[3 + 2 * i] = 0;
	}
	return out[0];
}

START_TEST(serials)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{ "00008030001A2B3C4D5E6F70", "00008030-001A2B3C4D5E6F70" },
		{ "0123456789abcdef0123456789abcdef01234567",
		    "0123456789abcdef0123456789abcdef01234567" },
		{ "AB  ", "AB" },
		{ "../../etc/passwd", "------etc-passwd" },
		{ "a\nb c", "a-b-c" },
		{ "", NULL },
		{ "   ", NULL },
		{ "0123456789012345678901234567890123456789012",
		    "0123456789012345678901234567890123456789012" },
		{ "01234567890123456789012345678901234567890123", NULL },
	};
	char out[USB_SERIAL_LENGTH_MAX + 1];
	uint8_t bytes[256];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const size_t len = string_of(bytes, cases[i].text);
		const int n = usb_serial_parse(out, bytes, len);

		if (cases[i].shown == NULL) {
			ck_assert_int_eq(n, -1);
			continue;
		}
		ck_assert_int_eq(n, (int)strlen(cases[i].shown));
		ck_assert_str_eq(out, cases[i].shown);
	}
}
END_TEST

START_TEST(hostile_strings)
{
	char out[USB_SERIAL_LENGTH_MAX + 1];
	uint8_t bytes[256];
	size_t len = string_of(bytes, "ABCD");

	/* Cut, of another type, half a unit, wide characters. */
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(usb_serial_parse(out, bytes, cut), -1);
	bytes[1] = 2;
	ck_assert_int_eq(usb_serial_parse(out, bytes, len), -1);
	bytes[1] = 3;
	bytes[0] = 9;
	ck_assert_int_eq(usb_serial_parse(out, bytes, 9), 3);
	bytes[3] = 1;
	ck_assert_int_eq(usb_serial_parse(out, bytes, 9), 3);
	ck_assert_str_eq(out, "-BC");
	bytes[0] = 1;
	ck_assert_int_eq(usb_serial_parse(out, bytes, 9), -1);

	ck_assert_uint_eq(usb_string_language(
	    (const uint8_t[]){ 4, 3, 0x07, 0x04 }, 4), 0x0407);
	ck_assert_uint_eq(usb_string_language(
	    (const uint8_t[]){ 2, 3 }, 2), 0);
	ck_assert_uint_eq(usb_string_language(
	    (const uint8_t[]){ 4, 3, 9 }, 3), 0);
}
END_TEST

START_TEST(idents)
{
	struct usb_ident id = { .bus = 3, .ports = { 1, 4, 2 },
		.port_count = 3 };

	ck_assert_uint_eq(usb_location(&id), 0x03142000);
	id.port_count = 0;
	ck_assert_uint_eq(usb_location(&id), 0x03000000);
	id = (struct usb_ident){ .bus = 255, .port_count = 7,
		.ports = { 15, 1, 2, 3, 4, 5, 6 } };
	ck_assert_uint_eq(usb_location(&id), 0xfff12345);

	ck_assert(usb_is_phone(0x05ac, 0x1290) && usb_is_phone(0x05ac, 0x12af));
	ck_assert(usb_is_phone(0x05ac, 0x1901) && usb_is_phone(0x05ac, 0x1905));
	ck_assert(usb_is_phone(0x05ac, 0x8600));
	ck_assert(!usb_is_phone(0x05ac, 0x128f) &&
	    !usb_is_phone(0x05ac, 0x12b0) && !usb_is_phone(0x05ac, 0x1900) &&
	    !usb_is_phone(0x05ac, 0x1906) && !usb_is_phone(0x05ad, 0x12a8));
	ck_assert_uint_eq(usb_speed_bits(USB_SPEED_SUPER), 5000000000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usb_descriptors");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, layouts_are_consistent);
	tcase_add_test(tc, mux_is_found);
	tcase_add_test(tc, near_misses);
	tcase_add_test(tc, truncated);
	tcase_add_test(tc, damaged);
	tcase_add_test(tc, modes);
	tcase_add_test(tc, device);
	tcase_add_test(tc, serials);
	tcase_add_test(tc, hostile_strings);
	tcase_add_test(tc, idents);
	tcase_add_test(tc, a_function_is_found_with_its_pairs);
	tcase_add_test(tc, half_a_pair_and_two_pairs);
	tcase_add_test(tc, a_function_that_is_cut_anywhere);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
