/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb_host.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"

struct device *dev;
unsigned usb_completions;

static struct test_urb *pool[64];
static int taken;

static void
completed(struct usbip_urb *urb, int status, uint32_t actual)
{
	struct test_urb *t = (struct test_urb *)urb;

	ck_assert_int_eq(t->status, PENDING);
	if (urb->iso_count == 0)
		ck_assert_uint_le(actual, urb->length);
	t->status = status;
	t->actual = actual;
	t->order = ++usb_completions;
}

static const struct usbip_urb_host host = { .complete = completed };

static void
silence(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

void
usb_plug(struct device *d)
{
	log_set_sink(silence);
	ck_assert_ptr_nonnull(d);
	dev = d;
	taken = 0;
	usb_completions = 0;
	device_restart(dev);
}

static struct device *
make_device(const struct kind *kind, const char *options, struct cause *why)
{
	char *copy = options != NULL ? strdup(options) : NULL;
	struct identity id;
	struct device *d;

	identity_init_kind(&id, 1, kind->name);
	d = device_new(kind, &id, DESC_HIGH, copy, why);
	free(copy);
	return d;
}

void
usb_plug_kind(const struct kind *kind, const char *options)
{
	struct cause why;
	struct device *d = make_device(kind, options, &why);

	ck_assert_msg(d != NULL, "%s", why.text);
	usb_plug(d);
}

void
usb_expect_no_device(const struct kind *kind, const char *options,
    const char *cause)
{
	struct cause why;

	ck_assert_ptr_null(make_device(kind, options, &why));
	ck_assert_str_eq(why.text, cause);
}

void
usb_unplug(void)
{
	device_restart(dev);
	device_configure(dev, 0);
	for (int i = 0; i < taken; i++)
		ck_assert_int_ne(pool[i]->status, PENDING);
	for (int i = 0; i < UNIT_COUNT(pool); i++) {
		free(pool[i]);
		pool[i] = NULL;
	}
	device_free(dev);
	dev = NULL;
}

struct test_urb *
make_urb(uint8_t endpoint, const void *data, uint32_t length)
{
	struct test_urb *t;

	ck_assert_int_lt(taken, UNIT_COUNT(pool));
	ck_assert_uint_le(length, URB_BYTES_MAX);
	if (pool[taken] == NULL)
		pool[taken] = malloc(sizeof *t);
	t = pool[taken++];
	ck_assert_ptr_nonnull(t);
	memset(&t->u, 0, sizeof t->u);
	t->u.host = &host;
	t->u.endpoint = endpoint;
	t->u.length = length;
	t->u.buffer = t->bytes;
	t->u.iso = t->iso;
	t->status = PENDING;
	if (data != NULL)
		memcpy(t->bytes, data, length);
	else
		memset(t->bytes, 0, length);
	return t;
}

struct test_urb *
submit(uint8_t endpoint, const void *data, uint32_t length)
{
	struct test_urb *t = make_urb(endpoint, data, length);

	device_submit(dev, &t->u);
	return t;
}

struct test_urb *
submit_iso(uint8_t endpoint, const void *data, unsigned count, uint32_t length,
    uint32_t flags, int32_t start_frame)
{
	struct test_urb *t = make_urb(endpoint, data, count * length);

	ck_assert_int_le((int)count, UNIT_COUNT(t->iso));
	t->u.flags = flags;
	t->u.start_frame = start_frame;
	t->u.iso_count = count;
	for (unsigned i = 0; i < count; i++)
		t->iso[i] = (struct usbip_iso){
			.offset = i * length,
			.length = length,
			.status = USBIP_EXDEV,
		};
	device_submit(dev, &t->u);
	return t;
}

struct test_urb *
control_with(uint8_t type, uint8_t request, uint16_t value, uint16_t index,
    const void *data, uint16_t length)
{
	const uint8_t setup[8] = {
		type, request, (uint8_t)value, (uint8_t)(value >> 8),
		(uint8_t)index, (uint8_t)(index >> 8), (uint8_t)length,
		(uint8_t)(length >> 8),
	};
	struct test_urb *t = make_urb(type & 0x80, data, length);

	memcpy(t->u.setup, setup, sizeof setup);
	device_submit(dev, &t->u);
	return t;
}

struct test_urb *
control(uint8_t type, uint8_t request, uint16_t value, uint16_t index,
    uint16_t length)
{
	return control_with(type, request, value, index, NULL, length);
}

void
usb_wait(const struct test_urb *t)
{
	const struct moment end = moment_after_ms(clock_now(),
	    UNIT_PATIENCE_MS);

	while (t->status == PENDING) {
		ck_assert(moment_before(clock_now(), end));
		ck_assert(dev->due.ns != MOMENT_NEVER.ns);
		poll(NULL, 0, moment_poll_timeout(clock_now(), dev->due));
		device_pump(dev);
	}
}

void
usb_pass_time(int ms)
{
	const struct moment end = moment_after_ms(clock_now(), ms);

	while (moment_before(clock_now(), end))
		poll(NULL, 0, moment_poll_timeout(clock_now(), end));
}

void
expect(struct test_urb *t, int status, uint32_t actual)
{
	ck_assert_int_eq(t->status, status);
	ck_assert_uint_eq(t->actual, actual);
	if (t == pool[taken - 1])
		taken--;
}

void
expect_control(uint8_t type, uint8_t request, uint16_t value, uint16_t index,
    uint16_t length, int status, const void *answer, uint32_t len)
{
	struct test_urb *t = control(type, request, value, index, length);

	if (len > 0)
		ck_assert_mem_eq(t->bytes, answer, len);
	expect(t, status, len);
}

void
expect_write(uint8_t type, uint8_t request, uint16_t value, uint16_t index,
    const void *data, uint16_t length, int status)
{
	expect(control_with(type, request, value, index, data, length), status,
	    status == USBIP_OK ? length : 0);
}

void
configure(uint8_t value)
{
	OUT_REQUEST(0x00, 9, value, 0);
}

uint64_t
counted(const char *name)
{
	char key[40];
	struct json j;
	const char *at;
	uint64_t n;

	snprintf(key, sizeof key, "\"%s\":", name);
	json_init(&j);
	json_object(&j, NULL);
	dev->kind->report(dev, &j, true);
	json_end(&j);
	at = strstr(json_text(&j), key);
	ck_assert_msg(at != NULL, "%s is not in %s", name, json_text(&j));
	n = strtoull(at + strlen(key), NULL, 10);
	json_fini(&j);
	return n;
}
