/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <plist/plist.h>

#include "wire/client.h"

/* Requests that real clients send otherwise than ours does, and those that the
 * daemon must refuse with the protocol's number. */

#define XML(body)                                                  \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"             \
	"<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "  \
	"\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"    \
	"<plist version=\"1.0\">\n" body "\n</plist>\n"
#define DICT(body) XML("<dict>" body "</dict>")
#define TYPE(t) "<key>MessageType</key><string>" t "</string>"
#define INT(k, v) "<key>" k "</key><integer>" v "</integer>"
#define STR(k, v) "<key>" k "</key><string>" v "</string>"
#define DATA(k, v) "<key>" k "</key><data>" v "</data>"

static struct client_request
parse(uint32_t version, uint32_t message, const void *payload, size_t len)
{
	const struct client_header h = { (uint32_t)(16 + len), version,
		message, 99 };
	/* A copy of just that size, so that a sanitizer sees a byte too far. */
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct client_request r;

	if (len > 0)
		memcpy(copy, payload, len);
	client_request_parse(&r, &h, copy, len);
	free(copy);
	ck_assert_uint_eq(r.tag, 99);
	return r;
}

static struct client_request
parse_xml(const char *xml)
{
	return parse(1, USBMUX_PLIST, xml, strlen(xml));
}

/* ---- Headers ---- */

START_TEST(a_header_is_checked)
{
	uint8_t b[16] = { 16, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 4, 3, 2, 1 };
	struct client_header h;

	ck_assert(client_header_read(&h, b, CLIENT_REQUEST_MAX));
	ck_assert_uint_eq(h.length, 16);
	ck_assert_uint_eq(h.version, 1);
	ck_assert_uint_eq(h.message, 8);
	ck_assert_uint_eq(h.tag, 0x01020304);
	b[0] = 15;
	ck_assert(!client_header_read(&h, b, CLIENT_REQUEST_MAX));
	memcpy(b, "\0\0\1\0", 4); /* 65536 */
	ck_assert(client_header_read(&h, b, CLIENT_REQUEST_MAX));
	memcpy(b, "\1\0\1\0", 4); /* 65537 */
	ck_assert(!client_header_read(&h, b, CLIENT_REQUEST_MAX));
	memcpy(b, "\xff\xff\xff\xff", 4);
	ck_assert(!client_header_read(&h, b, CLIENT_REQUEST_MAX));
}
END_TEST

/* ---- Refusals ---- */

static const struct {
	const char *xml;
	uint32_t refusal;
} refused[] = {
	{ "", USBMUX_BAD_COMMAND },
	{ "garbage", USBMUX_BAD_COMMAND },
	{ XML("<string>Listen</string>"), USBMUX_BAD_COMMAND },
	{ XML("<array></array>"), USBMUX_BAD_COMMAND },
	{ DICT(""), USBMUX_BAD_COMMAND },
	{ DICT(INT("MessageType", "3")), USBMUX_BAD_COMMAND },
	{ DICT(TYPE("")), USBMUX_BAD_COMMAND },
	{ DICT(TYPE("listen")), USBMUX_BAD_COMMAND },
	{ DICT(TYPE("Unheard")), USBMUX_BAD_COMMAND },
	{ DICT(TYPE("bad request")), USBMUX_BAD_COMMAND },
	{ DICT(TYPE("Connect")), USBMUX_BAD_DEVICE },
	{ DICT(TYPE("Connect") INT("PortNumber", "5632")), USBMUX_BAD_DEVICE },
	{ DICT(TYPE("Connect") STR("DeviceID", "1") INT("PortNumber", "5632")),
	    USBMUX_BAD_DEVICE },
	{ DICT(TYPE("Connect") INT("DeviceID", "1")), USBMUX_BAD_COMMAND },
	{ DICT(TYPE("Connect") INT("DeviceID", "1") STR("PortNumber", "5632")),
	    USBMUX_BAD_COMMAND },
	{ DICT(TYPE("ReadPairRecord")), EINVAL },
	{ DICT(TYPE("ReadPairRecord") INT("PairRecordID", "1")), EINVAL },
	{ DICT(TYPE("DeletePairRecord")), EINVAL },
	{ DICT(TYPE("SavePairRecord")), EINVAL },
	{ DICT(TYPE("SavePairRecord") STR("PairRecordID", "a")), EINVAL },
	{ DICT(TYPE("SavePairRecord") DATA("PairRecordData", "AAAA")),
	    EINVAL },
	{ DICT(TYPE("SavePairRecord") STR("PairRecordID", "a")
		DATA("PairRecordData", "")), EINVAL },
	{ DICT(TYPE("SavePairRecord") STR("PairRecordID", "a")
		STR("PairRecordData", "AAAA")), EINVAL },
	/* 65 characters: cut, it would name another record. */
	{ DICT(TYPE("ReadPairRecord") STR("PairRecordID",
	      "0123456789012345678901234567890123456789012345678901234567890"
	      "1234")), EINVAL },
};

START_TEST(a_bad_plist_request_is_refused)
{
	struct client_request r = parse_xml(refused[_i].xml);

	ck_assert_int_eq(r.kind, CLIENT_BAD);
	ck_assert_uint_eq(r.refusal, refused[_i].refusal);
	ck_assert_int_eq(r.form, CLIENT_PLIST);
	ck_assert_ptr_nonnull(r.reason);
	ck_assert_ptr_null(r.record);
	client_request_fini(&r);
}
END_TEST

START_TEST(a_bad_binary_request_is_refused)
{
	static const uint8_t connect[9] = { 7, 0, 0, 0, 0, 22, 0, 0, 0 };
	static const uint32_t unknown[] = { 0, 1, 4, 5, 6, 7, 9, 0xffffffff };
	struct client_request r;

	for (size_t len = 0; len <= 9; len++) {
		r = parse(0, USBMUX_CONNECT, connect, len);
		ck_assert_int_eq(r.form, CLIENT_BINARY);
		if (len == 8) {
			ck_assert_int_eq(r.kind, CLIENT_CONNECT);
			ck_assert_uint_eq(r.device_id, 7);
			ck_assert_uint_eq(r.port, 22);
		} else {
			ck_assert_int_eq(r.kind, CLIENT_BAD);
			ck_assert_uint_eq(r.refusal, USBMUX_BAD_COMMAND);
		}
	}
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		r = parse(0, unknown[i], NULL, 0);
		ck_assert_int_eq(r.kind, CLIENT_BAD);
		ck_assert_uint_eq(r.refusal, USBMUX_BAD_COMMAND);
	}
}
END_TEST

START_TEST(a_bad_version_is_refused)
{
	const char *xml = DICT(TYPE("Listen"));
	struct client_request r = parse(2, USBMUX_PLIST, xml, strlen(xml));

	ck_assert_int_eq(r.kind, CLIENT_BAD);
	ck_assert_uint_eq(r.refusal, USBMUX_BAD_VERSION);
	r = parse(0xffffffff, USBMUX_LISTEN, NULL, 0);
	ck_assert_int_eq(r.kind, CLIENT_BAD);
	ck_assert_uint_eq(r.refusal, USBMUX_BAD_VERSION);
	/* The reference daemon does not compare these either. */
	r = parse(1, USBMUX_LISTEN, NULL, 0);
	ck_assert_int_eq(r.kind, CLIENT_LISTEN);
	r = parse(0, USBMUX_PLIST, xml, strlen(xml));
	ck_assert_int_eq(r.kind, CLIENT_LISTEN);
	ck_assert_int_eq(r.form, CLIENT_PLIST);
}
END_TEST

/* ---- As other clients write ---- */

static const struct {
	const char *device;
	const char *port;
	uint32_t device_id;
	uint16_t host_port;
} connects[] = {
	{ "1", "5632", 1, 22 },
	{ "4294967295", "32498", 0xffffffff, 62078 },
	{ "7", "-32642", 7, 32384 }, /* 0x807e with a sign: port 0x7e80 */
	{ "7", "-1", 7, 65535 },
	{ "-1", "256", 0xffffffff, 1 },
	{ "0", "0", 0, 0 },
};

START_TEST(signed_numbers_are_masked)
{
	char xml[1024];
	struct client_request r;

	snprintf(xml, sizeof xml,
	    DICT(TYPE("Connect") INT("DeviceID", "%s") INT("PortNumber", "%s")),
	    connects[_i].device, connects[_i].port);
	r = parse_xml(xml);
	ck_assert_int_eq(r.kind, CLIENT_CONNECT);
	ck_assert_uint_eq(r.device_id, connects[_i].device_id);
	ck_assert_uint_eq(r.port, connects[_i].host_port);
}
END_TEST

START_TEST(without_prologue_or_line_breaks)
{
	struct client_request r =
	    parse_xml("<plist version='1.0'><dict><key>MessageType</key>"
		      "<string>ListDevices</string></dict></plist>");

	ck_assert_int_eq(r.kind, CLIENT_LIST_DEVICES);
	r = parse_xml(DICT("<key>Extra</key><dict ><key>a</key><array />"
			   "<key>b</key><true/></dict>" TYPE("ReadBUID")));
	ck_assert_int_eq(r.kind, CLIENT_READ_BUID);
}
END_TEST

START_TEST(a_binary_plist_is_understood)
{
	plist_t dict = plist_new_dict();
	struct client_request r;
	uint32_t len = 0;
	char *bin = NULL;

	plist_dict_set_item(dict, "MessageType", plist_new_string("Connect"));
	plist_dict_set_item(dict, "ProgName", plist_new_string("p\xc3\xa4"));
	plist_dict_set_item(dict, "DeviceID", plist_new_uint(3));
	plist_dict_set_item(dict, "PortNumber", plist_new_uint(32498));
	plist_to_bin(dict, &bin, &len);
	plist_free(dict);
	r = parse(1, USBMUX_PLIST, bin, len);
	plist_to_bin_free(bin);
	ck_assert_int_eq(r.kind, CLIENT_CONNECT);
	ck_assert_uint_eq(r.device_id, 3);
	ck_assert_uint_eq(r.port, 62078);
	ck_assert_str_eq(r.info.prog_name, "p\xc3\xa4");
}
END_TEST

START_TEST(texts_of_the_client_are_cut)
{
	char xml[2048], name[1024];
	struct client_request r;

	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	snprintf(xml, sizeof xml, DICT(TYPE("Listen") STR("ProgName", "%s")),
	    name);
	r = parse_xml(xml);
	ck_assert_int_eq(r.kind, CLIENT_LISTEN);
	ck_assert_uint_eq(strlen(r.info.prog_name), CLIENT_TEXT_MAX - 1);
	ck_assert_str_eq(r.info.bundle_id, "");
}
END_TEST

/* What one client calls itself is shown to others, whose parsers are strict. */
START_TEST(names_are_made_fit_for_xml)
{
	static const struct {
		const char *name, *shown;
	} names[] = {
		{ "a\x01\x1f\x7fz", "a???z" },
		{ "<&>", "<&>" },
		{ "\xff\xfe", "??" },
		{ "\xc3", "?" },
		{ "\xc0\x80", "??" },
		{ "\xed\xa0\x80", "???" },
		{ "\xef\xbf\xbf", "???" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xf5\x80\x80\x80", "????" },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct client_listener l = { .number = 1 };
		struct client_frame frame;
		struct client_header h;
		struct client_reply reply;

		strcpy(l.info.prog_name, names[i].name);
		frame = client_build_listener_list(1, &l, 1);
		ck_assert(client_header_read(&h, frame.bytes, 65536));
		ck_assert(client_reply_parse(&reply, &h, frame.bytes + 16,
		    frame.len - 16));
		ck_assert_uint_eq(reply.count, 1);
		ck_assert_str_eq(reply.listeners[0].info.prog_name,
		    names[i].shown);
		client_reply_fini(&reply);
		free(frame.bytes);
	}
}
END_TEST

/* ---- As other daemons answer ---- */

static bool
reply_xml(struct client_reply *out, const char *xml)
{
	const struct client_header h = { (uint32_t)(16 + strlen(xml)), 1,
		USBMUX_PLIST, 0 };

	return client_reply_parse(out, &h, xml, strlen(xml));
}

START_TEST(one_bad_entry_does_not_lose_the_list)
{
	struct client_reply r;

	ck_assert(reply_xml(&r,
	    DICT("<key>DeviceList</key><array><string>?</string><dict/>"
		 "<dict>" INT("DeviceID", "1") "</dict>"
		 "<dict>" INT("DeviceID", "2") "<key>Properties</key><dict>"
		 STR("SerialNumber", "") "</dict></dict>"
		 "<dict><key>Properties</key><dict>" INT("DeviceID", "3")
		 STR("SerialNumber", "good") "</dict></dict></array>")));
	ck_assert_int_eq(r.kind, CLIENT_REPLY_DEVICES);
	ck_assert_uint_eq(r.count, 1);
	ck_assert_uint_eq(r.devices[0].id, 3);
	ck_assert_str_eq(r.devices[0].udid, "good");
	client_reply_fini(&r);
}
END_TEST

START_TEST(unknown_answers_are_other_and_broken_ones_fail)
{
	struct client_header h = { 18, 0, USBMUX_RESULT, 0 };
	struct client_reply r;

	ck_assert(reply_xml(&r, DICT(TYPE("News"))));
	ck_assert_int_eq(r.kind, CLIENT_REPLY_OTHER);
	ck_assert(reply_xml(&r, DICT("")));
	ck_assert_int_eq(r.kind, CLIENT_REPLY_OTHER);
	ck_assert(!reply_xml(&r, DICT(TYPE("Result"))));
	ck_assert(!reply_xml(&r, DICT(TYPE("Attached"))));
	ck_assert(!reply_xml(&r, "garbage"));
	ck_assert(!client_reply_parse(&r, &h, "\1\0", 2));
	h.message = USBMUX_DEVICE_ADD;
	ck_assert(!client_reply_parse(&r, &h, "\1\0", 2));
	h.message = 77;
	ck_assert(client_reply_parse(&r, &h, "\1\0", 2));
	ck_assert_int_eq(r.kind, CLIENT_REPLY_OTHER);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

int
main(void)
{
	Suite *s = suite_create("wire/client request");
	TCase *tc = tcase_create("codec");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, a_header_is_checked);
	tcase_add_loop_test(tc, a_bad_plist_request_is_refused, 0,
	    COUNT(refused));
	tcase_add_test(tc, a_bad_binary_request_is_refused);
	tcase_add_test(tc, a_bad_version_is_refused);
	tcase_add_loop_test(tc, signed_numbers_are_masked, 0, COUNT(connects));
	tcase_add_test(tc, without_prologue_or_line_breaks);
	tcase_add_test(tc, a_binary_plist_is_understood);
	tcase_add_test(tc, texts_of_the_client_are_cut);
	tcase_add_test(tc, names_are_made_fit_for_xml);
	tcase_add_test(tc, one_bad_entry_does_not_lose_the_list);
	tcase_add_test(tc, unknown_answers_are_other_and_broken_ones_fail);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
