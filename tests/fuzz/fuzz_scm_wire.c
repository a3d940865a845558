/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "wire/scm.h"

/*
 * A device's stream.  Whatever is split where, the same messages come out of
 * it; and each that is well-formed is written and read again as the same.
 */

#define MESSAGES_MAX 512

struct stream {
	size_t count;
	uint64_t hashes[MESSAGES_MAX];
	bool lost;
	struct cause why;
};

static uint64_t
mix(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len-- > 0)
		hash = (hash ^ *at++) * UINT64_C(1099511628211);
	return hash;
}

#define MIX(hash, field) mix(hash, &(field), sizeof(field))

/* All that a message says, but for the payload of a WRITE. */
static uint64_t
hash_of(const struct scm_message *m)
{
	uint64_t h = UINT64_C(14695981039346656037);

	h = MIX(h, m->op);
	h = MIX(h, m->id);
	h = MIX(h, m->sock);
	h = MIX(h, m->malformed);
	if (m->malformed)
		return h;
	h = MIX(h, m->family);
	h = MIX(h, m->protocol);
	h = MIX(h, m->code);
	h = MIX(h, m->answered);
	h = MIX(h, m->address.family);
	h = MIX(h, m->address.port);
	h = mix(h, m->address.ip, sizeof m->address.ip);
	h = MIX(h, m->address.flow);
	h = MIX(h, m->address.scope);
	h = MIX(h, m->level);
	h = MIX(h, m->name);
	h = MIX(h, m->request);
	h = MIX(h, m->room);
	if (m->op == SCM_WRITE)
		return MIX(h, m->total);
	h = MIX(h, m->len);
	return mix(h, m->data, m->len);
}

/* What we write is what we read. */
static void
check_again(const struct scm_format *f, const struct scm_message *m)
{
	uint8_t bytes[SCM_MESSAGE_ROOM(SCM_SMALL_MAX)];
	struct writer w = writer_over(bytes, sizeof bytes);
	struct scm_splitter s;
	struct scm_message again;
	struct cause why;
	struct reader r;

	MUST(scm_message_write(&w, f, m));
	if (m->op == SCM_WRITE)
		return;
	r = reader_over(bytes, writer_used(&w));
	scm_splitter_init(&s, f);
	MUST(scm_split(&s, &r, &again, &why) == SCM_SPLIT_MESSAGE);
	MUST(reader_left(&r) == 0);
	again.total = m->total; /* the longer forms become the shorter */
	if (m->op == SCM_REPLY && m->len < 4)
		return; /* one without a result gets one */
	MUST(hash_of(&again) == hash_of(m));
}

static void
note(struct stream *out, const struct scm_format *f,
    const struct scm_message *m, uint64_t *data)
{
	if (m->op == SCM_WRITE) {
		MUST(m->len <= m->total && m->left <= m->total - m->len);
		*data = mix(*data, m->data, m->len);
		if (m->left > 0)
			return;
	} else {
		MUST(m->len <= SCM_SMALL_MAX);
	}
	MUST(m->op < SCM_OP_COUNT && m->total <= SCM_PAYLOAD_MAX);
	if (!m->malformed)
		check_again(f, m);
	if (out->count < MESSAGES_MAX)
		out->hashes[out->count++] = hash_of(m) ^ *data;
	*data = 0;
}

static void
read_stream(struct stream *out, const struct scm_format *f,
    const uint8_t *bytes, size_t len, size_t part)
{
	uint64_t data = 0;
	struct scm_splitter s;

	scm_splitter_init(&s, f);
	out->count = 0;
	out->lost = false;
	while (len > 0 && !out->lost) {
		const size_t n = len < part ? len : part;
		struct reader r = reader_over(bytes, n);
		struct scm_message m;
		enum scm_split v;

		while ((v = scm_split(&s, &r, &m, &out->why)) ==
		    SCM_SPLIT_MESSAGE)
			note(out, f, &m, &data);
		MUST(v == SCM_SPLIT_LOST || reader_left(&r) == 0);
		out->lost = v == SCM_SPLIT_LOST;
		bytes += n;
		len -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct stream whole, parts;
	struct reader r = reader_over(bytes, len);
	const uint8_t first = read_u8(&r);
	const size_t part = 1 + read_u8(&r);
	const struct scm_format f = {
		.dialect = first & 1 ? SCM_12 : SCM_8,
		.little_addresses = (first & 2) != 0,
	};

	if (r.bad)
		return 0;
	read_stream(&whole, &f, r.at, reader_left(&r), len);
	read_stream(&parts, &f, r.at, reader_left(&r), part);
	MUST(whole.count == parts.count);
	MUST(memcmp(whole.hashes, parts.hashes,
	    whole.count * sizeof whole.hashes[0]) == 0);
	MUST(whole.lost == parts.lost);
	MUST(!whole.lost || strcmp(whole.why.text, parts.why.text) == 0);
	return 0;
}
