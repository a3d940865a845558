/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/plist_guard.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/cursor.h"

/* ---- Binary ---- */

#define BPLIST_MAGIC "bplist00"
#define BPLIST_MAGIC_SIZE 8
#define BPLIST_TRAILER_SIZE 32
#define BPLIST_DEPTH_MAX 8 /* bound of this file's own recursion */

struct bplist {
	const uint8_t *bytes;
	size_t table;	    /* where the offset table starts: objects end */
	size_t table_end;   /* the trailer's start */
	unsigned offset_size; /* bytes of an offset in the table */
	unsigned ref_size;    /* bytes of a reference in a container */
	uint64_t objects;
	uint64_t root;
	unsigned depth_max;
	unsigned nodes_left;
};

/* A big-endian number of `size` bytes, 1 to 8. */
static uint64_t
read_be(struct reader *r, unsigned size)
{
	uint64_t v = 0;

	while (size-- > 0)
		v = v << 8 | read_u8(r);
	return v;
}

static bool
bplist_open(struct bplist *b, const uint8_t *bytes, size_t len)
{
	struct reader r;
	uint64_t table;

	if (len < BPLIST_MAGIC_SIZE + BPLIST_TRAILER_SIZE)
		return false;
	b->bytes = bytes;
	b->table_end = len - BPLIST_TRAILER_SIZE;
	r = reader_over(bytes + b->table_end, BPLIST_TRAILER_SIZE);
	read_bytes(&r, 6);
	b->offset_size = read_u8(&r);
	b->ref_size = read_u8(&r);
	b->objects = read_be(&r, 8);
	b->root = read_be(&r, 8);
	table = read_be(&r, 8);
	if (b->offset_size < 1 || b->offset_size > 8 || b->ref_size < 1 ||
	    b->ref_size > 8 || b->objects < 1 || b->root >= b->objects ||
	    table < BPLIST_MAGIC_SIZE || table > b->table_end ||
	    b->objects > (b->table_end - table) / b->offset_size)
		return false;
	b->table = (size_t)table;
	return true;
}

/* A reader over the objects' bytes, at object `index`. */
static struct reader
bplist_object(const struct bplist *b, uint64_t index)
{
	const size_t entry = (size_t)index * b->offset_size;
	struct reader r = reader_over(b->bytes + b->table + entry,
	    b->table_end - b->table - entry);
	const uint64_t at = read_be(&r, b->offset_size);

	if (r.bad || at < BPLIST_MAGIC_SIZE || at >= b->table) {
		r.bad = true;
		return r;
	}
	return reader_over(b->bytes + at, b->table - (size_t)at);
}

/* How many references stand in the container behind `marker`, of which each
 * item of a dictionary needs two; or 0 with r->bad. */
static uint64_t
bplist_references(struct reader *r, uint8_t marker)
{
	uint64_t items = marker & 0x0f;
	uint8_t size;

	if (items == 0x0f) { /* the count follows as an integer object */
		size = read_u8(r);
		if ((size & 0xf0) != 0x10 || (size & 0x0f) > 3)
			r->bad = true;
		else
			items = read_be(r, 1u << (size & 0x0f));
	}
	if (items > UINT32_MAX)
		r->bad = true;
	return r->bad ? 0 : marker >> 4 == 0xd ? items * 2 : items;
}

/* Takes object `index`, and all that is inside it, off the budget.  Recursion
 * ends at depth_max, and the sum of all visits at nodes_left, so that neither
 * a cycle nor an avalanche of shared objects goes far. */
static bool
bplist_visit(struct bplist *b, uint64_t index, unsigned depth)
{
	struct reader r;
	uint64_t references;
	uint8_t marker;

	if (b->nodes_left == 0 || index >= b->objects)
		return false;
	b->nodes_left--;
	r = bplist_object(b, index);
	marker = read_u8(&r);
	if (r.bad)
		return false;
	if (marker >> 4 != 0xa && marker >> 4 != 0xc && marker >> 4 != 0xd)
		return true; /* a leaf: array, set and dictionary are not */
	if (depth == b->depth_max)
		return false;
	references = bplist_references(&r, marker);
	for (uint64_t i = 0; i < references && !r.bad; i++) {
		const uint64_t inner = read_be(&r, b->ref_size);

		if (r.bad || !bplist_visit(b, inner, depth + 1))
			return false;
	}
	return !r.bad;
}

static bool
bplist_within(const uint8_t *bytes, size_t len, struct plist_limits limits)
{
	struct bplist b = { .nodes_left = limits.nodes,
		.depth_max = limits.depth < BPLIST_DEPTH_MAX
		    ? limits.depth
		    : BPLIST_DEPTH_MAX };

	return bplist_open(&b, bytes, len) && bplist_visit(&b, b.root, 0);
}

/* ---- XML ---- */

struct xml_shape {
	struct plist_limits limits;
	unsigned depth;
	unsigned nodes;
	unsigned entities;
};

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
name_is(const uint8_t *name, size_t len, const char *wanted)
{
	return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

/*
 * Follows the tag whose '<' has just been read.  The depth must never be lower
 * than what libplist takes it to be.  So once a container is open, a tag is a
 * name and nothing else: no attribute, comment, CDATA or instruction, inside
 * which this scan and libplist might see a closing tag differently.  Before
 * that nothing can close.
 */
static bool
xml_tag(struct xml_shape *x, struct reader *r)
{
	const uint8_t *name;
	bool closing, empty, container;
	size_t len = 0;

	if (reader_left(r) == 0)
		return false;
	if (*r->at == '?' || *r->at == '!')
		return x->depth == 0;
	closing = *r->at == '/';
	if (closing)
		r->at++;
	name = r->at;
	while (len < reader_left(r) && name[len] >= 'a' && name[len] <= 'z')
		len++;
	r->at += len;
	container = name_is(name, len, "dict") || name_is(name, len, "array");
	if (x->depth == 0 && !container)
		return true;

	while (reader_left(r) > 0 && is_space(*r->at))
		r->at++;
	empty = reader_left(r) > 0 && *r->at == '/';
	if (empty)
		r->at++;
	if (read_u8(r) != '>')
		return false;
	if (!container || (empty && !closing))
		return true;
	if (closing)
		return !empty && x->depth-- > 0;
	return x->depth++ < x->limits.depth;
}

static bool
xml_within(const uint8_t *bytes, size_t len, struct plist_limits limits)
{
	struct xml_shape x = { .limits = limits };
	struct reader r = reader_over(bytes, len);

	while (reader_left(&r) > 0) {
		const uint8_t c = read_u8(&r);

		/* Each value has an opening and a closing tag, and a key may
		 * double both; the prologue has a few. */
		if (c == '<' &&
		    (x.nodes++ / 4 > limits.nodes || !xml_tag(&x, &r)))
			return false;
		if (c == '&' && x.entities++ == PLIST_ENTITIES_MAX)
			return false;
	}
	return true;
}

/* ---- Both ---- */

plist_t
plist_guard_parse(const void *bytes, size_t len, struct plist_limits limits)
{
	plist_t list = NULL;

	if (len == 0 || len > UINT32_MAX)
		return NULL;
	if (len >= BPLIST_MAGIC_SIZE &&
	    memcmp(bytes, BPLIST_MAGIC, BPLIST_MAGIC_SIZE) == 0) {
		if (bplist_within(bytes, len, limits))
			plist_from_bin(bytes, (uint32_t)len, &list);
	} else if (xml_within(bytes, len, limits)) {
		plist_from_xml(bytes, (uint32_t)len, &list);
	}
	if (list != NULL && plist_get_node_type(list) != PLIST_DICT) {
		plist_free(list);
		list = NULL;
	}
	return list;
}
