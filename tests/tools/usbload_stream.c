/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "muxload_stream.h"
#include "usbload.h"

/*
 * Streams with many transfers in flight, every byte compared.  One thread
 * handles events, so what the callbacks share needs no lock; that they are not
 * called at the same time is checked.
 */

struct stream {
	struct load *l;
	uint8_t endpoint;
	bool loop; /* position counts, not the device's pattern */
	uint64_t goal, asked, moved, transfers;
	uint64_t next_in, next_out; /* order of submission, of completion */
	bool inside;		    /* a callback */
	uint8_t *wanted;
	struct slot slots[DEPTH_MAX];
};

/* How much the next transfer is to move; 0: no more is needed. */
static size_t
stream_next(struct stream *st, const struct slot *s)
{
	const uint64_t left = st->goal - st->asked;

	if (st->endpoint == EP_IN && st->loop) /* shorter ones may come */
		return st->moved < st->goal ? s->size : 0;
	return left < s->size ? (size_t)left : s->size;
}

static void
stream_submit(struct stream *st, struct slot *s)
{
	const size_t len = stream_next(st, s);
	int rc;

	if (len == 0)
		return;
	s->t->length = (int)len;
	if (st->endpoint != EP_IN && st->loop)
		stream_fill(s->buffer, st->l->o->seed, st->asked, len);
	else if (st->endpoint == EP_IN)
		memset(s->buffer, 0xa5, s->size);
	s->order = st->next_in++;
	st->asked += len;
	rc = slot_submit(s);
	if (rc != 0)
		fatal("submit_transfer: %s", libusb_error_name(rc));
}

/* A read must have filled its buffer from the pattern, or carry the stream on
 * from where it was. */
static void
stream_compare(struct stream *st, const struct slot *s, size_t len)
{
	size_t at = len;

	if (st->loop) {
		if (st->moved + len > st->goal)
			fatal("more came back than was written");
		stream_fill(st->wanted, st->l->o->seed, st->moved, len);
		if (memcmp(st->wanted, s->buffer, len) != 0)
			for (at = 0; s->buffer[at] == st->wanted[at]; at++)
				continue;
	} else {
		at = content_wrong(s->buffer, len, st->l->packet,
		    st->l->o->content);
	}
	if (at < len)
		fatal("byte %llu, in transfer %llu of %zu bytes, is wrong: "
		    "0x%02x", (unsigned long long)(st->moved + at),
		    (unsigned long long)s->order, len, s->buffer[at]);
}

static void LIBUSB_CALL
stream_done(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;
	struct stream *st = s->mode;
	const size_t len = (size_t)t->actual_length;

	if (st->inside)
		fault("two callbacks at the same time");
	st->inside = true;
	slot_landed(s);
	if (t->status == LIBUSB_TRANSFER_CANCELLED && st->moved == st->goal) {
		st->inside = false; /* of the loop's last reads */
		return;
	}
	if (s->order != st->next_out++)
		fault("transfer %llu ended before %llu",
		    (unsigned long long)s->order,
		    (unsigned long long)st->next_out - 1);
	if (t->status != LIBUSB_TRANSFER_COMPLETED)
		fatal("transfer %llu ended with status %d after %llu bytes",
		    (unsigned long long)s->order, (int)t->status,
		    (unsigned long long)st->moved);
	if (!st->loop && len != (size_t)t->length)
		fatal("%zu bytes of %d were moved", len, t->length);
	if (st->endpoint == EP_IN)
		stream_compare(st, s, len);
	st->moved += len;
	st->transfers++;
	stream_submit(st, s);
	st->inside = false;
}

static struct stream *
stream_start(struct load *l, uint8_t endpoint, bool loop)
{
	struct stream *st = calloc(1, sizeof *st);
	const struct options *o = l->o;

	if (st == NULL || (st->wanted = malloc(o->size)) == NULL)
		fatal("out of memory");
	st->l = l;
	st->endpoint = endpoint;
	st->loop = loop;
	st->goal = o->bytes;
	for (unsigned i = 0; i < o->depth; i++) {
		struct slot *s = &st->slots[i];

		slot_init(s, l, i, o->size);
		s->mode = st;
		slot_fill_bulk(s, endpoint, stream_done, 0);
		if (endpoint != EP_IN && !loop)
			content_fill(s->buffer, s->size, l->packet, o->content);
	}
	for (unsigned i = 0; i < o->depth; i++)
		stream_submit(st, &st->slots[i]);
	return st;
}

static void
stream_end(struct stream *st)
{
	const struct options *o = st->l->o;

	for (unsigned i = 0; i < o->depth; i++)
		if (st->slots[i].flying)
			expect(0, libusb_cancel_transfer(st->slots[i].t),
			    "cancel_transfer");
	slots_wait(st->l, st->slots, o->depth, "the last transfers");
	for (unsigned i = 0; i < o->depth; i++)
		slot_fini(&st->slots[i]);
	free(st->wanted);
	free(st);
}

static void
stream_report(const struct stream *st, const char *what, struct moment since)
{
	const double s = (double)(clock_now().ns - since.ns) / 1e9;
	const struct options *o = st->l->o;

	result("%s: %llu bytes in %.2f s, %.1f MB/s, %llu transfers of up to "
	    "%zu bytes, %u in flight", what, (unsigned long long)st->moved, s,
	    (double)st->moved / 1e6 / s, (unsigned long long)st->transfers,
	    o->size, o->depth);
}

/* Handles events until `st` is done; progress renews the patience. */
static void
stream_finish(struct stream *st, const char *what)
{
	uint64_t before = UINT64_MAX;

	while (st->moved < st->goal) {
		if (st->moved != before)
			stage(st->l->o, what);
		before = st->moved;
		load_events(st->l, 1000);
	}
}

static void
run_one_way(const struct options *o, bool in, const char *what)
{
	const struct moment since = clock_now();
	struct load l;
	struct stream *st;

	load_open(&l, o);
	st = stream_start(&l, in ? EP_IN : l.out, false);
	stream_finish(st, what);
	stream_report(st, what, since);
	stream_end(st);
	load_close(&l);
}

void
run_async_in(const struct options *o)
{
	run_one_way(o, true, "in");
}

void
run_async_out(const struct options *o)
{
	run_one_way(o, false, "out");
}

void
run_loop(const struct options *o)
{
	struct moment since;
	struct load l;
	struct stream *in, *out;

	load_open(&l, o);
	since = clock_now();
	in = stream_start(&l, EP_IN, true);
	out = stream_start(&l, l.out, true);
	stream_finish(out, "loop: out");
	stream_finish(in, "loop: in");
	stream_report(in, "loop", since);
	stream_end(out);
	stream_end(in);
	load_close(&l);
}
