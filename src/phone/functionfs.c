/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/functionfs.h"

#include <string.h>

#include "base/cursor.h"

enum {
	STRINGS_MAGIC = 2,
	DESCRIPTORS_MAGIC = 3, /* of version 2 */
};

enum {
	HAS_FULL = 1,
	HAS_HIGH = 2,
	HAS_SUPER = 4,
	EVENT_FD = 32,
	ALL_CTRL_RECIP = 64,
	CONFIG0_SETUP = 128,
};

/* The second word of either blob is its length. */
static size_t
put_length(struct writer *w, uint8_t *blob)
{
	const size_t n = writer_used(w);
	struct writer length = writer_over(blob + 4, 4);

	write_le32(&length, (uint32_t)n);
	return n;
}

size_t
functionfs_descriptors(const struct desc_interface *s, int event_fd,
    uint8_t out[FUNCTIONFS_BLOB_MAX])
{
	struct writer w = writer_over(out, FUNCTIONFS_BLOB_MAX);
	struct desc_interface alone = *s;
	const uint32_t count = 1u + s->endpoint_count;

	alone.number = 0;
	alone.name = 1;
	write_le32(&w, DESCRIPTORS_MAGIC);
	write_le32(&w, 0);
	write_le32(&w, HAS_FULL | HAS_HIGH | HAS_SUPER | EVENT_FD |
	    ALL_CTRL_RECIP | CONFIG0_SETUP);
	write_le32(&w, (uint32_t)event_fd);
	write_le32(&w, count);
	write_le32(&w, count);
	/* Each endpoint has a companion. */
	write_le32(&w, count + s->endpoint_count);
	desc_write_setting(&w, &alone, DESC_FULL);
	desc_write_setting(&w, &alone, DESC_HIGH);
	desc_write_setting(&w, &alone, DESC_SUPER);
	return put_length(&w, out);
}

size_t
functionfs_strings(const char *name, uint8_t out[FUNCTIONFS_BLOB_MAX])
{
	struct writer w = writer_over(out, FUNCTIONFS_BLOB_MAX);

	write_le32(&w, STRINGS_MAGIC);
	write_le32(&w, 0);
	write_le32(&w, 1); /* string */
	write_le32(&w, 1); /* language */
	write_le16(&w, DESC_LANGUAGE);
	write_bytes(&w, name, strlen(name) + 1);
	return put_length(&w, out);
}

void
functionfs_event_parse(struct functionfs_event *e,
    const uint8_t bytes[FUNCTIONFS_EVENT_SIZE])
{
	struct reader r = reader_over(bytes, FUNCTIONFS_EVENT_SIZE);

	read_copy(&r, e->setup, sizeof e->setup);
	e->type = read_u8(&r);
}
