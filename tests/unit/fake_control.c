/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The fake source as a test sees it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_transport_int.h"
#include "unit.h"

typedef bool condition(const struct fake *f, unsigned n);

static void
await(struct fake *f, condition *c, unsigned n, const char *what)
{
	const struct timespec until = fake_after_ms(UNIT_PATIENCE_MS);
	bool in_time = true;

	pthread_mutex_lock(&f->lock);
	while (!c(f, n) && in_time)
		in_time = fake_wait_change(f, &until);
	in_time = c(f, n);
	pthread_mutex_unlock(&f->lock);
	HOLDS(in_time, "waited in vain: %s", what);
}

/* ---- For the test ---- */

void
fake_init(struct fake *f, const char *key)
{
	pthread_condattr_t attr;

	memset(f, 0, sizeof *f);
	f->source.ops = &fake_source_ops;
	f->source.name = "fake";
	snprintf(f->ident.key, sizeof f->ident.key, "%s", key);
	f->ident.vendor = 0x05ac;
	f->ident.product = 0x12a8;
	f->ident.bus = 1;
	f->ident.ports[0] = 3;
	f->ident.port_count = 1;
	f->ident.speed = USB_SPEED_HIGH;
	f->max_packet = FAKE_MAX_PACKET;
	f->reads_end = &f->reads;
	f->writes_end = &f->writes;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->changed, &attr);
	pthread_condattr_destroy(&attr);
}

void
fake_fini(struct fake *f)
{
	ck_assert_ptr_null(f->open);
	while (f->reads != NULL) {
		struct fake_read *r = f->reads;

		f->reads = r->next;
		free(r);
	}
	while (f->writes != NULL) {
		struct fake_write *w = f->writes;

		f->writes = w->next;
		free(w);
	}
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
}

static void
add_read(struct fake *f, enum usb_pipe pipe, int error, bool for_ever,
    const void *bytes, uint32_t len)
{
	struct fake_read *r = malloc(sizeof *r + len);

	HOLDS(r != NULL && len <= CHUNK_SIZE, "a read of %u bytes", len);
	r->next = NULL;
	r->error = error;
	r->for_ever = for_ever;
	r->pipe = pipe;
	r->len = len;
	if (len > 0)
		memcpy(r->bytes, bytes, len);
	pthread_mutex_lock(&f->lock);
	*f->reads_end = r;
	f->reads_end = &r->next;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void
fake_read(struct fake *f, const void *bytes, uint32_t len)
{
	add_read(f, USB_PIPE_BULK, 0, false, bytes, len);
}

void
fake_read_error(struct fake *f, int error)
{
	add_read(f, USB_PIPE_BULK, error, false, NULL, 0);
}

void
fake_read_of(struct fake *f, enum usb_pipe pipe, int error)
{
	add_read(f, pipe, error, false, NULL, 0);
}

void
fake_read_error_for_ever(struct fake *f, int error)
{
	add_read(f, USB_PIPE_BULK, error, true, NULL, 0);
}

void
fake_packet(struct fake *f, const void *bytes, uint32_t len)
{
	const uint8_t *at = bytes;
	uint32_t left = len;

	for (; left >= CHUNK_SIZE; left -= CHUNK_SIZE, at += CHUNK_SIZE)
		fake_read(f, at, CHUNK_SIZE);
	if (left > 0 || len % FAKE_MAX_PACKET == 0)
		fake_read(f, at, left);
}

static bool
has_write(const struct fake *f, unsigned n)
{
	(void)n;
	return f->writes != NULL;
}

struct fake_write *
fake_await_write(struct fake *f)
{
	struct fake_write *w;

	await(f, has_write, 0, "a frame to be written");
	pthread_mutex_lock(&f->lock);
	w = f->writes;
	f->writes = w->next;
	if (f->writes == NULL)
		f->writes_end = &f->writes;
	pthread_mutex_unlock(&f->lock);
	return w;
}

bool
fake_no_write(struct fake *f)
{
	bool none;

	pthread_mutex_lock(&f->lock);
	none = f->writes == NULL;
	pthread_mutex_unlock(&f->lock);
	return none;
}

void
fake_set_writing(struct fake *f, enum fake_writing writing)
{
	pthread_mutex_lock(&f->lock);
	f->writing = writing;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void
fake_complete(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	if (f->open != NULL)
		fake_move_all(&f->open->completed_end, &f->open->in_flight,
		    &f->open->in_flight_end);
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static bool
reads_are_done(const struct fake *f, unsigned n)
{
	(void)n;
	return f->reads == NULL;
}

void
fake_await_reads_done(struct fake *f)
{
	await(f, reads_are_done, 0, "all reads to be read");
}

static bool
is_blocked(const struct fake *f, unsigned n)
{
	(void)n;
	return f->open != NULL && f->open->writers > 0 &&
	    f->writing == FAKE_BLOCKS;
}

void
fake_await_blocked(struct fake *f)
{
	await(f, is_blocked, 0, "a write to block");
}

static bool
has_started(const struct fake *f, unsigned n)
{
	return f->opens >= n && f->open != NULL && f->open->started;
}

void
fake_await_started(struct fake *f, unsigned opens)
{
	await(f, has_started, opens, "the transport to be started");
}

static bool
is_watched(const struct fake *f, unsigned n)
{
	(void)n;
	return f->listener != NULL;
}

void
fake_await_watched(struct fake *f)
{
	await(f, is_watched, 0, "a monitor");
}

void
fake_hold_looks(struct fake *f, bool hold)
{
	pthread_mutex_lock(&f->lock);
	f->holds_looks = hold;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static bool
has_been_asked(const struct fake *f, unsigned n)
{
	return f->rescans >= n;
}

void
fake_await_rescans(struct fake *f, unsigned count)
{
	await(f, has_been_asked, count, "a rescan");
}

void
fake_plug(struct fake *f)
{
	f->listener->arrived(f->listener, &f->ident);
}

void
fake_unplug(struct fake *f)
{
	f->listener->left(f->listener, f->ident.key);
}
