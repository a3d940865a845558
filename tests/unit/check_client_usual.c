/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Connect and Result without libplist: whatever is accepted means what libplist
 * makes of it, what is written is what libplist writes, and what is not plain is
 * left to libplist.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/client_int.h"

#define PROLOGUE                                                      \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                \
	"<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "     \
	"\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"       \
	"<plist version=\"1.0\">"
#define XML(body) PROLOGUE "\n<dict>\n" body "</dict>\n</plist>\n"
#define INT(k, v) "\t<key>" k "</key>\n\t<integer>" v "</integer>\n"
#define STR(k, v) "\t<key>" k "</key>\n\t<string>" v "</string>\n"
#define CONNECT STR("MessageType", "Connect")
#define WHERE INT("DeviceID", "7") INT("PortNumber", "32498")

/* A copy of just that size, so that a sanitizer sees a byte too far. */
static bool
usual(struct client_request *out, const char *xml, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	bool taken;

	memcpy(copy, xml, len);
	memset(out, 0, sizeof *out);
	taken = client_usual_connect(out, copy, len);
	free(copy);
	return taken;
}

/* True: it was taken, and libplist agrees. */
static bool
taken_rightly(const char *xml, size_t len)
{
	static const struct client_request untouched;
	struct client_request ours, theirs;

	if (!usual(&ours, xml, len)) {
		ck_assert_mem_eq(&ours, &untouched, sizeof ours);
		return false;
	}
	memset(&theirs, 0, sizeof theirs);
	client_plist_request(&theirs, xml, len);
	ck_assert_mem_eq(&ours, &theirs, sizeof ours);
	return true;
}

/* ---- Connect ---- */

static const char *const plain[] = {
	XML(CONNECT WHERE),
	XML(WHERE CONNECT),
	PROLOGUE "<dict><key>MessageType</key><string>Connect</string>"
	"<key>DeviceID</key><integer>0</integer>"
	"<key>PortNumber</key><integer>65535</integer></dict></plist>",
	XML(CONNECT WHERE STR("BundleID", "org.example.it")
	    STR("ClientVersionString", "it 1.0 (a, b)") STR("ProgName", "i t")
	    INT("ConnType", "1") INT("ProcessID", "999999999")
	    INT("kLibUSBMuxVersion", "3")),
	XML(CONNECT INT("DeviceID", "123456789") INT("PortNumber", "80000")),
	XML(CONNECT WHERE STR("ProgName", "\"it's\" ; #%1$n")),
};

START_TEST(what_is_plain_is_taken)
{
	ck_assert(taken_rightly(plain[_i], strlen(plain[_i])));
}
END_TEST

START_TEST(ours_is_plain)
{
	static const struct client_info self = { .prog_name = "it",
		.bundle_id = "org.example.it", .version = "it 1",
		.lib_version = 3, .process_id = 4194304 };
	const struct client_frame f =
	    client_ask_connect(CLIENT_PLIST, 1, &self, 4, 62078);
	struct client_request r;

	ck_assert(taken_rightly((char *)f.bytes + USBMUX_HEADER_SIZE,
	    f.len - USBMUX_HEADER_SIZE));
	ck_assert(usual(&r, (char *)f.bytes + USBMUX_HEADER_SIZE,
	    f.len - USBMUX_HEADER_SIZE));
	ck_assert_int_eq(r.kind, CLIENT_CONNECT);
	ck_assert_uint_eq(r.device_id, 4);
	ck_assert_uint_eq(r.port, 62078);
	ck_assert_str_eq(r.info.prog_name, "it");
	ck_assert_uint_eq(r.info.process_id, 4194304);
	free(f.bytes);
}
END_TEST

/* Names are cut where libplist's are. */
START_TEST(long_names_are_cut)
{
	char name[CLIENT_TEXT_MAX + 8], xml[1024];

	for (size_t len = CLIENT_TEXT_MAX - 2; len < sizeof name; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		snprintf(xml, sizeof xml, XML(CONNECT WHERE
		    STR("ProgName", "%s")), name);
		ck_assert(taken_rightly(xml, strlen(xml)));
	}
}
END_TEST

static const char *const unusual[] = {
	"",
	XML(""),
	XML(CONNECT),
	XML(WHERE),
	XML(STR("MessageType", "connect") WHERE),
	XML(STR("MessageType", "Listen") WHERE),
	XML(CONNECT WHERE) "x",
	XML(CONNECT WHERE CONNECT),
	XML(CONNECT WHERE INT("DeviceID", "8")),
	XML(CONNECT WHERE STR("ProgName", "")),
	XML(CONNECT WHERE STR("ProgName", " it")),
	XML(CONNECT WHERE STR("ProgName", "it ")),
	XML(CONNECT WHERE STR("ProgName", "i&amp;t")),
	XML(CONNECT WHERE STR("ProgName", "i<!-- -->t")),
	XML(CONNECT WHERE STR("ProgName", "p\xc3\xa4")),
	XML(CONNECT WHERE STR("ProgName", "a\tb")),
	XML(CONNECT WHERE STR("Unheard", "it")),
	XML(CONNECT WHERE INT("ProgName", "1")),
	XML(CONNECT WHERE "<!-- it -->"),
	XML(CONNECT STR("DeviceID", "7") INT("PortNumber", "1")),
	XML(CONNECT INT("DeviceID", "-1") INT("PortNumber", "1")),
	XML(CONNECT INT("DeviceID", "07") INT("PortNumber", "1")),
	XML(CONNECT INT("DeviceID", "0x7") INT("PortNumber", "1")),
	XML(CONNECT INT("DeviceID", "1234567890") INT("PortNumber", "1")),
	XML(CONNECT INT("DeviceID", "") INT("PortNumber", "1")),
	XML(CONNECT INT("DeviceID", " 7") INT("PortNumber", "1")),
	"<plist version=\"1.0\"><dict>" CONNECT WHERE "</dict></plist>",
	PROLOGUE "<dict>" CONNECT WHERE "</plist></dict>",
};

START_TEST(what_is_not_is_left_to_libplist)
{
	ck_assert(!taken_rightly(unusual[_i], strlen(unusual[_i])));
}
END_TEST

/* Every byte replaced, doubled, left out, and the end cut off there. */
START_TEST(nothing_is_taken_for_something_else)
{
	static const char bytes[] = " \t\n\r<>&/'\"019-+xAaz.\x7f\x80";
	const char *xml = plain[3];
	const size_t len = strlen(xml);
	unsigned taken = 0, left = 0;
	char other[2048];

	for (size_t at = 0; at < len; at++) {
		ck_assert(!taken_rightly(xml, at) || at + 1 == len);
		for (size_t i = 0; i < sizeof bytes; i++) { /* NUL, too */
			memcpy(other, xml, len);
			other[at] = bytes[i];
			*(taken_rightly(other, len) ? &taken : &left) += 1;
			memcpy(other + at + 1, xml + at, len - at);
			*(taken_rightly(other, len + 1) ? &taken : &left) += 1;
		}
		memcpy(other + at, xml + at + 1, len - at - 1);
		*(taken_rightly(other, len - 1) ? &taken : &left) += 1;
	}
	ck_assert_uint_gt(taken, 1000);
	ck_assert_uint_gt(left, 1000);
}
END_TEST

/* ---- Result ---- */

START_TEST(a_result_is_what_libplist_writes)
{
	static const uint32_t results[] = { 0, 1, 2, 3, 5, 6, 22, 100, 4096,
		0x7fffffff, 0xffffffff };

	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		const plist_t dict = plist_new_dict();
		struct client_frame ours, theirs;

		client_dict_set_text(dict, "MessageType", "Result");
		client_dict_set_uint(dict, "Number", results[i]);
		theirs = client_plist_frame(0xf00ba4, dict);
		ours = client_build_result(CLIENT_PLIST, 0xf00ba4, results[i]);
		ck_assert_uint_eq(ours.len, theirs.len);
		ck_assert_mem_eq(ours.bytes, theirs.bytes, ours.len);
		free(ours.bytes);
		free(theirs.bytes);
	}
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

int
main(void)
{
	Suite *s = suite_create("wire/client usual");
	TCase *tc = tcase_create("codec");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, what_is_plain_is_taken, 0, COUNT(plain));
	tcase_add_test(tc, ours_is_plain);
	tcase_add_test(tc, long_names_are_cut);
	tcase_add_loop_test(tc, what_is_not_is_left_to_libplist, 0,
	    COUNT(unusual));
	tcase_add_test(tc, nothing_is_taken_for_something_else);
	tcase_add_test(tc, a_result_is_what_libplist_writes);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
