/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the phone tells of itself, read as a host reads it. */
#include <check.h>
#include <string.h>

#include "phone/phone.h"
#include "unit.h"

static uint8_t out[DESC_LEN_MAX];

static struct desc_profile
profile(enum desc_speed speed, unsigned mode)
{
	return (struct desc_profile){ &phone_modes[mode - 1], speed,
		"0123456789abcdef0123456789abcdef01234567" };
}

static size_t
get(const struct desc_profile *p, unsigned type, unsigned index)
{
	memset(out, 0xee, sizeof out);
	return desc_get(p, (uint16_t)(type << 8 | index),
	    type == DESC_STRING ? 0x0409 : 0, out);
}

START_TEST(device_bytes)
{
	static const uint8_t high[] = {
		18, 1, 0x00, 0x02, 0, 0, 0, 64, 0xac, 0x05, 0xa8, 0x12, 0x04,
		0x15, 1, 2, 3, 4,
	};
	static const uint8_t super[] = {
		18, 1, 0x00, 0x03, 0, 0, 0, 9, 0xac, 0x05, 0xa8, 0x12, 0x04,
		0x15, 1, 2, 3, 4,
	};
	struct desc_profile p = profile(DESC_HIGH, 1);

	ck_assert_uint_eq(get(&p, DESC_DEVICE, 0), sizeof high);
	ck_assert_mem_eq(out, high, sizeof high);
	p.speed = DESC_SUPER;
	ck_assert_uint_eq(get(&p, DESC_DEVICE, 0), sizeof super);
	ck_assert_mem_eq(out, super, sizeof super);
}
END_TEST

/* The third configuration as a whole: still image and mux. */
START_TEST(configuration_3_bytes)
{
	static const uint8_t expected[] = {
		9, 2, 62, 0, 2, 3, 6, 0xc0, 250,
		9, 4, 0, 0, 3, 6, 1, 1, 4,
		7, 5, 0x02, 2, 0x00, 0x02, 0,
		7, 5, 0x81, 2, 0x00, 0x02, 0,
		7, 5, 0x83, 3, 64, 0, 10,
		9, 4, 1, 0, 2, 0xff, 0xfe, 2, 8,
		7, 5, 0x04, 2, 0x00, 0x02, 0,
		7, 5, 0x85, 2, 0x00, 0x02, 0,
	};
	const struct desc_profile p = profile(DESC_HIGH, 1);

	ck_assert_uint_eq(get(&p, DESC_CONFIGURATION, 2), sizeof expected);
	ck_assert_mem_eq(out, expected, sizeof expected);
}
END_TEST

/* What walking through a configuration finds. */
struct found {
	unsigned interfaces, settings, endpoints, companions;
	bool mux, ethernet, ethernet_pair, still, audio, iso, hid, valeria, ncm;
	uint16_t mux_packet;
};

static void
note_interface(struct found *f, const uint8_t *d)
{
	const uint32_t class = (uint32_t)d[5] << 16 | d[6] << 8 | d[7];

	f->settings++;
	f->interfaces += d[3] == 0;
	f->mux |= class == 0xfffe02;
	f->ethernet |= class == 0xfffd01 && d[3] == 0 && d[4] == 0;
	f->ethernet_pair |= class == 0xfffd01 && d[3] == 1 && d[4] == 2;
	f->still |= class == 0x060101 && d[4] == 3;
	f->audio |= class == 0x010100;
	f->hid |= d[5] == 3;
	f->valeria |= class == 0xff2aff;
	f->ncm |= (class & 0xffff00) == 0x020d00;
}

static void
walk(const struct desc_profile *p, unsigned index, struct found *f)
{
	const size_t len = get(p, DESC_CONFIGURATION, index);
	bool seen[256] = { false };
	unsigned left = 0;
	size_t at = 0;

	memset(f, 0, sizeof *f);
	ck_assert_uint_ge(len, 9);
	ck_assert_uint_eq(out[2] | out[3] << 8, len);
	ck_assert_uint_eq(out[5], index + 1);
	while (at < len) {
		const uint8_t *d = out + at;

		ck_assert_uint_ge(d[0], 2);
		ck_assert_uint_le(at + d[0], len);
		switch (d[1]) {
		case DESC_INTERFACE:
			ck_assert_uint_eq(left, 0);
			ck_assert_uint_eq(d[0], 9);
			note_interface(f, d);
			left = d[4];
			break;
		case DESC_ENDPOINT:
			ck_assert_uint_gt(left, 0);
			ck_assert_uint_eq(d[0], 7);
			ck_assert(!seen[d[2]]);
			seen[d[2]] = true;
			left--;
			f->endpoints++;
			f->iso |= (d[3] & 3) == DESC_ISOCHRONOUS;
			if (d[2] == PHONE_MUX_OUT)
				f->mux_packet = (uint16_t)(d[4] | d[5] << 8);
			break;
		case DESC_SS_COMPANION:
			ck_assert_uint_eq(d[0], 6);
			ck_assert_uint_eq(out[at - 6], DESC_ENDPOINT);
			f->companions++;
			break;
		}
		at += d[0];
	}
	ck_assert_uint_eq(left, 0);
	ck_assert_uint_eq(f->interfaces, out[4]);
}

START_TEST(the_four_configurations)
{
	const struct desc_profile p = profile(_i == 0 ? DESC_HIGH : DESC_SUPER,
	    1);
	struct found f[4];

	for (unsigned i = 0; i < 4; i++) {
		walk(&p, i, &f[i]);
		ck_assert_uint_eq(f[i].companions,
		    _i == 0 ? 0 : f[i].endpoints);
		ck_assert(f[i].mux == (i >= 2));
		ck_assert(f[i].still == (i != 1));
		ck_assert_uint_eq(f[i].mux_packet,
		    i < 2 ? 0 : _i == 0 ? 512 : 1024);
	}
	ck_assert(f[1].audio && f[1].iso && f[1].hid);
	ck_assert(!f[2].ethernet && f[3].ethernet && f[3].ethernet_pair);
	ck_assert_uint_eq(get(&p, DESC_CONFIGURATION, 4), 0);
}
END_TEST

START_TEST(the_modes)
{
	static const unsigned counts[] = { 0, 4, 5, 5, 6, 1 };
	struct desc_profile p = profile(DESC_HIGH, 1);
	struct found f;

	for (unsigned mode = 1; mode <= 5; mode++) {
		p.device = &phone_modes[mode - 1];
		ck_assert_uint_eq(p.device->configuration_count, counts[mode]);
		ck_assert_uint_eq(get(&p, DESC_DEVICE, 0), 18);
		ck_assert_uint_eq(out[17], counts[mode]);
		for (unsigned i = 0; i < counts[mode]; i++)
			walk(&p, i, &f);
		ck_assert(f.mux == (mode != 5));
		ck_assert(f.valeria == (mode == 2));
		ck_assert(f.ncm == (mode >= 3));
		ck_assert_uint_eq(get(&p, DESC_CONFIGURATION, counts[mode]), 0);
	}
}
END_TEST

START_TEST(strings)
{
	struct desc_profile p = profile(DESC_HIGH, 1);
	static const uint8_t languages[] = { 4, 3, 0x09, 0x04 };
	static const uint8_t product[] = {
		14, 3, 'i', 0, 'P', 0, 'h', 0, 'o', 0, 'n', 0, 'e', 0,
	};

	ck_assert_uint_eq(desc_get(&p, DESC_STRING << 8, 0, out), 4);
	ck_assert_mem_eq(out, languages, sizeof languages);
	ck_assert_uint_eq(get(&p, DESC_STRING, 2), sizeof product);
	ck_assert_mem_eq(out, product, sizeof product);
	ck_assert_uint_eq(get(&p, DESC_STRING, 3), 2 + 2 * 40);
	ck_assert_uint_eq(out[0], 82);
	ck_assert_uint_eq(out[2], '0');
	ck_assert_uint_eq(out[80], '7');
	p.serial = "00008030000011112222AAAA";
	ck_assert_uint_eq(get(&p, DESC_STRING, 3), 2 + 2 * 24);
	for (unsigned i = 1; i < p.device->text_count; i++)
		ck_assert_uint_gt(get(&p, DESC_STRING, i), 2);
	ck_assert_uint_eq(get(&p, DESC_STRING, p.device->text_count), 0);
	ck_assert_uint_eq(get(&p, DESC_STRING, 255), 0);
	ck_assert_uint_eq(desc_get(&p, DESC_STRING << 8 | 2, 0x0407, out), 0);
}
END_TEST

START_TEST(of_one_speed_only)
{
	struct desc_profile p = profile(DESC_HIGH, 1);

	ck_assert_uint_eq(get(&p, DESC_BOS, 0), 0);
	ck_assert_uint_eq(get(&p, DESC_QUALIFIER, 0), 10);
	ck_assert_uint_eq(out[8], 4);
	ck_assert_uint_gt(get(&p, DESC_OTHER_SPEED, 3), 9);
	ck_assert_uint_eq(out[1], DESC_OTHER_SPEED);
	p.speed = DESC_SUPER;
	ck_assert_uint_eq(get(&p, DESC_BOS, 0), 22);
	ck_assert_uint_eq(out[2] | out[3] << 8, 22);
	ck_assert_uint_eq(out[4], 2);
	ck_assert_uint_eq(get(&p, DESC_QUALIFIER, 0), 0);
	ck_assert_uint_eq(get(&p, DESC_OTHER_SPEED, 3), 0);
}
END_TEST

START_TEST(unknown_ones)
{
	const struct desc_profile p = profile(DESC_HIGH, 1);

	ck_assert_uint_eq(get(&p, DESC_DEVICE, 1), 0);
	ck_assert_uint_eq(get(&p, DESC_INTERFACE, 0), 0);
	ck_assert_uint_eq(get(&p, 0x22, 0), 0);
	ck_assert_uint_eq(get(&p, 0, 0), 0);
}
END_TEST

START_TEST(identities)
{
	struct identity id, again;
	struct cause why;

	for (unsigned i = 1; i <= 300; i++) {
		ck_assert_int_eq(identity_init(&id, i, NULL, 0, &why), 0);
		ck_assert_int_eq(identity_init(&again, i, NULL, 0, &why), 0);
		ck_assert_mem_eq(&id, &again, sizeof id);
		if (i % 2 != 0) {
			ck_assert_uint_eq(strlen(id.udid), 40);
			ck_assert_str_eq(id.udid, id.serial);
		} else {
			ck_assert_uint_eq(strlen(id.udid), 25);
			ck_assert_uint_eq(strlen(id.serial), 24);
			ck_assert_int_eq(id.udid[8], '-');
			ck_assert_mem_eq(id.udid, id.serial, 8);
			ck_assert_str_eq(id.udid + 9, id.serial + 8);
		}
	}
	ck_assert_str_eq(id.busid, "43-6");
	ck_assert_int_eq(identity_init(&id, 1, NULL, 24, &why), 0);
	ck_assert_uint_eq(strlen(id.serial), 24);
}
END_TEST

START_TEST(given_udids)
{
	struct identity id;
	struct cause why;

	ck_assert_int_eq(identity_init(&id, 1, "00008030-0011223344556677", 0,
	    &why), 0);
	ck_assert_str_eq(id.serial, "000080300011223344556677");
	ck_assert_str_eq(id.udid, "00008030-0011223344556677");
	ck_assert_int_eq(identity_init(&id, 1, "000080300011223344556677", 0,
	    &why), 0);
	ck_assert_str_eq(id.udid, "00008030-0011223344556677");
	ck_assert_int_lt(identity_init(&id, 1, "", 0, &why), 0);
	ck_assert_int_lt(identity_init(&id, 1, "../../../../etc/passwd00", 0,
	    &why), 0);
	ck_assert_int_lt(identity_init(&id, 1, "000080300-011223344556677", 0,
	    &why), 0);
	ck_assert_int_lt(identity_init(&id, 1,
	    "0123456789abcdef0123456789abcdef0123456-", 0, &why), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/descriptors");
	TCase *t = tcase_create("descriptors");

	tcase_add_test(t, device_bytes);
	tcase_add_test(t, configuration_3_bytes);
	tcase_add_loop_test(t, the_four_configurations, 0, 2);
	tcase_add_test(t, the_modes);
	tcase_add_test(t, strings);
	tcase_add_test(t, of_one_speed_only);
	tcase_add_test(t, unknown_ones);
	suite_add_tcase(s, t);
	t = tcase_create("identities");
	tcase_add_test(t, identities);
	tcase_add_test(t, given_udids);
	suite_add_tcase(s, t);
	return unit_run(s);
}
