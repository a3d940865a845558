/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/client.h"

/*
 * Every message of the client protocol, in each form it has, against bytes
 * that were not made by this code: tests/golden/client.  A .hex file holds a
 * whole message; a .golden file its header in hex on a line of its own, and
 * the property list as it is.  Each is built and compared byte for byte, then
 * parsed and compared with what it was built from.
 */

#define UDID "00008030-001A2B3C4D5E6F70"
#define RECORD "<plist><dict/></plist>"

static const struct client_info self = { .prog_name = "tests",
	.bundle_id = "org.example.tests", .version = "tests 1",
	.lib_version = 3, .process_id = 4242 };

static const struct client_device devices[] = {
	{ .id = 7, .location = 0x20005, .speed = 480000000,
	    .product_id = 0x12a8, .udid = UDID },
	{ .id = 8, .location = 0xfffe00ff, .speed = 10000000000,
	    .product_id = 0x12af,
	    .udid = "0123456789abcdef0123456789abcdef01234567" },
	{ .id = 9, .link = CLIENT_LINK_NETWORK, .udid = UDID,
	    .interface_index = 3,
	    .service = "aa:bb@fe80::1._apple-mobdev2._tcp.local.",
	    .address = { 2, 0, 0xf2, 0x7e, 192, 0, 2, 9 },
	    .address_len = 16 },
};

static const struct client_listener listeners[] = {
	{ 12, { .prog_name = "lister", .bundle_id = "org.example.lister",
		  .lib_version = 3 } },
	{ 40, { .conn_type = 1 } },
};

/* ---- Files ---- */

struct bytes {
	uint8_t *at;
	size_t len;
};

static struct bytes
slurp(const char *name)
{
	const char *top = getenv("top_srcdir");
	struct bytes b = { malloc(65536), 0 };
	char path[512];
	FILE *f;

	snprintf(path, sizeof path, "%s/tests/golden/client/%s",
	    top != NULL ? top : ".", name);
	f = fopen(path, "rb");
	ck_assert_msg(f != NULL, "cannot open %s", path);
	b.len = fread(b.at, 1, 65535, f);
	b.at[b.len] = '\0';
	fclose(f);
	return b;
}

/* Bytes in hex from `text` to its end, into `out`; what follows a '#' on a
 * line is a remark.  Returns how many. */
static size_t
unhex(uint8_t *out, const char *text, const char *end)
{
	size_t n = 0;

	while (text < end) {
		unsigned value;

		if (*text == '#') {
			while (text < end && *text != '\n')
				text++;
		} else if (isspace((unsigned char)*text)) {
			text++;
		} else {
			ck_assert_int_eq(sscanf(text, "%2x", &value), 1);
			out[n++] = (uint8_t)value;
			text += 2;
		}
	}
	return n;
}

static struct bytes
golden(const char *name)
{
	struct bytes b = slurp(name), message = { malloc(b.len + 1), 0 };
	const char *text = (const char *)b.at;
	const char *end = text + b.len;
	const char *body = strstr(name, ".hex") ? end : strchr(text, '\n') + 1;

	message.len = unhex(message.at, text, body);
	memcpy(message.at + message.len, body, (size_t)(end - body));
	message.len += (size_t)(end - body);
	free(b.at);
	return message;
}

static void
assert_golden(struct client_frame frame, const char *name)
{
	struct bytes want = golden(name);

	ck_assert_ptr_nonnull(frame.bytes);
	ck_assert_msg(frame.len == want.len &&
		memcmp(frame.bytes, want.at, want.len) == 0,
	    "%s: %zu bytes wanted, built %zu:\n%.*s", name, want.len,
	    frame.len, (int)frame.len - 16, (char *)frame.bytes + 16);
	free(frame.bytes);
	free(want.at);
}

/* ---- Daemon to client ---- */

START_TEST(answers_are_built)
{
	assert_golden(client_build_result(CLIENT_PLIST, 3, USBMUX_OK),
	    "result-plist.golden");
	assert_golden(client_build_result(CLIENT_PLIST, 4,
			  USBMUX_CONNECTION_REFUSED),
	    "result-refused-plist.golden");
	assert_golden(client_build_result(CLIENT_BINARY, 3, USBMUX_OK),
	    "result-binary.hex");
	assert_golden(client_build_result(CLIENT_BINARY, 4,
			  USBMUX_CONNECTION_REFUSED),
	    "result-refused-binary.hex");
	assert_golden(client_build_device_list(5, devices, 3),
	    "device-list.golden");
	assert_golden(client_build_device_list(6, NULL, 0),
	    "device-list-empty.golden");
	assert_golden(client_build_listener_list(7, listeners, 2),
	    "listener-list.golden");
	assert_golden(
	    client_build_buid(8, "5A3F1C80-7B2E-4D19-9C46-0123456789AB"),
	    "buid.golden");
	assert_golden(client_build_record(9, RECORD, strlen(RECORD)),
	    "record.golden");
}
END_TEST

START_TEST(notifications_are_built)
{
	assert_golden(client_build_attached(CLIENT_PLIST, &devices[0]),
	    "attached-plist.golden");
	assert_golden(client_build_attached(CLIENT_PLIST, &devices[2]),
	    "attached-network-plist.golden");
	assert_golden(client_build_attached(CLIENT_BINARY, &devices[0]),
	    "attached-binary.hex");
	assert_golden(client_build_detached(CLIENT_PLIST, 7),
	    "detached-plist.golden");
	assert_golden(client_build_detached(CLIENT_BINARY, 7),
	    "detached-binary.hex");
	assert_golden(client_build_paired(CLIENT_PLIST, 7),
	    "paired-plist.golden");
	assert_golden(client_build_paired(CLIENT_BINARY, 7),
	    "paired-binary.hex");
}
END_TEST

START_TEST(a_cached_list_takes_another_tag)
{
	struct client_frame frame = client_build_device_list(0, devices, 3);

	client_frame_set_tag(&frame, 5);
	assert_golden(frame, "device-list.golden");
}
END_TEST

static struct client_reply
parse_reply(const char *name)
{
	struct bytes b = golden(name);
	struct client_header h;
	struct client_reply reply;

	ck_assert(client_header_read(&h, b.at, CLIENT_REPLY_MAX));
	ck_assert_uint_eq(h.length, b.len);
	ck_assert_msg(client_reply_parse(&reply, &h, b.at + 16, b.len - 16),
	    "%s is not understood", name);
	free(b.at);
	return reply;
}

static void
assert_device(const struct client_device *got, const struct client_device *want)
{
	ck_assert_uint_eq(got->id, want->id);
	ck_assert_int_eq(got->link, want->link);
	ck_assert_str_eq(got->udid, want->udid);
	ck_assert_uint_eq(got->location, want->location);
	ck_assert_uint_eq(got->product_id, want->product_id);
	ck_assert_uint_eq(got->interface_index, want->interface_index);
	ck_assert_str_eq(got->service, want->service);
	ck_assert_uint_eq(got->address_len, want->address_len);
	ck_assert_mem_eq(got->address, want->address, sizeof got->address);
}

static const struct {
	const char *name;
	enum client_reply_kind kind;
	uint32_t tag;
	uint32_t number; /* result or device */
} simple_replies[] = {
	{ "result-plist.golden", CLIENT_REPLY_RESULT, 3, 0 },
	{ "result-refused-plist.golden", CLIENT_REPLY_RESULT, 4, 3 },
	{ "result-binary.hex", CLIENT_REPLY_RESULT, 3, 0 },
	{ "result-refused-binary.hex", CLIENT_REPLY_RESULT, 4, 3 },
	{ "detached-plist.golden", CLIENT_REPLY_DETACHED, 0, 7 },
	{ "detached-binary.hex", CLIENT_REPLY_DETACHED, 0, 7 },
	{ "paired-plist.golden", CLIENT_REPLY_PAIRED, 0, 7 },
	{ "paired-binary.hex", CLIENT_REPLY_PAIRED, 0, 7 },
};

START_TEST(results_and_notices_are_parsed)
{
	struct client_reply r = parse_reply(simple_replies[_i].name);

	ck_assert_int_eq(r.kind, simple_replies[_i].kind);
	ck_assert_uint_eq(r.tag, simple_replies[_i].tag);
	ck_assert_uint_eq(r.kind == CLIENT_REPLY_RESULT ? r.result
							: r.device_id,
	    simple_replies[_i].number);
	client_reply_fini(&r);
}
END_TEST

START_TEST(devices_are_parsed)
{
	struct client_reply r = parse_reply("attached-plist.golden");

	ck_assert_int_eq(r.kind, CLIENT_REPLY_ATTACHED);
	assert_device(&r.device, &devices[0]);
	ck_assert_uint_eq(r.device.speed, 480000000);
	client_reply_fini(&r);

	r = parse_reply("attached-binary.hex");
	ck_assert_int_eq(r.kind, CLIENT_REPLY_ATTACHED);
	assert_device(&r.device, &devices[0]);
	client_reply_fini(&r);

	r = parse_reply("attached-network-plist.golden");
	assert_device(&r.device, &devices[2]);
	client_reply_fini(&r);

	r = parse_reply("device-list.golden");
	ck_assert_int_eq(r.kind, CLIENT_REPLY_DEVICES);
	ck_assert_uint_eq(r.tag, 5);
	ck_assert_uint_eq(r.count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_device(&r.devices[i], &devices[i]);
		ck_assert_uint_eq(r.devices[i].speed, devices[i].speed);
	}
	client_reply_fini(&r);

	r = parse_reply("device-list-empty.golden");
	ck_assert_int_eq(r.kind, CLIENT_REPLY_DEVICES);
	ck_assert_uint_eq(r.count, 0);
	client_reply_fini(&r);
}
END_TEST

START_TEST(other_answers_are_parsed)
{
	struct client_reply r = parse_reply("listener-list.golden");

	ck_assert_int_eq(r.kind, CLIENT_REPLY_LISTENERS);
	ck_assert_uint_eq(r.count, 2);
	ck_assert_uint_eq(r.listeners[0].number, 12);
	ck_assert_str_eq(r.listeners[0].info.prog_name, "lister");
	ck_assert_str_eq(r.listeners[0].info.bundle_id, "org.example.lister");
	ck_assert_uint_eq(r.listeners[1].number, 40);
	ck_assert_uint_eq(r.listeners[1].info.conn_type, 1);
	client_reply_fini(&r);

	r = parse_reply("buid.golden");
	ck_assert_int_eq(r.kind, CLIENT_REPLY_BUID);
	ck_assert_str_eq((char *)r.data,
	    "5A3F1C80-7B2E-4D19-9C46-0123456789AB");
	client_reply_fini(&r);

	r = parse_reply("record.golden");
	ck_assert_int_eq(r.kind, CLIENT_REPLY_RECORD);
	ck_assert_uint_eq(r.len, strlen(RECORD));
	ck_assert_mem_eq(r.data, RECORD, r.len);
	client_reply_fini(&r);
}
END_TEST

/* ---- Client to daemon ---- */

START_TEST(requests_are_built)
{
	assert_golden(client_ask_listen(CLIENT_PLIST, 1, &self),
	    "ask-listen-plist.golden");
	assert_golden(client_ask_listen(CLIENT_BINARY, 1, &self),
	    "ask-listen-binary.hex");
	assert_golden(client_ask_connect(CLIENT_PLIST, 2, &self, 7, 62078),
	    "ask-connect-plist.golden");
	assert_golden(client_ask_connect(CLIENT_BINARY, 2, &self, 7, 62078),
	    "ask-connect-binary.hex");
	assert_golden(client_ask_simple(CLIENT_LIST_DEVICES, 3, &self),
	    "ask-list-devices.golden");
	assert_golden(client_ask_simple(CLIENT_LIST_LISTENERS, 4, &self),
	    "ask-list-listeners.golden");
	assert_golden(client_ask_simple(CLIENT_READ_BUID, 5, &self),
	    "ask-read-buid.golden");
	assert_golden(client_ask_record(CLIENT_READ_RECORD, 6, &self, UDID),
	    "ask-read-record.golden");
	assert_golden(client_ask_record(CLIENT_DELETE_RECORD, 7, &self, UDID),
	    "ask-delete-record.golden");
	assert_golden(client_ask_save_record(8, &self, UDID, RECORD,
			  strlen(RECORD), 7),
	    "ask-save-record.golden");
}
END_TEST

static const struct {
	const char *name;
	enum client_kind kind;
	uint32_t tag;
} requests[] = {
	{ "ask-listen-plist.golden", CLIENT_LISTEN, 1 },
	{ "ask-listen-binary.hex", CLIENT_LISTEN, 1 },
	{ "ask-connect-plist.golden", CLIENT_CONNECT, 2 },
	{ "ask-connect-binary.hex", CLIENT_CONNECT, 2 },
	{ "ask-list-devices.golden", CLIENT_LIST_DEVICES, 3 },
	{ "ask-list-listeners.golden", CLIENT_LIST_LISTENERS, 4 },
	{ "ask-read-buid.golden", CLIENT_READ_BUID, 5 },
	{ "ask-read-record.golden", CLIENT_READ_RECORD, 6 },
	{ "ask-delete-record.golden", CLIENT_DELETE_RECORD, 7 },
	{ "ask-save-record.golden", CLIENT_SAVE_RECORD, 8 },
};

static void
assert_arguments(const struct client_request *r)
{
	if (r->kind == CLIENT_CONNECT) {
		ck_assert_uint_eq(r->device_id, 7);
		ck_assert_uint_eq(r->port, 62078);
	}
	if (r->kind >= CLIENT_READ_RECORD)
		ck_assert_str_eq(r->record_id, UDID);
	if (r->kind == CLIENT_SAVE_RECORD) {
		ck_assert_uint_eq(r->device_id, 7);
		ck_assert_uint_eq(r->record_len, strlen(RECORD));
		ck_assert_mem_eq(r->record, RECORD, r->record_len);
	}
}

START_TEST(requests_are_parsed)
{
	const char *name = requests[_i].name;
	struct bytes b = golden(name);
	struct client_header h;
	struct client_request r;

	ck_assert(client_header_read(&h, b.at, CLIENT_REQUEST_MAX));
	client_request_parse(&r, &h, b.at + 16, b.len - 16);
	ck_assert_msg(r.kind == requests[_i].kind, "%s: parsed as %s", name,
	    client_kind_name(r.kind));
	ck_assert_uint_eq(r.tag, requests[_i].tag);
	assert_arguments(&r);
	if (strstr(name, ".hex") != NULL) {
		ck_assert_int_eq(r.form, CLIENT_BINARY);
	} else {
		ck_assert_int_eq(r.form, CLIENT_PLIST);
		ck_assert_mem_eq(&r.info, &self, sizeof self);
	}
	client_request_fini(&r);
	free(b.at);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

int
main(void)
{
	Suite *s = suite_create("wire/client golden");
	TCase *tc = tcase_create("messages");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, answers_are_built);
	tcase_add_test(tc, notifications_are_built);
	tcase_add_test(tc, a_cached_list_takes_another_tag);
	tcase_add_loop_test(tc, results_and_notices_are_parsed, 0,
	    COUNT(simple_replies));
	tcase_add_test(tc, devices_are_parsed);
	tcase_add_test(tc, other_answers_are_parsed);
	tcase_add_test(tc, requests_are_built);
	tcase_add_loop_test(tc, requests_are_parsed, 0, COUNT(requests));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
