/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scmdev_rig.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static struct json answer;
static struct test_urb *last;

struct scmdev *
scm(void)
{
	return scmdev_of(dev);
}

void
scm_plug(const char *options)
{
	usb_plug_kind(&kind_scm, options);
	configure(1);
	json_init(&answer);
}

void
scm_unplug(void)
{
	json_fini(&answer);
	last = NULL;
	usb_unplug();
}

size_t
unhex(uint8_t *out, size_t room, const char *hex)
{
	size_t n = 0;

	for (; *hex != '\0'; hex++) {
		unsigned byte;

		if (*hex == ' ')
			continue;
		HOLDS(n < room && sscanf(hex, "%2x", &byte) == 1,
		    "bad digits: %s", hex);
		out[n++] = (uint8_t)byte;
		hex++;
	}
	return n;
}

void
host_sends(uint8_t endpoint, const char *hex)
{
	uint8_t bytes[4096];
	const size_t len = unhex(bytes, sizeof bytes, hex);
	struct test_urb *t = make_urb(endpoint, bytes, (uint32_t)len);

	t->u.flags = USBIP_ZERO_PACKET;
	device_submit(dev, &t->u);
	expect(t, USBIP_OK, (uint32_t)len);
}

const struct test_urb *
host_fetches(uint8_t endpoint)
{
	const uint32_t room = endpoint == SCMDEV_IN ? 131072 : 64;

	last = submit(endpoint, NULL, room);
	ck_assert_int_eq(last->status, USBIP_OK);
	expect(last, USBIP_OK, last->actual);
	return last;
}

void
host_gets(uint8_t endpoint, const char *hex)
{
	uint8_t bytes[4096];
	const size_t len = unhex(bytes, sizeof bytes, hex);
	const struct test_urb *t = host_fetches(endpoint);
	char got[200] = "";

	for (uint32_t i = 0; i < t->actual && i < 64; i++)
		snprintf(got + 2 * i, sizeof got - 2 * i, "%02x", t->bytes[i]);
	ck_assert_msg(t->actual == len && memcmp(t->bytes, bytes, len) == 0,
	    "wanted %s, got %u bytes: %s", hex, t->actual, got);
}

void
host_gets_nothing(uint8_t endpoint)
{
	struct test_urb *t = submit(endpoint, NULL, 512);

	ck_assert_msg(t->status == PENDING, "got %u bytes: %02x%02x%02x%02x...",
	    t->actual, t->bytes[0], t->bytes[1], t->bytes[2], t->bytes[3]);
	device_cancel(dev, &t->u);
	expect(t, USBIP_ECONNRESET, 0);
}

const char *
command(const char *fmt, ...)
{
	char line[4096], *word[8], *rest = NULL;
	int count = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	for (char *w = strtok_r(line, " ", &rest); w != NULL;
	     w = strtok_r(NULL, " ", &rest)) {
		ck_assert_int_lt(count, UNIT_COUNT(word));
		word[count++] = w;
	}
	json_clear(&answer);
	kind_scm.command(dev, word, count, &answer);
	device_pump(dev);
	ck_assert_ptr_nonnull(json_text(&answer));
	return json_text(&answer);
}

void
violated(const char *kind, unsigned times)
{
	const struct strict *s = &scm()->strict;

	for (unsigned i = 0; i < s->table->kinds; i++)
		ck_assert_msg(s->count[i] ==
			(strcmp(s->table->names[i], kind) == 0 ? times : 0),
		    "%u of '%s' wanted: '%s' has %llu", times, kind,
		    s->table->names[i], (unsigned long long)s->count[i]);
	ck_assert_uint_eq(kind_scm.violations(dev), times);
}

void
behaved(void)
{
	violated("", 0);
}

void
main_round(int ms)
{
	struct pollfd pfd[SCMDEV_SOCKETS + SCMDEV_FORWARDS];
	struct moment until = moment_after_ms(clock_now(), ms);
	unsigned n;

	if (dev->watch_again)
		until = clock_now();
	dev->watch_again = false;
	n = kind_scm.watch(dev, pfd, &until);
	poll(pfd, n, dev->watch_again
		? 0 : moment_poll_timeout(clock_now(), until));
	kind_scm.watched(dev, pfd, n);
	device_pump(dev);
}
