/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/sourcesink.h"

#include <string.h>

#include "base/json.h"

/* ---- Descriptors -------------------------------------------------------- */

enum {
	S_CONFIGURATION = DESC_S_OWN,
	S_COUNT,
};
static const char *const texts[S_COUNT] = {
	[DESC_S_MANUFACTURER] = "muxphone",
	[DESC_S_PRODUCT] = "Source and sink",
	[S_CONFIGURATION] = "source and sink data",
};

/* The bulk pair is all of setting 0. */
static const struct desc_endpoint endpoints[] = {
	{ SOURCESINK_SOURCE, DESC_BULK, 0, 0 },
	{ SOURCESINK_SINK, DESC_BULK, 0, 0 },
	{ SOURCESINK_ISO_SOURCE, DESC_ISOCHRONOUS, 1024, 4 },
	{ SOURCESINK_ISO_SINK, DESC_ISOCHRONOUS, 1024, 4 },
};
static const struct desc_interface bulk_only = {
	.number = 0, .class = 0xff,
	.endpoint_count = 2, .endpoints = endpoints,
};
static const struct desc_interface bulk_and_iso = {
	.number = 0, .alternate = 1, .class = 0xff,
	.endpoint_count = 4, .endpoints = endpoints,
};
static const struct desc_interface *const settings[] = {
	&bulk_only, &bulk_and_iso,
};
static const struct desc_configuration configuration = {
	.name = S_CONFIGURATION, .interface_count = 1,
	.setting_count = 2, .settings = settings,
};
static const struct desc_device description = {
	.vendor = 0x0525, .product = 0xa4a0, .release = 0x0100,
	.class = 0xff, .milliamps = 2,
	.texts = texts, .text_count = S_COUNT,
	.configuration_count = 1, .configurations = &configuration,
};

/* ---- Life --------------------------------------------------------------- */

static struct sourcesink *
self(struct device *d)
{
	return (struct sourcesink *)d;
}

static const struct sourcesink *
self_const(const struct device *d)
{
	return (const struct sourcesink *)d;
}

static int
take_pattern(struct sourcesink *s, const char *name, const char *value,
    struct cause *why)
{
	static const char *const patterns[] = { "0", "1", "none", NULL };
	unsigned pattern;

	if (kinds_word(&pattern, name, value, patterns, why) < 0)
		return -1;
	s->pattern = (enum sourcesink_pattern)pattern;
	return 0;
}

static int
take_pace(struct sourcesink *s, const char *name, const char *value,
    struct cause *why)
{
	static const char *const words[] = { "off", "on", NULL };
	unsigned on;

	if (kinds_word(&on, name, value, words, why) < 0)
		return -1;
	s->iso_pace = on;
	return 0;
}

static int
sourcesink_option(struct device *d, const char *name, const char *value,
    struct cause *why)
{
	struct sourcesink *s = self(d);

	if (strcmp(name, "pattern") == 0)
		return take_pattern(s, name, value, why);
	if (strcmp(name, "loop") == 0)
		return kinds_flag(&s->loop, name, value, why);
	if (strcmp(name, "iso-pace") == 0)
		return take_pace(s, name, value, why);
	return cause_set(why, "there is no option '%s'", name);
}

static int
sourcesink_init(struct device *d, struct cause *why)
{
	struct sourcesink *s = self(d);

	(void)why;
	d->profile.device = &description;
	if (s->pattern == PATTERN_MOD63)
		for (unsigned i = 0; i < sizeof s->packet; i++)
			s->packet[i] = (uint8_t)(i % 63);
	return 0;
}

static void
sourcesink_fini(struct device *d)
{
	echo_fini(&self(d)->echo);
}

static void
sourcesink_reset(struct device *d)
{
	struct sourcesink *s = self(d);

	echo_reset(&s->echo);
	s->frame_0 = clock_now();
	memset(s->next_frame, 0, sizeof s->next_frame);
	memset(s->queued, 0, sizeof s->queued);
}

/* ---- Control ------------------------------------------------------------
 * What is written can be read again: as much as is asked for, up to the whole
 * buffer, which starts as zeros. */

enum {
	WRITE_BUFFER = SETUP_CODE(0x40, 0x5b),
	READ_BUFFER = SETUP_CODE(0xc0, 0x5c),
};

static int
sourcesink_control(struct device *d, const struct setup *s, uint8_t *data,
    size_t len)
{
	struct sourcesink *ss = self(d);
	const bool write = setup_code(s) == WRITE_BUFFER;

	if ((!write && setup_code(s) != READ_BUFFER) || s->value != 0 ||
	    s->index != 0 || s->length > sizeof ss->buffer) {
		ss->bad_requests++;
		return DEVICE_STALL;
	}
	if (!write)
		return device_answer(data, len, ss->buffer, len);
	memcpy(ss->buffer, data, len);
	return 0;
}

/* ---- Reports ------------------------------------------------------------ */

static void
sourcesink_describe(const struct device *d, struct json *j)
{
	json_uint(j, "setting", d->alternate[0]);
	json_bool(j, "loop", self_const(d)->loop);
}

static void
sourcesink_report(const struct device *d, struct json *j, bool more)
{
	const struct sourcesink *s = self_const(d);

	(void)more;
	if (s->loop)
		echo_report(&s->echo, j);
	else
		traffic_report(&s->bulk, j);
	json_uint(j, "mismatches", s->mismatches);
	json_uint(j, "iso_packets_in", s->iso_packets_in);
	json_uint(j, "iso_packets_out", s->iso_packets_out);
	json_uint(j, "iso_bytes_in", s->iso_bytes_in);
	json_uint(j, "iso_bytes_out", s->iso_bytes_out);
	json_uint(j, "iso_mismatches", s->iso_mismatches);
	json_uint(j, "iso_babbles", s->iso_babbles);
	json_uint(j, "bad_requests", s->bad_requests);
	json_uint(j, "bad_transfers", s->bad_transfers);
}

const struct kind kind_sourcesink = {
	.name = "sourcesink",
	.size = sizeof(struct sourcesink),
	.main_in = SOURCESINK_SOURCE,
	.main_out = SOURCESINK_SINK,
	.option = sourcesink_option,
	.init = sourcesink_init,
	.fini = sourcesink_fini,
	.reset = sourcesink_reset,
	.control = sourcesink_control,
	.serve = sourcesink_serve,
	.describe = sourcesink_describe,
	.report = sourcesink_report,
};
