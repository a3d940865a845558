/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Messages of the Socket Control Model, byte for byte, at every split. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scm_golden.h"
#include "unit.h"

/* ---- Golden messages ---------------------------------------------------- */

START_TEST(a_message_is_written_as_on_the_wire)
{
	const struct scm_golden *g = &scm_goldens[_i];
	uint8_t golden[SCM_GOLDEN_MAX], bytes[SCM_GOLDEN_MAX];
	const size_t len = scm_unhex(golden, g->hex);
	struct writer w = writer_over(bytes, sizeof bytes);

	if (g->read_only)
		return;
	ck_assert(scm_message_write(&w, &g->format, &g->message));
	if (g->message.op == SCM_WRITE)
		write_bytes(&w, g->message.data, g->message.len);
	ck_assert_msg(writer_used(&w) == len, "%s: %zu bytes", g->what,
	    writer_used(&w));
	ck_assert_mem_eq(bytes, golden, len);
	ck_assert_uint_le(len, SCM_MESSAGE_ROOM(g->message.len));
}
END_TEST

START_TEST(a_message_needs_all_its_room)
{
	const struct scm_golden *g = &scm_goldens[_i];
	uint8_t bytes[SCM_GOLDEN_MAX];
	size_t len = scm_unhex(bytes, g->hex);

	if (g->read_only)
		return;
	if (g->message.op == SCM_WRITE)
		len -= g->message.len;
	for (size_t room = 0; room < len; room++) {
		uint8_t *exact = malloc(room + 1);
		struct writer w = writer_over(exact, room);

		HOLDS(!scm_message_write(&w, &g->format, &g->message),
		    "%s fits into %zu bytes", g->what, room);
		free(exact);
	}
}
END_TEST

static bool
same_address(const struct scm_address *a, const struct scm_address *b)
{
	return a->family == b->family && a->port == b->port &&
	    a->flow == b->flow && a->scope == b->scope &&
	    memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static void
assert_same(const char *what, const struct scm_message *m,
    const struct scm_message *want)
{
	HOLDS(m->op == want->op, "%s: it is %s", what, scm_op_name(m->op));
	HOLDS(m->id == want->id, "%s: its id is %u", what, m->id);
	HOLDS(m->sock == want->sock, "%s: its socket is %u", what, m->sock);
	HOLDS(m->malformed == want->malformed, "%s: malformed or not", what);
	if (want->malformed)
		return;
	HOLDS(m->family == want->family, "%s: family %u", what, m->family);
	HOLDS(m->protocol == want->protocol, "%s: protocol %u", what,
	    m->protocol);
	HOLDS(m->code == want->code, "%s: code %d", what, m->code);
	HOLDS(m->answered == want->answered, "%s: answers another", what);
	HOLDS(same_address(&m->address, &want->address), "%s: address", what);
	HOLDS(m->level == want->level && m->name == want->name, "%s: option",
	    what);
	HOLDS(m->request == want->request, "%s: request", what);
	HOLDS(m->room == want->room, "%s: room", what);
	HOLDS(m->len == want->len, "%s: %u bytes of data", what, m->len);
	HOLDS(m->len == 0 || memcmp(m->data, want->data, m->len) == 0,
	    "%s: other data", what);
}

/* Reads what is there to the end; each message is handed to `take`. */
typedef void taker(void *arg, const struct scm_message *m);

static enum scm_split
feed(struct scm_splitter *s, const uint8_t *bytes, size_t len, taker *take,
    void *arg)
{
	/* A copy of its own, so that a sanitizer sees reads beyond it. */
	uint8_t *input = malloc(len > 0 ? len : 1);
	struct reader in = reader_over(input, len);
	struct scm_message m;
	struct cause why;
	enum scm_split v;

	memcpy(input, bytes, len);
	while ((v = scm_split(s, &in, &m, &why)) == SCM_SPLIT_MESSAGE)
		take(arg, &m);
	HOLDS(v == SCM_SPLIT_LOST || reader_left(&in) == 0,
	    "%zu bytes are left", reader_left(&in));
	free(input);
	return v;
}

struct expected {
	const struct scm_golden *const *list;
	size_t at;
	uint8_t data[64]; /* of a WRITE so far */
	uint32_t have;
};

static void
expect(void *arg, const struct scm_message *m)
{
	struct expected *e = arg;
	const struct scm_golden *g = e->list[e->at];
	struct scm_message whole = *m;

	if (m->op == SCM_WRITE) {
		HOLDS(m->total == g->message.total, "%s: total", g->what);
		HOLDS(e->have + m->len + m->left == m->total,
		    "%s: a part that does not fit", g->what);
		if (m->len > 0)
			memcpy(e->data + e->have, m->data, m->len);
		e->have += m->len;
		if (m->left > 0) {
			HOLDS(m->len > 0, "%s: an empty part", g->what);
			return;
		}
		whole.data = e->data;
		whole.len = e->have;
		e->have = 0;
	}
	assert_same(g->what, &whole, &g->message);
	e->at++;
}

START_TEST(a_message_is_read_at_every_split)
{
	const struct scm_golden *g = &scm_goldens[_i];
	uint8_t bytes[SCM_GOLDEN_MAX];
	const size_t len = scm_unhex(bytes, g->hex);

	for (size_t a = 0; a <= len; a++) {
		for (size_t b = a; b <= len; b++) {
			struct expected e = { .list = &g };
			struct scm_splitter s;

			scm_splitter_init(&s, &g->format);
			feed(&s, bytes, a, expect, &e);
			HOLDS(scm_splitter_is_inside(&s) == (a > 0 && a < len),
			    "%s: inside at %zu", g->what, a);
			feed(&s, bytes + a, b - a, expect, &e);
			feed(&s, bytes + b, len - b, expect, &e);
			HOLDS(e.at == 1, "%s, split at %zu and %zu: %zu "
			    "messages", g->what, a, b, e.at);
			HOLDS(!scm_splitter_is_inside(&s), "%s", g->what);
		}
	}
}
END_TEST

/* Two, three and all of them in one transfer, and that transfer split at every
 * offset of its first 64 bytes, and into bytes. */
static void
read_row(const struct scm_format *f, const struct scm_golden **list, size_t n)
{
	uint8_t *bytes = malloc(n * SCM_GOLDEN_MAX);
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += scm_unhex(bytes + len, list[i]->hex);
	for (size_t at = 0; at <= 64 && at <= len; at++) {
		struct expected e = { .list = list };
		struct scm_splitter s;

		scm_splitter_init(&s, f);
		feed(&s, bytes, at, expect, &e);
		feed(&s, bytes + at, len - at, expect, &e);
		HOLDS(e.at == n, "split at %zu: %zu of %zu", at, e.at, n);
	}
	for (size_t size = 1; size < 9; size++) {
		struct expected e = { .list = list };
		struct scm_splitter s;

		scm_splitter_init(&s, f);
		for (size_t at = 0; at < len; at += size)
			feed(&s, bytes + at, len - at < size ? len - at : size,
			    expect, &e);
		HOLDS(e.at == n, "in parts of %zu: %zu of %zu", size, e.at, n);
	}
	free(bytes);
}

START_TEST(several_messages_come_in_one_transfer)
{
	const struct scm_format f = { .dialect = (enum scm_dialect)_i };
	const struct scm_golden *list[128];
	size_t n = 0;

	for (size_t i = 0; i < scm_golden_count; i++)
		if (scm_goldens[i].format.dialect == f.dialect &&
		    !scm_goldens[i].format.little_addresses)
			list[n++] = &scm_goldens[i];
	ck_assert_uint_gt(n, 15);
	for (size_t i = 0; i + 1 < n; i++)
		read_row(&f, list + i, 2);
	for (size_t i = 0; i + 2 < n; i++)
		read_row(&f, list + i, 3);
	read_row(&f, list, n);
}
END_TEST

/* ---- What is no message ------------------------------------------------- */

static void
none(void *arg, const struct scm_message *m)
{
	(void)arg;
	ck_abort_msg("a %s", scm_op_name(m->op));
}

START_TEST(every_other_opcode_ends_the_stream)
{
	for (uint32_t opcode = 0; opcode < 0x10000; opcode++) {
		const struct scm_format f = { .dialect = (enum scm_dialect)_i };
		const bool known = _i == SCM_8
		    ? (opcode & 0xff) <= 8
		    : opcode <= 6 || opcode == 0xffff;
		uint8_t bytes[12] = { (uint8_t)opcode, (uint8_t)(opcode >> 8) };
		struct reader in =
		    reader_over(bytes, scm_header_len(f.dialect));
		struct scm_splitter s;
		struct scm_message m;
		struct cause why = { "" };
		enum scm_split v;

		scm_splitter_init(&s, &f);
		v = scm_split(&s, &in, &m, &why);
		HOLDS((v == SCM_SPLIT_LOST) == !known, "opcode %u", opcode);
		HOLDS(known || strstr(why.text, "opcode") != NULL, "%s",
		    why.text);
	}
}
END_TEST

static const struct {
	uint32_t length;
	bool lost;
} lengths[] = {
	{ 0, false }, { 1, false }, { SCM_PAYLOAD_MAX, false },
	{ SCM_PAYLOAD_MAX + 1, true }, { 0x7fffffff, true },
	{ 0x80000000, true }, { 0xfffffff8, true }, { 0xffffffff, true },
};

START_TEST(a_length_is_believed_up_to_a_bound)
{
	const int32_t opcodes[2][2] = { { 3, 8 }, { 3, 0xffff } };

	for (int d = 0; d < 2; d++) {
		for (int o = 0; o < 2; o++) {
			const struct scm_format f = {
				.dialect = (enum scm_dialect)d };
			uint8_t bytes[12];
			struct writer w = writer_over(bytes, sizeof bytes);
			struct scm_splitter s;

			write_le16(&w, (uint16_t)opcodes[d][o]);
			write_le16(&w, 0);
			if (d == SCM_12)
				write_le32(&w, 0);
			write_le32(&w, lengths[_i].length);
			scm_splitter_init(&s, &f);
			ck_assert(lengths[_i].length == 0 ||
			    feed(&s, bytes, scm_header_len(f.dialect), none,
				NULL) == (lengths[_i].lost
				    ? SCM_SPLIT_LOST
				    : SCM_SPLIT_MORE));
		}
	}
}
END_TEST

/* Nothing is read out of a stream that is lost. */
START_TEST(a_lost_stream_stays_lost)
{
	static const uint8_t bytes[] = { 9, 0, 0, 0, 0, 0, 0, 0, 4, 1, 1, 0, 0,
		0, 0, 0 };
	const struct scm_format f = { .dialect = SCM_8 };
	struct scm_splitter s;

	scm_splitter_init(&s, &f);
	ck_assert_int_eq(feed(&s, bytes, sizeof bytes, none, NULL),
	    SCM_SPLIT_LOST);
	ck_assert_int_eq(feed(&s, bytes + 8, 8, none, NULL), SCM_SPLIT_LOST);
}
END_TEST

static void
count_malformed(void *arg, const struct scm_message *m)
{
	ck_assert(m->op == SCM_ACK || m->malformed);
	++*(int *)arg;
}

/* The stream goes on behind a payload that is too long for its message. */
START_TEST(a_long_payload_is_read_over)
{
	const struct scm_format f = { .dialect = SCM_8 };

	for (uint32_t len = SCM_SMALL_MAX - 1; len <= 1000; len += 83) {
		const size_t all = 8 + len + 8;
		uint8_t *bytes = calloc(1, all);
		struct writer w = writer_over(bytes, all);
		struct scm_splitter s;
		int n = 0;

		write_u8(&w, SCM_CONNECT);
		write_zeros(&w, 3);
		write_le32(&w, len);
		bytes[8 + len] = SCM_ACK;
		for (size_t cut = 0; cut <= all; cut += 7) {
			n = 0;
			scm_splitter_init(&s, &f);
			feed(&s, bytes, cut, count_malformed, &n);
			feed(&s, bytes + cut, all - cut, count_malformed, &n);
			HOLDS(n == 2, "%u bytes cut at %zu: %d", len, cut, n);
		}
		free(bytes);
	}
}
END_TEST

/* ---- Numbers ------------------------------------------------------------ */

static const struct {
	int32_t code;
	uint8_t wire;
	int32_t back;
} codes[] = {
	{ SCM_OK, 0, SCM_OK },
	{ SCM_EINVAL, 2, SCM_EINVAL },
	{ SCM_ECONNREFUSED, 3, SCM_ECONNREFUSED },
	{ SCM_EPROTONOSUPPORT, 4, SCM_EPROTONOSUPPORT },
	{ SCM_EAFNOSUPPORT, 4, SCM_EPROTONOSUPPORT },
	{ SCM_ENETUNREACH, 5, SCM_ENETUNREACH },
	{ SCM_EHOSTUNREACH, 5, SCM_ENETUNREACH },
	{ SCM_ETIMEDOUT, 6, SCM_ETIMEDOUT },
	{ SCM_ENOTCONN, 8, SCM_ENOTCONN },
	{ SCM_EPIPE, 8, SCM_ENOTCONN },
	{ SCM_EEXIST, 1, SCM_EIO },
	{ SCM_EBADF, 1, SCM_EIO },
	{ -4095, 1, SCM_EIO },
};

static void
keep_code(void *arg, const struct scm_message *m)
{
	*(int32_t *)arg = m->code;
}

START_TEST(dialect_12_has_codes_of_its_own)
{
	const struct scm_format f = { .dialect = SCM_12 };
	const struct scm_message m = { .op = SCM_ACK, .code = codes[_i].code,
		.answered = SCM_CONNECT };
	uint8_t bytes[32];
	struct writer w = writer_over(bytes, sizeof bytes);
	struct scm_splitter s;
	int32_t back = 1;

	ck_assert(scm_message_write(&w, &f, &m));
	ck_assert_uint_eq(bytes[14], codes[_i].wire);
	scm_splitter_init(&s, &f);
	feed(&s, bytes, writer_used(&w), keep_code, &back);
	ck_assert_int_eq(back, codes[_i].back);
}
END_TEST

START_TEST(errno_numbers_are_linux_on_the_wire)
{
	static const struct {
		int error;
		int32_t code;
	} pairs[] = { { 0, 0 }, { ECONNREFUSED, -111 }, { ETIMEDOUT, -110 },
		{ ENETUNREACH, -101 }, { EHOSTUNREACH, -113 },
		{ EPROTONOSUPPORT, -93 }, { EAFNOSUPPORT, -97 },
		{ EINVAL, -22 }, { EBADF, -9 }, { ENOTCONN, -107 },
		{ EPIPE, -32 }, { EACCES, -13 }, { EPERM, -13 },
		{ EMFILE, -24 }, { ENFILE, -24 }, { ENOBUFS, -105 },
		{ ECONNRESET, -104 }, { ENOPROTOOPT, -92 }, { EXDEV, -5 },
		{ 123456, -5 } };

	for (int i = 0; i < UNIT_COUNT(pairs); i++)
		ck_assert_int_eq(scm_code_of_errno(pairs[i].error),
		    pairs[i].code);
}
END_TEST

START_TEST(a_dialect_has_only_its_own_messages)
{
	static const struct {
		struct scm_format f;
		struct scm_message m;
	} foreign[] = {
		{ { .dialect = SCM_8 }, { .op = SCM_SHUTDOWN } },
		{ { .dialect = SCM_8 }, { .op = SCM_NOOP } },
		{ { .dialect = SCM_8 }, { .op = SCM_ACK, .id = 256 } },
		{ { .dialect = SCM_8 }, { .op = SCM_ACK, .sock = 256 } },
		{ { .dialect = SCM_12 }, { .op = SCM_SETOPT } },
		{ { .dialect = SCM_12 }, { .op = SCM_GETOPT } },
		{ { .dialect = SCM_12 }, { .op = SCM_IOCTL } },
		{ { .dialect = SCM_12 },
		    { .op = SCM_ACK, .answered = SCM_SETOPT } },
	};

	for (int i = 0; i < UNIT_COUNT(foreign); i++) {
		uint8_t bytes[64];
		struct writer w = writer_over(bytes, sizeof bytes);

		HOLDS(!scm_message_write(&w, &foreign[i].f, &foreign[i].m),
		    "number %d is written", i);
		HOLDS(w.bad, "number %d", i);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm wire");
	TCase *tc = tcase_create("golden");

	tcase_add_loop_test(tc, a_message_is_written_as_on_the_wire, 0,
	    (int)scm_golden_count);
	tcase_add_loop_test(tc, a_message_needs_all_its_room, 0,
	    (int)scm_golden_count);
	tcase_add_loop_test(tc, a_message_is_read_at_every_split, 0,
	    (int)scm_golden_count);
	tcase_add_loop_test(tc, several_messages_come_in_one_transfer, SCM_8,
	    SCM_12 + 1);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_add_loop_test(tc, every_other_opcode_ends_the_stream, SCM_8,
	    SCM_12 + 1);
	tcase_add_loop_test(tc, a_length_is_believed_up_to_a_bound, 0,
	    UNIT_COUNT(lengths));
	tcase_add_test(tc, a_lost_stream_stays_lost);
	tcase_add_test(tc, a_long_payload_is_read_over);
	suite_add_tcase(s, tc);
	tc = tcase_create("numbers");
	tcase_add_loop_test(tc, dialect_12_has_codes_of_its_own, 0,
	    UNIT_COUNT(codes));
	tcase_add_test(tc, errno_numbers_are_linux_on_the_wire);
	tcase_add_test(tc, a_dialect_has_only_its_own_messages);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
