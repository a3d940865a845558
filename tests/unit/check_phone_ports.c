/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The services behind the ports, byte by byte. */
#include <check.h>
#include <plist/plist.h>
#include <string.h>

#include "phone/lockdown.h"
#include "phone/pattern.h"
#include "phone/port.h"
#include "phone/ring.h"
#include "phone_host.h"
#include "unit.h"

static struct host h;
static struct got g;
static uint32_t host_seq, host_ack;

static void
set_up(void)
{
	host_up(&h, 2);
	host_seq = host_ack = 1;
}

static void
take_down(void)
{
	host_fini(&h);
}

/* ---- The pattern -------------------------------------------------------- */

START_TEST(pattern_is_rfc_864)
{
	const char *first =
	    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "[\\]^_`abcdefg\r\n"
	    "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "[\\]^_`abcdefgh\r\n";

	ck_assert_uint_eq(strlen(first), 2 * 74);
	ck_assert_mem_eq(pattern_at(0), first, strlen(first));
	/* The 24th line is the first that wraps round within itself. */
	ck_assert_mem_eq(pattern_at(24 * 74) + 70, "~ \r\n", 4);
	ck_assert_mem_eq(pattern_at(94 * 74), "~ !\"#", 5);
	ck_assert_mem_eq(pattern_at(95 * 74), first, strlen(first));
	ck_assert_ptr_eq(pattern_at(UINT64_C(95) * 74 * 1000000007 + 5),
	    pattern_at(5));
}
END_TEST

/* Any run from anywhere is the same stream. */
START_TEST(pattern_in_one_piece)
{
	for (uint64_t at = 0; at < PATTERN_PERIOD; at++) {
		const uint8_t *run = pattern_at(at);

		HOLDS(run[0] == pattern_at(0)[at], "byte %d", (int)at);
		HOLDS(run[PATTERN_RUN - 1] ==
			pattern_at(at + PATTERN_RUN - 1)[0],
		    "the end of the run from %d", (int)at);
	}
}
END_TEST

/* ---- Ring --------------------------------------------------------------- */

static size_t
take(struct ring *r, uint8_t *into, size_t max)
{
	struct span s[2];
	const size_t n = ring_peek(r, max, s);

	ck_assert_uint_eq(s[0].len + s[1].len, n);
	if (s[0].len > 0)
		memcpy(into, s[0].at, s[0].len);
	if (s[1].len > 0)
		memcpy(into + s[0].len, s[1].at, s[1].len);
	ring_drop(r, n);
	return n;
}

START_TEST(ring_is_a_queue)
{
	static uint8_t in[10000], back[10000];
	struct ring r = { 0 };
	uint8_t next_in = 0, next_out = 0;
	unsigned dice = 1;

	for (int i = 0; i < 5000; i++) {
		size_t n;

		dice = dice * 1103515245 + 12345;
		n = dice >> 16 & 4095;
		for (size_t k = 0; k < n; k++)
			in[k] = next_in++;
		ck_assert(ring_put(&r, in, n));
		dice = dice * 1103515245 + 12345;
		n = take(&r, back, dice >> 16 & 8191);
		for (size_t k = 0; k < n; k++, next_out++)
			HOLDS(back[k] == next_out, "round %d", i);
	}
	ring_fini(&r);
}
END_TEST

START_TEST(ring_is_bounded)
{
	static uint8_t block[1 << 20];
	struct ring r = { 0 };

	for (unsigned i = 0; i < RING_MAX / sizeof block; i++)
		ck_assert(ring_put(&r, block, sizeof block));
	ck_assert(!ring_put(&r, block, 1));
	ck_assert_uint_eq(r.used, RING_MAX);
	ring_fini(&r);
}
END_TEST

/* ---- Streams ------------------------------------------------------------ */

START_TEST(chargen_is_exact)
{
	uint64_t at = 0;

	host_connect(&h, 5, 19, 400);
	while (at < 3000000) {
		host_get_tcp(&h, &g, 5, ACK);
		ck_assert_uint_eq(g.seq, 1 + at);
		ck_assert_mem_eq(g.data, pattern_at(at), g.data_len);
		at += g.data_len;
		host_tcp(&h, 5, 19, 1, 1 + (uint32_t)at, ACK, 400, NULL, 0);
	}
	host_behaved(&h);
}
END_TEST

START_TEST(chargen_hears_nothing)
{
	host_connect(&h, 5, 19, 0);
	host_tcp(&h, 5, 19, 1, 1, ACK, 0, "abc", 3);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.ack, 4);
	ck_assert_uint_eq(g.data_len, 0);
	host_nothing(&h);
}
END_TEST

START_TEST(burst_is_exact)
{
	size_t at = 0;

	host_connect(&h, 5, 13, HOST_WINDOW);
	while (at < PORT_BURST_LEN) {
		host_get_tcp(&h, &g, 5, ACK);
		ck_assert_mem_eq(g.data, pattern_at(at), g.data_len);
		at += g.data_len;
	}
	ck_assert_uint_eq(at, PORT_BURST_LEN);
	host_get_tcp(&h, &g, 5, RST);
	ck_assert_uint_eq(g.seq, 1 + PORT_BURST_LEN);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

/* ---- Lockdown ----------------------------------------------------------- */

static plist_t
make_request(const char *request, const char *key, const char *value)
{
	plist_t dict = plist_new_dict();

	if (request != NULL)
		plist_dict_set_item(dict, "Request",
		    plist_new_string(request));
	if (key != NULL)
		plist_dict_set_item(dict, key, plist_new_string(value));
	return dict;
}

static void
send_framed(const void *bytes, size_t len)
{
	static uint8_t framed[60000];

	framed[0] = framed[1] = 0;
	framed[2] = (uint8_t)(len >> 8);
	framed[3] = (uint8_t)len;
	memcpy(framed + 4, bytes, len);
	host_tcp(&h, 5, 62078, host_seq, host_ack, ACK, HOST_WINDOW, framed,
	    len + 4);
	host_seq += (uint32_t)len + 4;
}

/* Takes one answer in the form that was asked in. */
static plist_t
get_answer(bool binary)
{
	plist_t answer = NULL;
	uint32_t len;

	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.seq, host_ack);
	ck_assert_uint_eq(g.ack, host_seq);
	ck_assert_uint_ge(g.data_len, 4);
	len = (uint32_t)g.data[2] << 8 | g.data[3];
	ck_assert_uint_eq(g.data_len, len + 4);
	ck_assert(plist_is_binary((const char *)g.data + 4, len) == binary);
	if (binary)
		plist_from_bin((const char *)g.data + 4, len, &answer);
	else
		plist_from_xml((const char *)g.data + 4, len, &answer);
	ck_assert_ptr_nonnull(answer);
	host_ack += (uint32_t)g.data_len;
	return answer;
}

/* Sends the request, which it frees, and returns the answer. */
static plist_t
ask(plist_t request, bool binary)
{
	char *bytes = NULL;
	uint32_t len = 0;

	if (h.mux.live == 0)
		host_connect(&h, 5, 62078, HOST_WINDOW);
	if (binary) {
		plist_to_bin(request, &bytes, &len);
		send_framed(bytes, len);
		plist_to_bin_free(bytes);
	} else {
		plist_to_xml(request, &bytes, &len);
		send_framed(bytes, len);
		plist_to_xml_free(bytes);
	}
	plist_free(request);
	return get_answer(binary);
}

static void
expect_text(plist_t answer, const char *key, const char *text)
{
	const char *is = lockdown_text(answer, key);

	ck_assert_msg(is != NULL, "no %s in the answer", key);
	ck_assert_str_eq(is, text);
}

static void
expect_error(plist_t request, const char *error)
{
	plist_t answer = ask(request, false);

	expect_text(answer, "Error", error);
	plist_free(answer);
}

START_TEST(query_type)
{
	plist_t answer = ask(make_request("QueryType", NULL, NULL), _i != 0);

	expect_text(answer, "Request", "QueryType");
	expect_text(answer, "Type", "com.apple.mobile.lockdown");
	ck_assert_ptr_null(plist_dict_get_item(answer, "Error"));
	plist_free(answer);
	host_behaved(&h);
}
END_TEST

START_TEST(usual_values)
{
	static const char *const keys[] = {
		"DeviceName", "ProductVersion", "ProductType", "BuildVersion",
		"UniqueDeviceID", "DeviceClass", "HardwareModel",
		"SerialNumber", "WiFiAddress", "CPUArchitecture",
		"ProductName", "ActivationState", "TimeZone",
	};
	plist_t all = ask(make_request("GetValue", NULL, NULL), false);
	plist_t values = plist_dict_get_item(all, "Value");

	ck_assert_uint_eq(plist_get_node_type(values), PLIST_DICT);
	for (int i = 0; i < UNIT_COUNT(keys); i++) {
		plist_t one = ask(make_request("GetValue", "Key", keys[i]),
		    true);

		expect_text(one, "Key", keys[i]);
		expect_text(values, keys[i], lockdown_text(one, "Value"));
		plist_free(one);
	}
	expect_text(values, "UniqueDeviceID", h.id.udid);
	ck_assert_uint_eq(strlen(lockdown_text(values, "WiFiAddress")), 17);
	plist_free(all);
	host_behaved(&h);
}
END_TEST

START_TEST(values_of_a_domain)
{
	plist_t request = make_request("GetValue", "Domain",
	    "com.apple.mobile.battery");
	plist_t answer, value;
	uint64_t n = 0;

	plist_dict_set_item(request, "Key",
	    plist_new_string("BatteryCurrentCapacity"));
	answer = ask(request, false);
	plist_get_uint_val(plist_dict_get_item(answer, "Value"), &n);
	ck_assert_uint_eq(n, 100);
	plist_free(answer);

	answer = ask(make_request("GetValue", "Domain", "com.apple.disk_usage"),
	    false);
	value = plist_dict_get_item(answer, "Value");
	ck_assert_uint_eq(plist_get_node_type(value), PLIST_DICT);
	ck_assert_ptr_null(plist_dict_get_item(value, "DeviceName"));
	plist_free(answer);
	expect_error(make_request("GetValue", "Domain", "org.example"),
	    "MissingValue");
	expect_error(make_request("GetValue", "Key", "NoSuchKey"),
	    "MissingValue");
}
END_TEST

START_TEST(services)
{
	static const struct {
		const char *name;
		uint64_t port;
	} known[] = {
		{ "org.muxd.echo", 7 },
		{ "org.muxd.discard", 9 },
		{ "org.muxd.chargen", 19 },
	};

	for (int i = 0; i < UNIT_COUNT(known); i++) {
		plist_t answer = ask(make_request("StartService", "Service",
		    known[i].name), false);
		uint64_t port = 0;

		plist_get_uint_val(plist_dict_get_item(answer, "Port"), &port);
		ck_assert_uint_eq(port, known[i].port);
		expect_text(answer, "Service", known[i].name);
		plist_free(answer);
	}
	expect_error(make_request("StartService", "Service", "org.muxd.none"),
	    "InvalidService");
	expect_error(make_request("StartService", "Service", "com.apple.afc"),
	    "SessionInactive");
	expect_error(make_request("StartService", NULL, NULL),
	    "MissingService");
}
END_TEST

START_TEST(errors)
{
	expect_error(make_request("StartSession", "HostID", "x"),
	    "InvalidHostID");
	expect_error(make_request("StartSession", NULL, NULL),
	    "MissingHostID");
	expect_error(make_request("StopSession", "SessionID", "x"),
	    "SessionInactive");
	expect_error(make_request("Pair", NULL, NULL), "MissingPairRecord");
	expect_error(make_request("Pair", "PairRecord", "x"),
	    "UserDeniedPairing");
	expect_error(make_request("ValidatePair", "PairRecord", "x"),
	    "InvalidHostID");
	expect_error(make_request("SetValue", "Key", "DeviceName"),
	    "MissingValue");
	expect_error(make_request("NoSuchThing", NULL, NULL),
	    "UnknownRequest");
	expect_error(make_request(NULL, "Key", "DeviceName"),
	    "MissingRequest");
	host_behaved(&h);
}
END_TEST

START_TEST(untrusted_buid)
{
	plist_t request = make_request("SetValue", "Key", "UntrustedHostBUID");
	plist_t answer;

	plist_dict_set_item(request, "Value", plist_new_string("some-buid"));
	answer = ask(request, false);
	expect_text(answer, "Value", "some-buid");
	ck_assert_ptr_null(plist_dict_get_item(answer, "Error"));
	plist_free(answer);
	answer = ask(make_request("Goodbye", NULL, NULL), false);
	expect_text(answer, "Result", "Success");
	plist_free(answer);
}
END_TEST

static const char request_text[] =
    "<plist version=\"1.0\"><dict><key>Request</key>"
    "<string>QueryType</string></dict></plist>";

/* The stream may be cut anywhere. */
START_TEST(lockdown_in_pieces)
{
	const size_t len = sizeof request_text - 1;
	uint8_t framed[4 + sizeof request_text];
	plist_t answer;

	memcpy(framed, (const uint8_t[]){ 0, 0, 0, (uint8_t)len }, 4);
	memcpy(framed + 4, request_text, len);
	host_connect(&h, 5, 62078, HOST_WINDOW);
	for (size_t i = 0; i < len + 4; i++) {
		host_tcp(&h, 5, 62078, host_seq++, 1, ACK, HOST_WINDOW,
		    framed + i, 1);
		if (i < len + 3)
			host_get_tcp(&h, &g, 5, ACK);
	}
	answer = get_answer(false);
	expect_text(answer, "Request", "QueryType");
	plist_free(answer);
	host_behaved(&h);
}
END_TEST

START_TEST(lockdown_several_at_once)
{
	const size_t len = sizeof request_text - 1;
	uint8_t many[50 * (4 + sizeof request_text)], *p = many;
	size_t answered = 0;

	for (int i = 0; i < 50; i++, p += 4 + len) {
		memcpy(p, (const uint8_t[]){ 0, 0, 0, (uint8_t)len }, 4);
		memcpy(p + 4, request_text, len);
	}
	host_connect(&h, 5, 62078, HOST_WINDOW);
	host_tcp(&h, 5, 62078, 1, 1, ACK, HOST_WINDOW, many,
	    (size_t)(p - many));
	host_get_tcp(&h, &g, 5, ACK);
	for (size_t at = 0; at < g.data_len; answered++) {
		ck_assert_uint_le(at + 4, g.data_len);
		at += 4 + ((size_t)g.data[at + 2] << 8 | g.data[at + 3]);
		ck_assert_uint_le(at, g.data_len);
	}
	ck_assert_uint_eq(answered, 50);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

static void
expect_reset(const void *bytes, size_t len)
{
	host_connect(&h, 5, 62078, HOST_WINDOW);
	host_tcp(&h, 5, 62078, 1, 1, ACK, HOST_WINDOW, bytes, len);
	host_get_tcp(&h, &g, 5, RST);
	host_nothing(&h);
	host_behaved(&h);
	ck_assert_uint_eq(h.mux.live, 0);
}

START_TEST(lockdown_nonsense)
{
	switch (_i) {
	case 0:
		expect_reset("\0\0\0\5hello", 9);
		break;
	case 1:
		expect_reset("\0\0\0\0", 4);
		break;
	case 2:
		expect_reset("\xff\xff\xff\xff", 4);
		break;
	case 3:
		expect_reset("\0\0\0\10bplist00", 12);
		break;
	}
}
END_TEST

/* Lists that are deep enough to end a parser that trusts them. */
START_TEST(lockdown_deep_nesting)
{
	static uint8_t bytes[49000];
	size_t at = 4;

	while (at + 7 <= sizeof bytes) {
		memcpy(bytes + at, "<array>", 7);
		at += 7;
	}
	bytes[2] = (uint8_t)((at - 4) >> 8);
	bytes[3] = (uint8_t)(at - 4);
	expect_reset(bytes, at);
}
END_TEST

/* A client that asks and does not read gets no more than a window to ask. */
START_TEST(lockdown_backlog)
{
	static const char all[] =
	    "<plist version=\"1.0\"><dict><key>Request</key>"
	    "<string>GetValue</string></dict></plist>";
	const size_t len = sizeof all - 1;
	uint8_t one[4 + sizeof all];
	uint32_t seq = 1;
	unsigned asked = 0;

	memcpy(one, (const uint8_t[]){ 0, 0, 0, (uint8_t)len }, 4);
	memcpy(one + 4, all, len);
	host_connect(&h, 5, 62078, 0); /* takes nothing */
	while (seq + len + 4 < 1 + MUX_WINDOW_USUAL) {
		host_tcp(&h, 5, 62078, seq, 1, ACK, 0, one, len + 4);
		seq += (uint32_t)len + 4;
		asked++;
		while (mux_next(&h.mux)) {
			host_get_tcp(&h, &g, 5, ACK);
			ck_assert_uint_eq(g.data_len, 0);
		}
	}
	host_behaved(&h);
	ck_assert_uint_gt(asked, 500);
	/* Not all of it has been acknowledged: the answers would be too many. */
	ck_assert_uint_lt(g.ack, seq / 2);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/ports");
	TCase *t = tcase_create("bytes");

	tcase_add_checked_fixture(t, set_up, take_down);
	tcase_add_test(t, pattern_is_rfc_864);
	tcase_add_test(t, pattern_in_one_piece);
	tcase_add_test(t, ring_is_a_queue);
	tcase_add_test(t, ring_is_bounded);
	suite_add_tcase(s, t);

	t = tcase_create("streams");
	tcase_add_checked_fixture(t, set_up, take_down);
	tcase_add_test(t, chargen_is_exact);
	tcase_add_test(t, chargen_hears_nothing);
	tcase_add_test(t, burst_is_exact);
	suite_add_tcase(s, t);

	t = tcase_create("lockdown");
	tcase_add_checked_fixture(t, set_up, take_down);
	tcase_add_loop_test(t, query_type, 0, 2);
	tcase_add_test(t, usual_values);
	tcase_add_test(t, values_of_a_domain);
	tcase_add_test(t, services);
	tcase_add_test(t, errors);
	tcase_add_test(t, untrusted_buid);
	tcase_add_test(t, lockdown_in_pieces);
	tcase_add_test(t, lockdown_several_at_once);
	tcase_add_loop_test(t, lockdown_nonsense, 0, 4);
	tcase_add_test(t, lockdown_deep_nesting);
	tcase_add_test(t, lockdown_backlog);
	suite_add_tcase(s, t);
	return unit_run(s);
}
