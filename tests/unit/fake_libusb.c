/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stand-in's bus, and the calls that move no data. */
#include <poll.h>
#include <string.h>
#include <time.h>

#include "fake_libusb_int.h"

struct fake_state fake = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.counts = { .configuration = -1, .claimed = -1, .released = -1,
	    .interface = -1, .setting = -1 },
	.has_hotplug = true,
	.reset_error = LIBUSB_ERROR_NOT_FOUND,
	.claim_of = -1,
	.stuck = -1,
	.memory = -1,
};

static void
tell_contexts(void)
{
	for (struct libusb_context *c = fake.contexts; c != NULL; c = c->next) {
		c->events += !c->deaf;
		pthread_cond_broadcast(&c->wake);
	}
}

/* ---- What the test calls ---- */

struct fake_device *
fake_plug(const struct fake_spec *spec)
{
	return fake_plug_as(spec, NULL, NULL);
}

struct fake_device *
fake_plug_as(const struct fake_spec *spec,
    const struct libusb_device_descriptor *device,
    const struct libusb_config_descriptor *const *configurations)
{
	struct fake_device *d = calloc(1, sizeof *d);

	RULE(d != NULL);
	d->spec = *spec;
	d->plugged = true;
	d->descriptor = device;
	d->configurations = configurations;
	d->configuration = configurations != NULL
	    ? configurations[0]->bConfigurationValue : 1;
	d->answers_end = &d->answers;
	d->written = calloc(FAKE_WRITES_MAX, sizeof *d->written);
	RULE(d->written != NULL);
	pthread_mutex_lock(&fake.lock);
	d->next = fake.devices;
	fake.devices = d;
	fake_show_device(d);
	tell_contexts();
	pthread_mutex_unlock(&fake.lock);
	return d;
}

static void
end_transfers(struct fake_device *d)
{
	struct fake_transfer *t;

	while ((t = list_take_first(&d->reads)) != NULL)
		fake_complete(t, LIBUSB_TRANSFER_NO_DEVICE, 0);
	while ((t = list_take_first(&d->writes)) != NULL)
		fake_complete(t, LIBUSB_TRANSFER_NO_DEVICE, 0);
}

void
fake_unplug(struct fake_device *d)
{
	pthread_mutex_lock(&fake.lock);
	d->plugged = false;
	fake_show_device(d);
	end_transfers(d);
	tell_contexts();
	pthread_mutex_unlock(&fake.lock);
}

void
fake_deafen(void)
{
	pthread_mutex_lock(&fake.lock);
	for (struct fake_device *d = fake.devices; d != NULL; d = d->next)
		d->heard = d->plugged;
	for (struct libusb_context *c = fake.contexts; c != NULL; c = c->next)
		c->deaf = true;
	pthread_mutex_unlock(&fake.lock);
}

void
fake_reconfigure(struct fake_device *d, int configuration)
{
	pthread_mutex_lock(&fake.lock);
	d->configuration = configuration;
	fake_show_device(d);
	end_transfers(d);
	pthread_mutex_unlock(&fake.lock);
}

#define SETTER(name, type, what) \
	void name(type value) \
	{ \
		pthread_mutex_lock(&fake.lock); \
		fake.what = value; \
		pthread_mutex_unlock(&fake.lock); \
	}
SETTER(fake_set_hotplug, bool, has_hotplug)
SETTER(fake_set_timerless, bool, timerless)
SETTER(fake_set_poll_fd, int, poll_fd)
SETTER(fake_set_locked, bool, locked)
SETTER(fake_set_init, int, init_error)
SETTER(fake_set_open, int, open_error)
SETTER(fake_set_wrap, int, wrap_error)
SETTER(fake_set_memory, long, memory)
SETTER(fake_set_slowness, int, slowness)
SETTER(fake_set_claim, int, claim_error)
SETTER(fake_set_claim_of, int, claim_of)
SETTER(fake_set_configuring, int, configuring_error)
SETTER(fake_set_stuck, int, stuck)
SETTER(fake_set_reset, int, reset_error)

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
	pthread_mutex_lock(&fake.lock);
	*d->answers_end = a;
	d->answers_end = &a->next;
	fake_answer_reads(d);
	pthread_mutex_unlock(&fake.lock);
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
	pthread_mutex_lock(&fake.lock);
	d->held = hold;
	fake_finish_writes(d);
	pthread_mutex_unlock(&fake.lock);
}

void
fake_fail_write(struct fake_device *d, int status)
{
	pthread_mutex_lock(&fake.lock);
	d->next_write = status;
	pthread_mutex_unlock(&fake.lock);
}

void
fake_jam(struct fake_device *d, bool jammed)
{
	pthread_mutex_lock(&fake.lock);
	d->jammed = jammed;
	pthread_mutex_unlock(&fake.lock);
}

int
fake_written(struct fake_device *d, struct fake_written **out)
{
	int n;

	pthread_mutex_lock(&fake.lock);
	*out = d->written;
	n = d->written_count;
	pthread_mutex_unlock(&fake.lock);
	return n;
}

struct fake_counts
fake_counts(void)
{
	struct fake_counts c;

	pthread_mutex_lock(&fake.lock);
	c = fake.counts;
	pthread_mutex_unlock(&fake.lock);
	return c;
}

/* ---- libusb: contexts and devices ---- */

int
libusb_init(libusb_context **out)
{
	libusb_context *c = calloc(1, sizeof *c);
	pthread_condattr_t monotonic;

	RULE(c != NULL);
	pthread_mutex_lock(&fake.lock);
	if (fake.init_error != 0) {
		pthread_mutex_unlock(&fake.lock);
		free(c);
		return fake.init_error;
	}
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	c->next = fake.contexts;
	fake.contexts = c;
	fake.counts.contexts++;
	c->empty = fake.no_discovery;
	fake.counts.discoveries += !c->empty;
	pthread_mutex_unlock(&fake.lock);
	*out = c;
	return 0;
}

void
libusb_exit(libusb_context *c)
{
	struct libusb_context **at = &fake.contexts;

	pthread_mutex_lock(&fake.lock);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	fake.counts.contexts--;
	RULE(c->done.first == NULL);
	pthread_mutex_unlock(&fake.lock);
	pthread_cond_destroy(&c->wake);
	free(c);
}

int
libusb_has_capability(uint32_t capability)
{
	return capability == LIBUSB_CAP_HAS_HOTPLUG && fake.has_hotplug;
}

int
libusb_hotplug_register_callback(libusb_context *ctx, int events, int flags,
    int vendor, int product, int class, libusb_hotplug_callback_fn fn,
    void *arg, libusb_hotplug_callback_handle *handle)
{
	(void)events, (void)flags, (void)vendor, (void)product, (void)class;
	(void)handle;
	pthread_mutex_lock(&fake.lock);
	ctx->hotplug = fn;
	ctx->hotplug_arg = arg;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static bool
is_listed(const struct libusb_context *c, const struct fake_device *d)
{
	return !c->empty && (c->deaf ? d->heard : d->plugged);
}

ssize_t
libusb_get_device_list(libusb_context *ctx, libusb_device ***out)
{
	libusb_device **list;
	ssize_t n = 0, i = 0;

	pthread_mutex_lock(&fake.lock);
	for (struct fake_device *d = fake.devices; d != NULL; d = d->next)
		n += is_listed(ctx, d);
	list = calloc((size_t)n + 1, sizeof *list);
	RULE(list != NULL);
	for (struct fake_device *d = fake.devices; d != NULL; d = d->next) {
		if (!is_listed(ctx, d))
			continue;
		list[i] = calloc(1, sizeof **list);
		RULE(list[i] != NULL);
		*list[i++] = (libusb_device){ .refs = 1, .d = d, .ctx = ctx };
	}
	pthread_mutex_unlock(&fake.lock);
	*out = list;
	return n;
}

libusb_device *
libusb_ref_device(libusb_device *device)
{
	device->refs++;
	return device;
}

void
libusb_unref_device(libusb_device *device)
{
	if (--device->refs == 0)
		free(device);
}

void
libusb_free_device_list(libusb_device **list, int unref_devices)
{
	for (int i = 0; list[i] != NULL && unref_devices; i++)
		libusb_unref_device(list[i]);
	free(list);
}

int
libusb_get_device_descriptor(libusb_device *device,
    struct libusb_device_descriptor *out)
{
	if (device->d->descriptor != NULL) {
		*out = *device->d->descriptor;
		return 0;
	}
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
	int error;

	pthread_mutex_lock(&fake.lock);
	error = fake.open_error != 0 ? fake.open_error
	    : device->d->plugged ? 0 : LIBUSB_ERROR_NO_DEVICE;
	if (error == 0)
		*out = fake_new_handle(libusb_ref_device(device), false);
	pthread_mutex_unlock(&fake.lock);
	return error;
}

void
libusb_close(libusb_device_handle *h)
{
	pthread_mutex_lock(&fake.lock);
	RULE(h->device->d->reads.first == NULL &&
	    h->device->d->writes.first == NULL);
	fake.counts.handles--;
	pthread_mutex_unlock(&fake.lock);
	libusb_unref_device(h->device);
	free(h);
}

libusb_device *
libusb_get_device(libusb_device_handle *h)
{
	return h->device;
}
