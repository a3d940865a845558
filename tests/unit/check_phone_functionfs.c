/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What FunctionFS is told of a phone, byte for byte, and what it tells. */
#include <check.h>
#include <string.h>

#include "phone/functionfs.h"
#include "phone/phone.h"
#include "unit.h"

static const struct desc_interface *
mux_of(const struct desc_device *d)
{
	return d->configurations[d->configuration_count - 1].settings[0];
}

START_TEST(descriptors_bytes)
{
	static const uint8_t expected[] = {
		3, 0, 0, 0, 109, 0, 0, 0, /* magic, length */
		0xe7, 0, 0, 0,            /* flags */
		0x78, 0x56, 0x34, 0x12,   /* eventfd */
		3, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, /* descriptors */
		9, 4, 0, 0, 2, 0xff, 0xfe, 2, 1,
		7, 5, 0x04, 2, 64, 0, 0,
		7, 5, 0x85, 2, 64, 0, 0,
		9, 4, 0, 0, 2, 0xff, 0xfe, 2, 1,
		7, 5, 0x04, 2, 0x00, 0x02, 0,
		7, 5, 0x85, 2, 0x00, 0x02, 0,
		9, 4, 0, 0, 2, 0xff, 0xfe, 2, 1,
		7, 5, 0x04, 2, 0x00, 0x04, 0,
		6, 48, 15, 0, 0, 0,
		7, 5, 0x85, 2, 0x00, 0x04, 0,
		6, 48, 15, 0, 0, 0,
	};
	const struct desc_device *const layouts[] = {
		&phone_mux_only, &phone_mux_last_of_4,
	};
	uint8_t blob[FUNCTIONFS_BLOB_MAX];

	for (int i = 0; i < UNIT_COUNT(layouts); i++) {
		memset(blob, 0xee, sizeof blob);
		ck_assert_uint_eq(functionfs_descriptors(mux_of(layouts[i]),
				      0x12345678, blob), sizeof expected);
		ck_assert_mem_eq(blob, expected, sizeof expected);
	}
}
END_TEST

/* In a phone's own configurations the interface has another number, which
 * means nothing to a function. */
START_TEST(number_is_the_functions)
{
	uint8_t alone[FUNCTIONFS_BLOB_MAX], blob[FUNCTIONFS_BLOB_MAX];
	const size_t n =
	    functionfs_descriptors(mux_of(&phone_mux_only), 5, alone);

	ck_assert_uint_eq(functionfs_descriptors(
			      phone_modes[0].configurations[2].settings[1], 5,
			      blob), n);
	ck_assert_mem_eq(blob, alone, n);
}
END_TEST

START_TEST(strings_bytes)
{
	static const uint8_t expected[] = {
		2, 0, 0, 0, 22, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, /* head */
		0x09, 0x04, 'M', 'u', 'x', 0,
	};
	uint8_t blob[FUNCTIONFS_BLOB_MAX];

	memset(blob, 0xee, sizeof blob);
	ck_assert_uint_eq(functionfs_strings("Mux", blob), sizeof expected);
	ck_assert_mem_eq(blob, expected, sizeof expected);
}
END_TEST

START_TEST(events)
{
	static const uint8_t setup[FUNCTIONFS_EVENT_SIZE] = {
		0xc0, 0x45, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 4, 0xaa, 0xaa,
		0xaa,
	};
	static const uint8_t enable[FUNCTIONFS_EVENT_SIZE] = { [8] = 2 };
	static const uint8_t unknown[FUNCTIONFS_EVENT_SIZE] = { [8] = 0xff };
	struct functionfs_event e;

	functionfs_event_parse(&e, setup);
	ck_assert_uint_eq(e.type, FUNCTIONFS_HAS_SETUP);
	ck_assert_mem_eq(e.setup, setup, 8);
	functionfs_event_parse(&e, enable);
	ck_assert_uint_eq(e.type, FUNCTIONFS_IS_ENABLED);
	functionfs_event_parse(&e, unknown);
	ck_assert_uint_eq(e.type, 0xff);
}
END_TEST

/* The layouts: the mux is in the last configuration, alone. */
START_TEST(layouts)
{
	ck_assert_uint_eq(phone_mux_only.configuration_count, 1);
	ck_assert_uint_eq(phone_mux_last_of_4.configuration_count, 4);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(phone_mux_last_of_4.configurations[i]
				      .setting_count, 0);
	ck_assert_uint_eq(mux_of(&phone_mux_last_of_4)->class, 0xff);
	ck_assert_uint_eq(mux_of(&phone_mux_last_of_4)->number, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/functionfs");
	TCase *tc = tcase_create("bytes");

	tcase_add_test(tc, descriptors_bytes);
	tcase_add_test(tc, number_is_the_functions);
	tcase_add_test(tc, strings_bytes);
	tcase_add_test(tc, events);
	tcase_add_test(tc, layouts);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
