/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actor/thread.h"
#include "base/cursor.h"
#include "wire/client.h"

/*
 * Requests made to hurt.  Each is parsed on a thread with a worker's stack, as
 * a request and as a reply, must be refused or understood within a second of
 * processor time, and leave nothing behind (a sanitizer looks).
 */

struct job {
	const uint8_t *bytes;
	size_t len;
	enum client_kind kind;
	bool replied;
	double seconds;
};

static void *
parse_both(void *arg)
{
	struct job *job = arg;
	const struct client_header h = { (uint32_t)(16 + job->len), 1,
		USBMUX_PLIST, 1 };
	struct client_request request;
	struct client_reply reply;
	struct timespec t;

	client_request_parse(&request, &h, job->bytes, job->len);
	job->kind = request.kind;
	client_request_fini(&request);
	job->replied = client_reply_parse(&reply, &h, job->bytes, job->len);
	if (job->replied)
		client_reply_fini(&reply);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	job->seconds = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	return NULL;
}

static struct job
run(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct job job = { .bytes = copy, .len = len };
	struct thread thread;

	memcpy(copy, bytes, len);
	ck_assert_int_eq(thread_start(&thread, "hostile", parse_both, &job), 0);
	thread_join(&thread);
	free(copy);
	ck_assert_msg(job.seconds < 1.0, "took %.2f s", job.seconds);
	return job;
}

static char text[CLIENT_REQUEST_MAX + 1];

/* `before`, then `repeated` as often as fits in a request, then `after`. */
static size_t
fill(const char *before, const char *repeated, const char *after)
{
	size_t used = strlen(before);

	strcpy(text, before);
	while (used + strlen(repeated) + strlen(after) + 16 <
	    CLIENT_REQUEST_MAX) {
		strcpy(text + used, repeated);
		used += strlen(repeated);
	}
	strcpy(text + used, after);
	return used + strlen(after);
}

static const struct {
	const char *before, *repeated, *after;
} xmls[] = {
	{ "", "<array>", "" },
	{ "<plist><dict>", "<key>a</key><dict>", "" },
	{ "<plist>", "<dict><key>a</key>", "<true/>" },
	{ "", "<dict >", "" },
	{ "", "<dict\n>", "" },
	{ "", "<array\t/><array>", "" },
	{ "<plist><dict>", "<key>a</key><true/>", "</dict></plist>" },
	{ "<plist><dict>", "<key>a</key><dict/>", "</dict></plist>" },
	{ "<plist><dict><key>a</key><array>", "<string></string>",
	    "</array></dict></plist>" },
	/* Closing tags where this scan might see what libplist does not. */
	{ "<plist>", "<dict><key>a</key><!--</dict>-->", "" },
	{ "<plist>", "<dict a=\"</dict>\"><key>a</key>", "" },
	{ "<plist>", "<dict><key>a</key><?a </dict>?>", "" },
	{ "<!-- ", "<dict></dict>", "--><dict></dict>" },
	{ "<!-- <dict><dict><dict> -->", "<dict><key>a</key>", "" },
	{ "<plist>", "<dict><key><![CDATA[</dict>]]></key>", "" },
	{ "<plist><dict>", "</dict>", "" },
	{ "", "<plist>", "" },
	{ "", "<", "" },
	{ "", "</", "" },
	{ "", "<!", "" },
	{ "<!DOCTYPE [", "<", "" },
	{ "<!--", "-", "" },
	{ "<plist><dict><key>MessageType</key><string>", "&amp;",
	    "</string></dict></plist>" },
	{ "<plist><dict><key>MessageType</key><string>", "&",
	    "</string></dict></plist>" },
	{ "<plist><dict><key>MessageType</key><string>", "x",
	    "</string></dict></plist>" },
	{ "<plist><dict><key>", "k", "" },
	{ "<plist><dict><key>a</key><data>", "A", "</data></dict></plist>" },
	{ "<plist><dict><key>a</key><integer>", "9",
	    "</integer></dict></plist>" },
	{ "<plist><dict><key>a</key><real>", "9", "</real></dict></plist>" },
	{ "<plist><dict><key>a</key><date>", "9", "</date></dict></plist>" },
};

START_TEST(xml_made_to_hurt)
{
	const size_t len =
	    fill(xmls[_i].before, xmls[_i].repeated, xmls[_i].after);

	ck_assert_int_eq(run(text, len).kind, CLIENT_BAD);
}
END_TEST

START_TEST(every_prefix_of_an_honest_request)
{
	const struct client_info self = { .prog_name = "p", .version = "v" };
	struct client_frame f = client_ask_save_record(1, &self, "a-b",
	    "<plist/>", 8, 1);

	for (size_t len = 0; len < f.len - 16; len++) {
		const struct job job = run(f.bytes + 16, len);

		/* Only the last closing tag can be done without. */
		if (len < f.len - 16 - strlen("</dict>\n</plist>\n"))
			ck_assert_int_eq(job.kind, CLIENT_BAD);
	}
	ck_assert_int_eq(run(f.bytes + 16, f.len - 16).kind,
	    CLIENT_SAVE_RECORD);
	free(f.bytes);
}
END_TEST

/* ---- Binary lists, put together by hand ---- */

static uint8_t bin[CLIENT_REQUEST_MAX];

static void
write_be64(struct writer *w, uint64_t v)
{
	write_be32(w, (uint32_t)(v >> 32));
	write_be32(w, (uint32_t)v);
}

static void
trailer(struct writer *w, uint8_t offset_size, uint8_t ref_size,
    uint64_t objects, uint64_t root, uint64_t table)
{
	write_zeros(w, 6);
	write_u8(w, offset_size);
	write_u8(w, ref_size);
	write_be64(w, objects);
	write_be64(w, root);
	write_be64(w, table);
}

/*
 * `count` arrays of `width` references each; array i refers to i + step, the
 * last ones to the last object, a string (or to themselves, when step is 0).
 */
static size_t
arrays(unsigned count, unsigned width, unsigned step)
{
	struct writer w = writer_over(bin, sizeof bin);
	const size_t first = 8, each = 1 + 2 * (size_t)width;

	write_bytes(&w, "bplist00", 8);
	for (unsigned i = 0; i < count; i++) {
		write_u8(&w, (uint8_t)(0xa0 | width));
		for (unsigned j = 0; j < width; j++)
			write_be16(&w, (uint16_t)(i + step > count
				? count : i + step));
	}
	write_bytes(&w, "\x51x", 2);
	for (unsigned i = 0; i <= count; i++)
		write_be16(&w, (uint16_t)(first + i * each));
	trailer(&w, 2, 2, count + 1, 0, first + count * each + 2);
	ck_assert(!w.bad);
	return writer_used(&w);
}

START_TEST(arrays_inside_arrays)
{
	ck_assert_int_eq(run(bin, arrays(9000, 1, 1)).kind, CLIENT_BAD);
}
END_TEST

START_TEST(arrays_that_unfold_for_ever)
{
	ck_assert_int_eq(run(bin, arrays(30, 2, 1)).kind, CLIENT_BAD);
	ck_assert_int_eq(run(bin, arrays(14, 14, 1)).kind, CLIENT_BAD);
	ck_assert_int_eq(run(bin, arrays(3, 14, 1)).kind, CLIENT_BAD);
}
END_TEST

START_TEST(arrays_that_hold_themselves)
{
	ck_assert_int_eq(run(bin, arrays(1, 1, 0)).kind, CLIENT_BAD);
	ck_assert_int_eq(run(bin, arrays(4, 14, 0)).kind, CLIENT_BAD);
}
END_TEST

/* One dictionary {"a": <object>}, with whatever trailer. */
static size_t
dict_with(const void *object, size_t len, const uint64_t t[5])
{
	struct writer w = writer_over(bin, sizeof bin);

	write_bytes(&w, "bplist00\xd1\x01\x02\x51" "a", 13);
	write_bytes(&w, object, len);
	write_u8(&w, 8);
	write_u8(&w, 11);
	write_u8(&w, 13);
	trailer(&w, (uint8_t)t[0], (uint8_t)t[1], t[2], t[3],
	    t[4] == 0 ? 13 + len : t[4]);
	return writer_used(&w);
}

#define HUGE UINT64_MAX
static const struct {
	const char *object;
	size_t len;
	uint64_t trailer[5]; /* sizes of offset, reference; objects, root, table */
} dicts[] = {
	{ "\x51z", 2, { 1, 1, 3, 0, 0 } }, /* well-formed, but no request */
	{ "\x51z", 2, { 0, 1, 3, 0, 0 } },
	{ "\x51z", 2, { 9, 1, 3, 0, 0 } },
	{ "\x51z", 2, { 255, 1, 3, 0, 0 } },
	{ "\x51z", 2, { 1, 0, 3, 0, 0 } },
	{ "\x51z", 2, { 1, 255, 3, 0, 0 } },
	{ "\x51z", 2, { 1, 1, 0, 0, 0 } },
	{ "\x51z", 2, { 1, 1, HUGE, 0, 0 } },
	{ "\x51z", 2, { 8, 8, HUGE / 8 + 1, 0, 0 } },
	{ "\x51z", 2, { 1, 1, 4, 0, 0 } },
	{ "\x51z", 2, { 1, 1, 3, 3, 0 } },
	{ "\x51z", 2, { 1, 1, 3, HUGE, 0 } },
	{ "\x51z", 2, { 1, 1, 3, 0, HUGE } },
	{ "\x51z", 2, { 1, 1, 3, 0, 7 } },
	{ "\x51z", 2, { 1, 1, 3, 0, 18 } },
	{ "\x51z", 2, { 1, 1, 3, 1, 0 } },
	{ "\xaf\x13\xff\xff\xff\xff\xff\xff\xff\xff", 10, { 1, 1, 3, 0, 0 } },
	{ "\xdf\x13\x80\x00\x00\x00\x00\x00\x00\x01", 10, { 1, 1, 3, 0, 0 } },
	{ "\xaf\x14", 2, { 1, 1, 3, 0, 0 } },
	{ "\xaf\x1f", 2, { 1, 1, 3, 0, 0 } },
	{ "\xaf\x51", 2, { 1, 1, 3, 0, 0 } },
	{ "\xa3\x00\x00\x00", 4, { 1, 1, 3, 0, 0 } }, /* holds its holder */
	{ "\xd1\x02\x02", 3, { 1, 1, 3, 0, 0 } },
	{ "\xa5\x01", 2, { 1, 1, 3, 0, 0 } }, /* cut */
	{ "\x4f\x13\xff\xff\xff\xff\xff\xff\xff\xff", 10, { 1, 1, 3, 0, 0 } },
	{ "\x6f\x13\x7f\xff\xff\xff\xff\xff\xff\xff", 10, { 1, 1, 3, 0, 0 } },
	{ "\x5f\x10\xff", 3, { 1, 1, 3, 0, 0 } },
	{ "\x1f", 1, { 1, 1, 3, 0, 0 } },
	{ "\x2f", 1, { 1, 1, 3, 0, 0 } },
	{ "\x33", 1, { 1, 1, 3, 0, 0 } },
	{ "\x8f", 1, { 1, 1, 3, 0, 0 } },
	{ "\xff", 1, { 1, 1, 3, 0, 0 } },
};

START_TEST(a_binary_list_made_to_hurt)
{
	ck_assert_int_eq(run(bin, dict_with(dicts[_i].object, dicts[_i].len,
				      dicts[_i].trailer)).kind, CLIENT_BAD);
}
END_TEST

/* Every byte of a well-formed list turned into each of a few values. */
START_TEST(a_binary_list_with_a_byte_changed)
{
	static const uint64_t good[5] = { 1, 1, 3, 0, 0 };
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xaf, 0xd1, 0xff };
	const size_t len = dict_with("\xd1\x01\x01", 3, good);

	for (size_t i = 0; i < len; i++)
		for (size_t v = 0; v < sizeof values; v++) {
			const uint8_t was = bin[i];

			bin[i] = values[v];
			ck_assert_int_eq(run(bin, len).kind, CLIENT_BAD);
			bin[i] = was;
		}
	ck_assert(run(bin, len).replied); /* as it was, it is a dictionary */
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

int
main(void)
{
	Suite *s = suite_create("wire/client hostile");
	TCase *tc = tcase_create("codec");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, xml_made_to_hurt, 0, COUNT(xmls));
	tcase_add_test(tc, every_prefix_of_an_honest_request);
	tcase_add_test(tc, arrays_inside_arrays);
	tcase_add_test(tc, arrays_that_unfold_for_ever);
	tcase_add_test(tc, arrays_that_hold_themselves);
	tcase_add_loop_test(tc, a_binary_list_made_to_hurt, 0, COUNT(dicts));
	tcase_add_test(tc, a_binary_list_with_a_byte_changed);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
