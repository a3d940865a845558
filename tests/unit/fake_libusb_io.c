/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stand-in's transfers and events. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "fake_libusb_int.h"

/* ---- Lists ---- */

static struct fake_transfer *
fake_of(struct libusb_transfer *x)
{
	return (struct fake_transfer *)((char *)x -
	    offsetof(struct fake_transfer, x));
}

void
list_append(struct list *l, struct fake_transfer *t)
{
	if (l->end == NULL)
		l->end = &l->first;
	t->next = NULL;
	*l->end = t;
	l->end = &t->next;
}

struct fake_transfer *
list_take_first(struct list *l)
{
	struct fake_transfer *t = l->first;

	if (t == NULL)
		return NULL;
	l->first = t->next;
	if (l->first == NULL)
		l->end = &l->first;
	return t;
}

bool
list_take_out(struct list *l, struct fake_transfer *t)
{
	for (struct fake_transfer **at = &l->first; *at != NULL;
	     at = &(*at)->next) {
		if (*at != t)
			continue;
		*at = t->next;
		if (*at == NULL)
			l->end = at;
		return true;
	}
	return false;
}

/* ---- Completion (under the lock) ---- */

void
fake_complete(struct fake_transfer *t, int status, int actual)
{
	t->x.status = (enum libusb_transfer_status)status;
	t->x.actual_length = actual;
	t->state = DONE;
	list_append(&t->ctx->done, t);
	pthread_cond_broadcast(&t->ctx->wake);
}

void
fake_answer_reads(struct fake_device *d)
{
	while (d->answers != NULL && d->reads.first != NULL && !d->halted) {
		struct answer *a = d->answers;
		struct fake_transfer *t = list_take_first(&d->reads);

		RULE(a->length <= t->x.length);
		if (a->length > 0)
			memset(t->x.buffer, a->byte, (size_t)a->length);
		fake_complete(t, a->status, a->length);
		d->answers = a->next;
		if (d->answers == NULL)
			d->answers_end = &d->answers;
		free(a);
		d->halted = t->x.status == LIBUSB_TRANSFER_STALL;
	}
}

void
fake_finish_writes(struct fake_device *d)
{
	while (!d->held && d->writes.first != NULL) {
		struct fake_transfer *t = list_take_first(&d->writes);
		const int status = d->next_write;

		d->next_write = 0;
		fake_complete(t, status, status == 0 ? t->x.length : 0);
	}
}

static void
note_write(struct fake_device *d, const struct libusb_transfer *x)
{
	struct fake_written *w = &d->written[d->written_count++];

	RULE(d->written_count < FAKE_WRITES_MAX);
	w->length = x->length;
	w->number = 0;
	for (int i = 0; i < 4 && i < x->length; i++)
		w->number |= (uint32_t)x->buffer[i] << 8 * i;
}

/* ---- libusb: transfers ---- */

struct libusb_transfer *
libusb_alloc_transfer(int iso_packets)
{
	struct fake_transfer *t = calloc(1, sizeof *t +
	    (size_t)iso_packets * sizeof t->x.iso_packet_desc[0]);

	RULE(t != NULL);
	pthread_mutex_lock(&fake.lock);
	fake.counts.transfers++;
	pthread_mutex_unlock(&fake.lock);
	return &t->x;
}

void
libusb_free_transfer(struct libusb_transfer *x)
{
	if (x == NULL)
		return;
	pthread_mutex_lock(&fake.lock);
	RULE(fake_of(x)->state == IDLE);
	fake.counts.transfers--;
	pthread_mutex_unlock(&fake.lock);
	free(fake_of(x));
}

/* Control transfers are kept with those that go out. */
static struct list *
list_of(struct fake_device *d, const struct fake_transfer *t)
{
	return (t->x.endpoint & 0x80) != 0 ? &d->reads : &d->writes;
}

void
fake_on_transfer(struct fake_device *d, fake_transfer_fn *fn)
{
	pthread_mutex_lock(&fake.lock);
	d->transfer = fn;
	pthread_mutex_unlock(&fake.lock);
}

static struct fake_transfer *
take_first_of(struct list *l, uint8_t endpoint)
{
	struct fake_transfer *t = l->first;

	while (t != NULL && t->x.endpoint != endpoint)
		t = t->next;
	if (t != NULL)
		list_take_out(l, t);
	return t;
}

bool
fake_finish(struct fake_device *d, uint8_t endpoint, int status, int actual)
{
	struct fake_transfer *t;

	pthread_mutex_lock(&fake.lock);
	t = take_first_of((endpoint & 0x80) != 0 ? &d->reads : &d->writes,
	    endpoint);
	if (t != NULL)
		fake_complete(t, status, actual);
	pthread_mutex_unlock(&fake.lock);
	return t != NULL;
}

/* The test has a say in what becomes of it. */
static void
hand_over(struct fake_device *d, struct fake_transfer *t)
{
	if (d->transfer(d, &t->x))
		fake_complete(t, (int)t->x.status, t->x.actual_length);
	else
		list_append(list_of(d, t), t);
}

static int
submit(struct fake_device *d, struct fake_transfer *t)
{
	if (!d->plugged)
		return LIBUSB_ERROR_NO_DEVICE;
	if (fake.memory >= 0 && fake.memory_used + t->x.length > fake.memory)
		return LIBUSB_ERROR_NO_MEM;
	RULE(t->state == IDLE);
	fake.memory_used += t->x.length;
	fake.counts.in_flight++;
	t->ctx = t->x.dev_handle->device->ctx;
	t->state = FLYING;
	if (d->transfer != NULL) {
		hand_over(d, t);
	} else if (t->x.endpoint & 0x80) {
		list_append(&d->reads, t);
		fake_answer_reads(d);
	} else {
		note_write(d, &t->x);
		list_append(&d->writes, t);
		fake_finish_writes(d);
	}
	return 0;
}

int
libusb_submit_transfer(struct libusb_transfer *x)
{
	int r;

	pthread_mutex_lock(&fake.lock);
	r = submit(x->dev_handle->device->d, fake_of(x));
	pthread_mutex_unlock(&fake.lock);
	return r;
}

/* What was written later could come without it. */
static bool
makes_a_hole(const struct fake_transfer *t)
{
	const struct fake_transfer *later = t->next;

	if ((t->x.endpoint & 0x80) != 0)
		return false;
	while (later != NULL && later->x.endpoint != t->x.endpoint)
		later = later->next;
	return later != NULL;
}

int
libusb_cancel_transfer(struct libusb_transfer *x)
{
	struct fake_transfer *t = fake_of(x);
	struct fake_device *d;
	int r = LIBUSB_ERROR_NOT_FOUND;

	pthread_mutex_lock(&fake.lock);
	if (t->state == FLYING) {
		d = x->dev_handle->device->d;
		r = 0;
		fake.counts.cancels++;
		fake.counts.holes += makes_a_hole(t);
		if (!d->jammed &&
		    (list_take_out(&d->reads, t) || list_take_out(&d->writes, t)))
			fake_complete(t, LIBUSB_TRANSFER_CANCELLED, 0);
	}
	pthread_mutex_unlock(&fake.lock);
	return r;
}

/* ---- libusb: events ---- */

static bool
has_something(const libusb_context *c)
{
	return c->interrupted || c->done.first != NULL ||
	    (c->hotplug != NULL && c->events > 0);
}

static void
wait_for_something(libusb_context *c, const struct timeval *tv)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += tv->tv_sec;
	until.tv_nsec += (long)tv->tv_usec * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (!has_something(c))
		if (pthread_cond_timedwait(&c->wake, &fake.lock, &until) ==
		    ETIMEDOUT)
			break;
}

int
libusb_handle_events_timeout_completed(libusb_context *c, struct timeval *tv,
    int *completed)
{
	struct fake_transfer *t;
	int events;

	RULE(completed == NULL);
	pthread_mutex_lock(&fake.lock);
	RULE(!fake.locked);
	wait_for_something(c, tv);
	c->interrupted = false;
	events = c->hotplug != NULL ? c->events : 0;
	c->events = 0;
	for (int i = 0; i < events; i++) {
		pthread_mutex_unlock(&fake.lock);
		c->hotplug(c, NULL, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED,
		    c->hotplug_arg);
		pthread_mutex_lock(&fake.lock);
	}
	/* At most so many at a time, as the real one. */
	for (int i = 0; i < 25 && (t = list_take_first(&c->done)) != NULL; i++) {
		t->state = IDLE;
		fake.memory_used -= t->x.length;
		fake.counts.in_flight--;
		pthread_mutex_unlock(&fake.lock);
		t->x.callback(&t->x);
		pthread_mutex_lock(&fake.lock);
	}
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

/* One descriptor a context, the number of which is all that it is. */
int
libusb_pollfds_handle_timeouts(libusb_context *c)
{
	(void)c;
	return !fake.timerless;
}

const struct libusb_pollfd **
libusb_get_pollfds(libusb_context *c)
{
	static struct libusb_pollfd one = { .events = POLLIN };
	const struct libusb_pollfd **all = calloc(2, sizeof *all);

	(void)c;
	one.fd = fake.poll_fd != 0 ? fake.poll_fd : FAKE_POLL_FD;
	if (all != NULL)
		all[0] = &one;
	return all;
}

void
libusb_free_pollfds(const struct libusb_pollfd **pollfds)
{
	free(pollfds);
}

void
libusb_interrupt_event_handler(libusb_context *c)
{
	pthread_mutex_lock(&fake.lock);
	c->interrupted = true;
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&fake.lock);
}
