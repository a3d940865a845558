/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake_libusb.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A rule of libusb was broken. */
#define RULE(claim)                                                     \
	do {                                                            \
		if (!(claim)) {                                         \
			fprintf(stderr, "fake libusb: not so: %s\n",    \
			    #claim);                                    \
			abort();                                        \
		}                                                       \
	} while (0)

enum state { IDLE, FLYING, DONE };

struct fake_transfer {
	struct fake_transfer *next;
	enum state state;
	struct libusb_context *ctx;
	struct libusb_transfer x; /* last: it ends in a flexible array */
};

struct list {
	struct fake_transfer *first, **end;
};

struct answer {
	struct answer *next;
	int status, length;
	uint8_t byte;
};

struct fake_device {
	struct fake_device *next;
	struct fake_spec spec;
	bool plugged, held, jammed;
	bool halted; /* IN: nothing more until it is cleared */
	int configuration, next_write;
	fake_control *control;
	struct list reads, writes;   /* in flight, oldest first */
	struct answer *answers, **answers_end; /* that nobody has read yet */
	struct fake_written *written;
	int written_count;
};

struct libusb_device {
	int refs;
	struct fake_device *d;
	libusb_context *ctx;
};

struct libusb_device_handle {
	libusb_device *device;
};

struct libusb_context {
	struct libusb_context *next;
	struct list done;
	bool interrupted;
	libusb_hotplug_callback_fn hotplug;
	void *hotplug_arg;
	int events; /* that the callback has not heard of */
	pthread_cond_t wake;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct libusb_context *contexts;
static struct fake_device *devices;
static struct fake_counts counts = { .configuration = -1, .claimed = -1,
	.released = -1 };
static bool has_hotplug = true;
static int init_error, open_error, slowness;
static long memory = -1, memory_used;

/* ---- Lists ---- */

static struct fake_transfer *
fake_of(struct libusb_transfer *x)
{
	return (struct fake_transfer *)((char *)x -
	    offsetof(struct fake_transfer, x));
}

static void
append(struct list *l, struct fake_transfer *t)
{
	if (l->end == NULL)
		l->end = &l->first;
	t->next = NULL;
	*l->end = t;
	l->end = &t->next;
}

static struct fake_transfer *
take_first(struct list *l)
{
	struct fake_transfer *t = l->first;

	if (t == NULL)
		return NULL;
	l->first = t->next;
	if (l->first == NULL)
		l->end = &l->first;
	return t;
}

static bool
take_out(struct list *l, struct fake_transfer *t)
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

static void
complete(struct fake_transfer *t, int status, int actual)
{
	t->x.status = (enum libusb_transfer_status)status;
	t->x.actual_length = actual;
	t->state = DONE;
	append(&t->ctx->done, t);
	pthread_cond_broadcast(&t->ctx->wake);
}

static void
answer_reads(struct fake_device *d)
{
	while (d->answers != NULL && d->reads.first != NULL && !d->halted) {
		struct answer *a = d->answers;
		struct fake_transfer *t = take_first(&d->reads);

		RULE(a->length <= t->x.length);
		if (a->length > 0)
			memset(t->x.buffer, a->byte, (size_t)a->length);
		complete(t, a->status, a->length);
		d->answers = a->next;
		if (d->answers == NULL)
			d->answers_end = &d->answers;
		free(a);
		d->halted = t->x.status == LIBUSB_TRANSFER_STALL;
	}
}

static void
finish_writes(struct fake_device *d)
{
	while (!d->held && d->writes.first != NULL) {
		struct fake_transfer *t = take_first(&d->writes);
		const int status = d->next_write;

		d->next_write = 0;
		complete(t, status, status == 0 ? t->x.length : 0);
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

static void
tell_contexts(void)
{
	for (struct libusb_context *c = contexts; c != NULL; c = c->next) {
		c->events++;
		pthread_cond_broadcast(&c->wake);
	}
}

/* ---- What the test calls ---- */

struct fake_device *
fake_plug(const struct fake_spec *spec)
{
	struct fake_device *d = calloc(1, sizeof *d);

	RULE(d != NULL);
	d->spec = *spec;
	d->plugged = true;
	d->configuration = 1;
	d->answers_end = &d->answers;
	d->written = calloc(FAKE_WRITES_MAX, sizeof *d->written);
	RULE(d->written != NULL);
	pthread_mutex_lock(&lock);
	d->next = devices;
	devices = d;
	tell_contexts();
	pthread_mutex_unlock(&lock);
	return d;
}

void
fake_unplug(struct fake_device *d)
{
	struct fake_transfer *t;

	pthread_mutex_lock(&lock);
	d->plugged = false;
	while ((t = take_first(&d->reads)) != NULL)
		complete(t, LIBUSB_TRANSFER_NO_DEVICE, 0);
	while ((t = take_first(&d->writes)) != NULL)
		complete(t, LIBUSB_TRANSFER_NO_DEVICE, 0);
	tell_contexts();
	pthread_mutex_unlock(&lock);
}

#define SETTER(name, type, what)           \
	void name(type value)              \
	{                                  \
		pthread_mutex_lock(&lock); \
		what = value;              \
		pthread_mutex_unlock(&lock); \
	}
SETTER(fake_set_hotplug, bool, has_hotplug)
SETTER(fake_set_init, int, init_error)
SETTER(fake_set_open, int, open_error)
SETTER(fake_set_memory, long, memory)
SETTER(fake_set_slowness, int, slowness)

void
fake_on_control(struct fake_device *d, fake_control *control)
{
	d->control = control;
}

static void
send_answer(struct fake_device *d, int status, uint8_t byte, int length)
{
	struct answer *a = malloc(sizeof *a);

	RULE(a != NULL);
	*a = (struct answer){ .status = status, .length = length,
		.byte = byte };
	pthread_mutex_lock(&lock);
	*d->answers_end = a;
	d->answers_end = &a->next;
	answer_reads(d);
	pthread_mutex_unlock(&lock);
}

void
fake_send(struct fake_device *d, uint8_t byte, int length)
{
	send_answer(d, LIBUSB_TRANSFER_COMPLETED, byte, length);
}

void
fake_send_status(struct fake_device *d, int status)
{
	send_answer(d, status, 0, 0);
}

void
fake_hold(struct fake_device *d, bool hold)
{
	pthread_mutex_lock(&lock);
	d->held = hold;
	finish_writes(d);
	pthread_mutex_unlock(&lock);
}

void
fake_fail_write(struct fake_device *d, int status)
{
	pthread_mutex_lock(&lock);
	d->next_write = status;
	pthread_mutex_unlock(&lock);
}

void
fake_jam(struct fake_device *d, bool jammed)
{
	pthread_mutex_lock(&lock);
	d->jammed = jammed;
	pthread_mutex_unlock(&lock);
}

int
fake_written(struct fake_device *d, struct fake_written **out)
{
	int n;

	pthread_mutex_lock(&lock);
	*out = d->written;
	n = d->written_count;
	pthread_mutex_unlock(&lock);
	return n;
}

struct fake_counts
fake_counts(void)
{
	struct fake_counts c;

	pthread_mutex_lock(&lock);
	c = counts;
	pthread_mutex_unlock(&lock);
	return c;
}

/* ---- libusb: contexts and devices ---- */

int
libusb_init(libusb_context **out)
{
	libusb_context *c = calloc(1, sizeof *c);
	pthread_condattr_t monotonic;

	RULE(c != NULL);
	pthread_mutex_lock(&lock);
	if (init_error != 0) {
		pthread_mutex_unlock(&lock);
		free(c);
		return init_error;
	}
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	c->next = contexts;
	contexts = c;
	counts.contexts++;
	pthread_mutex_unlock(&lock);
	*out = c;
	return 0;
}

void
libusb_exit(libusb_context *c)
{
	struct libusb_context **at = &contexts;

	pthread_mutex_lock(&lock);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	counts.contexts--;
	RULE(c->done.first == NULL);
	pthread_mutex_unlock(&lock);
	pthread_cond_destroy(&c->wake);
	free(c);
}

int
libusb_has_capability(uint32_t capability)
{
	return capability == LIBUSB_CAP_HAS_HOTPLUG && has_hotplug;
}

int
libusb_hotplug_register_callback(libusb_context *ctx, int events, int flags,
    int vendor, int product, int class, libusb_hotplug_callback_fn fn,
    void *arg, libusb_hotplug_callback_handle *handle)
{
	(void)events, (void)flags, (void)vendor, (void)product, (void)class;
	(void)handle;
	pthread_mutex_lock(&lock);
	ctx->hotplug = fn;
	ctx->hotplug_arg = arg;
	pthread_mutex_unlock(&lock);
	return 0;
}

ssize_t
libusb_get_device_list(libusb_context *ctx, libusb_device ***out)
{
	libusb_device **list;
	ssize_t n = 0, i = 0;

	pthread_mutex_lock(&lock);
	for (struct fake_device *d = devices; d != NULL; d = d->next)
		n += d->plugged;
	list = calloc((size_t)n + 1, sizeof *list);
	RULE(list != NULL);
	for (struct fake_device *d = devices; d != NULL; d = d->next) {
		if (!d->plugged)
			continue;
		list[i] = calloc(1, sizeof **list);
		RULE(list[i] != NULL);
		*list[i++] = (libusb_device){ .refs = 1, .d = d, .ctx = ctx };
	}
	pthread_mutex_unlock(&lock);
	*out = list;
	return n;
}

static void
unref(libusb_device *device)
{
	if (--device->refs == 0)
		free(device);
}

void
libusb_free_device_list(libusb_device **list, int unref_devices)
{
	for (int i = 0; list[i] != NULL && unref_devices; i++)
		unref(list[i]);
	free(list);
}

int
libusb_get_device_descriptor(libusb_device *device,
    struct libusb_device_descriptor *out)
{
	*out = (struct libusb_device_descriptor){
		.idVendor = device->d->spec.vendor,
		.idProduct = device->d->spec.product,
		.bNumConfigurations = 4,
	};
	return 0;
}

uint8_t
libusb_get_bus_number(libusb_device *device)
{
	return device->d->spec.bus;
}

uint8_t
libusb_get_device_address(libusb_device *device)
{
	return device->d->spec.address;
}

int
libusb_get_port_numbers(libusb_device *device, uint8_t *out, int size)
{
	const struct fake_spec *s = &device->d->spec;

	if (s->port_count > size)
		return LIBUSB_ERROR_OVERFLOW;
	memcpy(out, s->ports, (size_t)s->port_count);
	return s->port_count;
}

int
libusb_get_device_speed(libusb_device *device)
{
	return device->d->spec.speed;
}

int
libusb_open(libusb_device *device, libusb_device_handle **out)
{
	if (open_error != 0)
		return open_error;
	if (!device->d->plugged)
		return LIBUSB_ERROR_NO_DEVICE;
	*out = calloc(1, sizeof **out);
	RULE(*out != NULL);
	device->refs++;
	(*out)->device = device;
	pthread_mutex_lock(&lock);
	counts.handles++;
	pthread_mutex_unlock(&lock);
	return 0;
}

void
libusb_close(libusb_device_handle *h)
{
	pthread_mutex_lock(&lock);
	RULE(h->device->d->reads.first == NULL &&
	    h->device->d->writes.first == NULL);
	counts.handles--;
	pthread_mutex_unlock(&lock);
	unref(h->device);
	free(h);
}

libusb_device *
libusb_get_device(libusb_device_handle *h)
{
	return h->device;
}

/* ---- libusb: requests ---- */

int
libusb_get_configuration(libusb_device_handle *h, int *out)
{
	*out = h->device->d->configuration;
	return h->device->d->plugged ? 0 : LIBUSB_ERROR_NO_DEVICE;
}

int
libusb_set_configuration(libusb_device_handle *h, int configuration)
{
	poll(NULL, 0, slowness);
	pthread_mutex_lock(&lock);
	counts.configuration = configuration;
	h->device->d->configuration = configuration;
	pthread_mutex_unlock(&lock);
	return 0;
}

int
libusb_kernel_driver_active(libusb_device_handle *h, int interface)
{
	(void)h;
	return interface == 0;
}

int
libusb_detach_kernel_driver(libusb_device_handle *h, int interface)
{
	(void)h, (void)interface;
	pthread_mutex_lock(&lock);
	counts.detached++;
	pthread_mutex_unlock(&lock);
	return 0;
}

int
libusb_claim_interface(libusb_device_handle *h, int interface)
{
	(void)h;
	counts.claimed = interface;
	return 0;
}

int
libusb_release_interface(libusb_device_handle *h, int interface)
{
	(void)h;
	counts.released = interface;
	return 0;
}

int
libusb_clear_halt(libusb_device_handle *h, unsigned char endpoint)
{
	struct fake_device *d = h->device->d;

	(void)endpoint;
	pthread_mutex_lock(&lock);
	RULE(d->reads.first == NULL);
	counts.clear_halts++;
	d->halted = false;
	pthread_mutex_unlock(&lock);
	return d->plugged ? 0 : LIBUSB_ERROR_NO_DEVICE;
}

int
libusb_reset_device(libusb_device_handle *h)
{
	(void)h;
	counts.resets++;
	return LIBUSB_ERROR_NOT_FOUND;
}

int
libusb_control_transfer(libusb_device_handle *h, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, unsigned char *data, uint16_t length,
    unsigned int timeout)
{
	struct fake_device *d = h->device->d;

	RULE(timeout > 0);
	if (!d->plugged)
		return LIBUSB_ERROR_NO_DEVICE;
	if (d->control == NULL)
		return LIBUSB_ERROR_PIPE;
	return d->control(d, type, request, value, index, data, length);
}

/* ---- libusb: transfers ---- */

struct libusb_transfer *
libusb_alloc_transfer(int iso_packets)
{
	struct fake_transfer *t = calloc(1, sizeof *t);

	RULE(t != NULL && iso_packets == 0);
	pthread_mutex_lock(&lock);
	counts.transfers++;
	pthread_mutex_unlock(&lock);
	return &t->x;
}

void
libusb_free_transfer(struct libusb_transfer *x)
{
	if (x == NULL)
		return;
	pthread_mutex_lock(&lock);
	RULE(fake_of(x)->state == IDLE);
	counts.transfers--;
	pthread_mutex_unlock(&lock);
	free(fake_of(x));
}

static int
submit(struct fake_device *d, struct fake_transfer *t)
{
	if (!d->plugged)
		return LIBUSB_ERROR_NO_DEVICE;
	if (memory >= 0 && memory_used + t->x.length > memory)
		return LIBUSB_ERROR_NO_MEM;
	RULE(t->state == IDLE);
	memory_used += t->x.length;
	counts.in_flight++;
	t->ctx = t->x.dev_handle->device->ctx;
	t->state = FLYING;
	if (t->x.endpoint & 0x80) {
		append(&d->reads, t);
		answer_reads(d);
	} else {
		note_write(d, &t->x);
		append(&d->writes, t);
		finish_writes(d);
	}
	return 0;
}

int
libusb_submit_transfer(struct libusb_transfer *x)
{
	int r;

	pthread_mutex_lock(&lock);
	r = submit(x->dev_handle->device->d, fake_of(x));
	pthread_mutex_unlock(&lock);
	return r;
}

int
libusb_cancel_transfer(struct libusb_transfer *x)
{
	struct fake_transfer *t = fake_of(x);
	struct fake_device *d;
	int r = LIBUSB_ERROR_NOT_FOUND;

	pthread_mutex_lock(&lock);
	if (t->state == FLYING) {
		d = x->dev_handle->device->d;
		r = 0;
		if (!d->jammed &&
		    (take_out(&d->reads, t) || take_out(&d->writes, t)))
			complete(t, LIBUSB_TRANSFER_CANCELLED, 0);
	}
	pthread_mutex_unlock(&lock);
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
		if (pthread_cond_timedwait(&c->wake, &lock, &until) ==
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
	pthread_mutex_lock(&lock);
	wait_for_something(c, tv);
	c->interrupted = false;
	events = c->hotplug != NULL ? c->events : 0;
	c->events = 0;
	for (int i = 0; i < events; i++) {
		pthread_mutex_unlock(&lock);
		c->hotplug(c, NULL, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED,
		    c->hotplug_arg);
		pthread_mutex_lock(&lock);
	}
	/* At most so many at a time, as the real one. */
	for (int i = 0; i < 25 && (t = take_first(&c->done)) != NULL; i++) {
		t->state = IDLE;
		memory_used -= t->x.length;
		counts.in_flight--;
		pthread_mutex_unlock(&lock);
		t->x.callback(&t->x);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

void
libusb_interrupt_event_handler(libusb_context *c)
{
	pthread_mutex_lock(&lock);
	c->interrupted = true;
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&lock);
}
