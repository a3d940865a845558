/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/clock.h"
#include "usbload.h"

/*
 * A program that polls libusb's descriptors beside its own, as usbmuxd does;
 * and many threads that all handle events and all read.
 */

#define FDS_MAX 64
#define READS 50
#define TIME_LIMIT_MS 100

/* ---- One turn of such a program ---- */

static int
limit_ms(struct load *l)
{
	struct timeval tv = { 0 };

	switch (libusb_get_next_timeout(l->ctx, &tv)) {
	case 0:
		return 1000;
	case 1:
		return (int)(tv.tv_sec * 1000 + (tv.tv_usec + 999) / 1000);
	default:
		fault("get_next_timeout failed");
		return 1000;
	}
}

static void
turn(struct load *l)
{
	const struct libusb_pollfd **list = libusb_get_pollfds(l->ctx);
	struct timeval zero = { 0 };
	struct pollfd fds[FDS_MAX];
	nfds_t n = 0;

	if (list == NULL)
		fatal("get_pollfds gives nothing");
	for (; list[n] != NULL && n < FDS_MAX; n++) {
		fds[n].fd = list[n]->fd;
		fds[n].events = list[n]->events;
	}
	libusb_free_pollfds(list);
	poll(fds, n, limit_ms(l));
	expect(0, libusb_handle_events_timeout(l->ctx, &zero),
	    "handle_events_timeout");
}

static void LIBUSB_CALL
turn_done(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;

	expect_status((enum libusb_transfer_status)s->order, t,
	    "a transfer in a program's own poll");
	slot_landed(s);
}

static void
turn_transfers(struct load *l, struct slot *in, struct slot *out)
{
	for (unsigned i = 0; i < READS; i++) {
		in->order = out->order = LIBUSB_TRANSFER_COMPLETED;
		memset(out->buffer, (int)i, out->size);
		expect(0, slot_submit(in), "submit_transfer");
		expect(0, slot_submit(out), "submit_transfer");
		while (in->flying || out->flying)
			turn(l);
		if ((size_t)in->t->actual_length != in->size ||
		    in->buffer[0] != i || in->buffer[in->size - 1] != i)
			fault("read %u gave other bytes", i);
	}
}

static void
turn_time_limits(struct load *l, struct slot *in)
{
	struct moment since;
	int64_t took;

	for (unsigned i = 0; i < 5; i++) {
		in->order = LIBUSB_TRANSFER_TIMED_OUT;
		in->t->timeout = TIME_LIMIT_MS;
		since = clock_now();
		expect(0, slot_submit(in), "submit_transfer");
		while (in->flying)
			turn(l);
		took = moment_ms_between(since, clock_now());
		if (took < TIME_LIMIT_MS || took > TIME_LIMIT_MS + 900)
			fault("a time limit of %d ms took %lld ms",
			    TIME_LIMIT_MS, (long long)took);
	}
	in->t->timeout = 0;
}

/* ---- One that is told of descriptors ---- */

struct known {
	struct {
		int fd;
		short events;
	} at[FDS_MAX];
	size_t n;
	unsigned added, removed;
};

static void LIBUSB_CALL
fd_added(int fd, short events, void *arg)
{
	struct known *k = arg;

	for (size_t i = 0; i < k->n; i++)
		if (k->at[i].fd == fd)
			fault("descriptor %d is added a second time", fd);
	if (k->n == FDS_MAX)
		fatal("too many descriptors");
	k->at[k->n].fd = fd;
	k->at[k->n++].events = events;
	k->added++;
}

static void LIBUSB_CALL
fd_removed(int fd, void *arg)
{
	struct known *k = arg;

	for (size_t i = 0; i < k->n; i++)
		if (k->at[i].fd == fd) {
			k->at[i] = k->at[--k->n];
			k->removed++;
			return;
		}
	fault("descriptor %d is removed and was not there", fd);
}

static void
compare_fds(struct load *l, const struct known *k, const char *when)
{
	const struct libusb_pollfd **list = libusb_get_pollfds(l->ctx);
	size_t n = 0;

	for (; list[n] != NULL; n++) {
		size_t i = 0;

		while (i < k->n && k->at[i].fd != list[n]->fd)
			i++;
		if (i == k->n)
			fault("%s: nobody was told of descriptor %d", when,
			    list[n]->fd);
		else if (k->at[i].events != list[n]->events)
			fault("%s: nobody was told that descriptor %d is "
			    "polled for %d", when, list[n]->fd,
			    list[n]->events);
	}
	if (n != k->n)
		fault("%s: %zu descriptors, and %zu were told of", when, n,
		    k->n);
	libusb_free_pollfds(list);
}

static void
test_notifiers(struct load *l, struct slot *in, struct slot *out)
{
	const struct libusb_pollfd **list = libusb_get_pollfds(l->ctx);
	struct known k = { .n = 0 };

	stage(l->o, "notifiers of descriptors");
	for (size_t i = 0; list[i] != NULL; i++)
		fd_added(list[i]->fd, list[i]->events, &k);
	libusb_free_pollfds(list);
	libusb_set_pollfd_notifiers(l->ctx, fd_added, fd_removed, &k);
	compare_fds(l, &k, "at first");
	for (unsigned i = 0; i < 5; i++) {
		libusb_release_interface(l->dev, 0);
		libusb_close(l->dev);
		compare_fds(l, &k, "after close");
		expect(0, load_find_open(l), "open");
		expect(0, libusb_claim_interface(l->dev, 0),
		    "claim_interface");
		compare_fds(l, &k, "after open");
		in->t->dev_handle = out->t->dev_handle = l->dev;
		turn_transfers(l, in, out);
		compare_fds(l, &k, "after transfers");
	}
	libusb_set_pollfd_notifiers(l->ctx, NULL, NULL, NULL);
}

void
test_pollfds(struct load *l)
{
	struct slot in, out;

	stage(l->o, "a program's own poll");
	slot_init(&in, l, 0, 1024);
	slot_init(&out, l, 1, 1024);
	slot_fill_bulk(&in, EP_IN, turn_done, 0);
	slot_fill_bulk(&out, l->out, turn_done, 0);
	turn_transfers(l, &in, &out);
	stage(l->o, "time limits in a program's own poll");
	turn_time_limits(l, &in);
	test_notifiers(l, &in, &out);
	slot_fini(&in);
	slot_fini(&out);
}

/* ---- Many threads ---- */

struct crowd {
	struct load *l;
	atomic_bool over;
	atomic_ullong moved;
};

static void *
crowd_handle(void *arg)
{
	struct crowd *c = arg;

	while (!atomic_load(&c->over))
		load_events(c->l, 50);
	return NULL;
}

static void
crowd_move(struct crowd *c, uint8_t endpoint, uint8_t *buf)
{
	const struct options *o = c->l->o;
	int moved = 0;

	expect(0, libusb_bulk_transfer(c->l->dev, endpoint, buf, (int)o->size,
	    &moved, 0), "bulk_transfer");
	if ((size_t)moved != o->size)
		fault("bulk_transfer moved %d bytes of %zu", moved, o->size);
	if (content_wrong(buf, (size_t)moved, c->l->packet, o->content) <
	    (size_t)moved)
		fault("wrong bytes");
	atomic_fetch_add(&c->moved, (unsigned long long)moved);
}

static void *
crowd_read(void *arg)
{
	struct crowd *c = arg;
	uint8_t *buf = malloc(c->l->o->size);

	for (unsigned i = 0; buf != NULL && i < c->l->o->count; i++) {
		memset(buf, 0xa5, c->l->o->size);
		crowd_move(c, EP_IN, buf);
	}
	free(buf);
	return NULL;
}

static void *
crowd_write(void *arg)
{
	struct crowd *c = arg;
	uint8_t *buf = malloc(c->l->o->size);

	for (unsigned i = 0; buf != NULL && i < c->l->o->count; i++) {
		content_fill(buf, c->l->o->size, c->l->packet,
		    c->l->o->content);
		crowd_move(c, c->l->out, buf);
	}
	free(buf);
	return NULL;
}

void
run_threads(const struct options *o)
{
	const struct moment since = clock_now();
	pthread_t handlers[THREADS_MAX], readers[THREADS_MAX],
	    writers[THREADS_MAX];
	struct crowd c = { .moved = 0 };
	struct load l;

	load_open(&l, o);
	c.l = &l;
	for (unsigned i = 0; i < o->threads; i++)
		if (pthread_create(&handlers[i], NULL, crowd_handle, &c) != 0 ||
		    pthread_create(&readers[i], NULL, crowd_read, &c) != 0 ||
		    pthread_create(&writers[i], NULL, crowd_write, &c) != 0)
			fatal("no thread");
	for (unsigned i = 0; i < o->threads; i++) {
		stage(o, "threads that read and write");
		pthread_join(readers[i], NULL);
		pthread_join(writers[i], NULL);
	}
	atomic_store(&c.over, true);
	for (unsigned i = 0; i < o->threads; i++)
		pthread_join(handlers[i], NULL);
	load_close(&l);
	result("threads: %u handle events, %u read, %u write: %llu bytes in "
	    "%.2f s", o->threads, o->threads, o->threads,
	    (unsigned long long)c.moved,
	    (double)(clock_now().ns - since.ns) / 1e9);
	if (c.moved != 2ull * o->threads * o->count * o->size)
		fault("%llu bytes were moved", (unsigned long long)c.moved);
}
