/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kind: what it looks like on the bus, its options, and its report. */
#include "phone/scmdev.h"

#include <string.h>

#include "base/json.h"
#include "phone/kinds.h"

/* ---- Descriptors --------------------------------------------------------
 * Those of the device that was sold, 2fe0:8b01, with its interface alone and
 * the interrupt pair; and the same for dialect 8, whose devices a host must be
 * able to tell apart, with an id for tests. */

enum {
	S_INTERFACE = DESC_S_OWN,
	S_COUNT,
};
static const char *const texts[S_COUNT] = {
	[DESC_S_MANUFACTURER] = "muxphone",
	[DESC_S_PRODUCT] = "Socket Control Model",
	[S_INTERFACE] = "Socket Control Model",
};
static const char *const texts_hss[S_COUNT] = {
	[DESC_S_MANUFACTURER] = "muxphone",
	[DESC_S_PRODUCT] = "Socket Control Model (HSS)",
	[S_INTERFACE] = "Socket Control Model (HSS)",
};

static const struct desc_endpoint endpoints[] = {
	{ SCMDEV_IN, DESC_BULK, 0, 0 },
	{ SCMDEV_OUT, DESC_BULK, 0, 0 },
	{ SCMDEV_EVENT_IN, DESC_INTERRUPT, SCMDEV_EVENT_PACKET, 6 },
	{ SCMDEV_EVENT_OUT, DESC_INTERRUPT, SCMDEV_EVENT_PACKET, 6 },
};
#define SCM_INTERFACE(count)                                            \
	{                                                               \
		.class = 0xff, .subclass = 0xab, .name = S_INTERFACE,   \
		.endpoint_count = (count), .endpoints = endpoints,      \
	}
static const struct desc_interface bulk_only = SCM_INTERFACE(2);
static const struct desc_interface bulk_and_events = SCM_INTERFACE(4);
static const struct desc_interface *const settings[2] = {
	&bulk_only, &bulk_and_events,
};
static const struct desc_configuration configurations[2] = {
	{ .interface_count = 1, .setting_count = 1, .settings = &settings[0] },
	{ .interface_count = 1, .setting_count = 1, .settings = &settings[1] },
};

#define SCM_DEVICE(v, p, t, pair)                                          \
	{                                                                  \
		.vendor = (v), .product = (p), .release = 0x0100,          \
		.milliamps = 2, .texts = (t), .text_count = S_COUNT,       \
		.configuration_count = 1,                                  \
		.configurations = &configurations[pair],                   \
	}
/* By dialect, and whether there is an interrupt pair. */
static const struct desc_device descriptions[2][2] = {
	{ SCM_DEVICE(0x1209, 0x0002, texts, 0),
	    SCM_DEVICE(0x1209, 0x0002, texts, 1) },
	{ SCM_DEVICE(0x2fe0, 0x8b01, texts_hss, 0),
	    SCM_DEVICE(0x2fe0, 0x8b01, texts_hss, 1) },
};

/* ---- Options ------------------------------------------------------------ */

static void
scm_defaults(struct device *d)
{
	struct scmdev *s = scmdev_of(d);

	s->acks = true;
	s->window = 8;
	s->payload = 16384;
	s->linger_ms = 10000;
}

static int
take_forward(struct scmdev *s, const char *value, struct cause *why)
{
	if (s->forward_count == SCMDEV_FORWARDS)
		return cause_set(why, "forward: %d at most", SCMDEV_FORWARDS);
	if (scmdev_forward_parse(&s->forwards[s->forward_count], value,
		why) < 0)
		return -1;
	s->forward_count++;
	return 0;
}

static int
take_dialect(struct scmdev *s, const char *value, struct cause *why)
{
	static const char *const words[] = { "8", "12", NULL };
	unsigned n;

	if (kinds_word(&n, "dialect", value, words, why) < 0)
		return -1;
	s->style.hss = n == 1;
	return 0;
}

/* How messages look. */
static int
style_option(struct scmdev *s, const char *name, const char *value,
    struct cause *why)
{
	static const char *const orders[] = { "network", "little", NULL };
	static const char *const sizes[] = { "16", "8", NULL };
	unsigned n;

	if (strcmp(name, "shipped") == 0)
		return kinds_flag(&s->style.shipped, name, value, why);
	if (strcmp(name, "address-order") == 0) {
		if (kinds_word(&n, name, value, orders, why) < 0)
			return -1;
		s->style.little = n == 1;
		return 0;
	}
	if (strcmp(name, "sockaddr") == 0) {
		if (kinds_word(&n, name, value, sizes, why) < 0)
			return -1;
		s->style.short_sockaddr = n == 1;
		return 0;
	}
	return cause_set(why, "there is no option '%s'", name);
}

static int
take_pair(struct scmdev *s, const char *value, struct cause *why)
{
	static const char *const words[] = { "off", "on", NULL };
	unsigned on;

	if (kinds_word(&on, "interrupt", value, words, why) < 0)
		return -1;
	s->events_word = 1 + on;
	return 0;
}

static int
take_acks(struct scmdev *s, const char *value, struct cause *why)
{
	static const char *const words[] = { "off", "on", NULL };
	unsigned on;

	if (kinds_word(&on, "acks", value, words, why) < 0)
		return -1;
	s->acks = on;
	return 0;
}

static int
take_linger(struct scmdev *s, const char *value, struct cause *why)
{
	unsigned seconds;

	if (kinds_number(&seconds, "linger", value, 0, 3600, why) < 0)
		return -1;
	s->linger_ms = seconds * 1000;
	return 0;
}

static int
scm_option(struct device *d, const char *name, const char *value,
    struct cause *why)
{
	struct scmdev *s = scmdev_of(d);

	if (strcmp(name, "dialect") == 0)
		return take_dialect(s, value, why);
	if (strcmp(name, "forward") == 0)
		return take_forward(s, value, why);
	if (strcmp(name, "interrupt") == 0)
		return take_pair(s, value, why);
	if (strcmp(name, "acks") == 0)
		return take_acks(s, value, why);
	if (strcmp(name, "window") == 0)
		return kinds_number(&s->window, name, value, 1, SCMDEV_IDS,
		    why);
	if (strcmp(name, "write") == 0)
		return kinds_number(&s->payload, name, value, 1,
		    SCMDEV_PAYLOAD_MAX, why);
	if (strcmp(name, "linger") == 0)
		return take_linger(s, value, why);
	if (strcmp(name, "misbehave") == 0)
		return scmdev_misbehave(s, value != NULL ? value : "", why);
	return style_option(s, name, value, why);
}

/* ---- Life --------------------------------------------------------------- */

static int
scm_init(struct device *d, struct cause *why)
{
	struct scmdev *s = scmdev_of(d);

	if (s->style.shipped && !s->style.hss)
		return cause_set(why, "--device scm: 'shipped' is for "
		    "dialect=12, which those devices speak");
	s->events = s->events_word != 0 ? s->events_word == 2 : s->style.hss;
	if (s->style.shipped)
		s->acks = false;
	d->profile.device = &descriptions[s->style.hss][s->events];
	strict_init(&s->strict, &scmdev_violations, d->id.index);
	return scmdev_ports_open(s, why);
}

static void
scm_fini(struct device *d)
{
	struct scmdev *s = scmdev_of(d);

	scmdev_ports_close(s);
	scmdev_output_reset(s);
	scmdev_heard_free(s);
}

static void
scm_reset(struct device *d)
{
	struct scmdev *s = scmdev_of(d);

	scmdev_sockets_reset(s);
	scmdev_output_reset(s);
	scmdev_input_reset(s);
	scmdev_notice(s);
}

static bool
scm_serve(struct device *d, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	return endpoint_is_in(e) ? scmdev_serve_in(scmdev_of(d), e, urb, out)
				 : scmdev_serve_out(scmdev_of(d), e, urb, out);
}

/* ---- Reports ------------------------------------------------------------ */

static const struct scmdev *
self_const(const struct device *d)
{
	return (const struct scmdev *)d;
}

static void
describe_forward(const struct scmdev_forward *f, struct json *j)
{
	char local[SOCK_ADDR_TEXT_MAX], to[SCMDEV_ADDRESS_TEXT_MAX];

	json_object(j, NULL);
	json_string(j, "local", sock_addr_text(local, &f->local));
	json_string(j, "to", scmdev_address_text(to, &f->to));
	json_uint(j, "accepted", f->accepted);
	json_end(j);
}

static void
scm_describe(const struct device *d, struct json *j)
{
	const struct scmdev *s = self_const(d);

	json_uint(j, "dialect", s->style.hss ? 12 : 8);
	json_bool(j, "interrupt", s->events);
	json_uint(j, "sockets", s->current);
	json_uint(j, "waiting", s->waiting);
	json_string(j, "misbehave", scmdev_misbehaviour_name(s->misbehaviour));
	json_array(j, "forwards");
	for (unsigned i = 0; i < s->forward_count; i++)
		describe_forward(&s->forwards[i], j);
	json_end(j);
}

static void
report_sockets(const struct scmdev *s, struct json *j)
{
	static const char *const states[] = {
		"new", "opening", "open", "connecting", "connected", "closing",
		"gone",
	};

	json_array(j, "connections");
	for (unsigned i = 0; i < SCMDEV_SOCKETS; i++) {
		const struct scmdev_socket *sock = s->sockets[i];

		if (sock == NULL)
			continue;
		json_object(j, NULL);
		json_uint(j, "socket", sock->id);
		json_string(j, "state", states[sock->state]);
		json_bool(j, "raw", sock->raw);
		json_bool(j, "host_closed", sock->host_closed);
		json_uint(j, "to_host", sock->tx.used);
		json_uint(j, "to_client", sock->rx.used);
		json_uint(j, "waiting", sock->waiting);
		json_uint(j, "unanswered", sock->due_count);
		json_end(j);
	}
	json_end(j);
}

static void
scm_report(const struct device *d, struct json *j, bool more)
{
	const struct scmdev *s = self_const(d);
	const struct scmdev_counters *n = &s->count;

	traffic_report(&s->bulk, j);
	json_uint(j, "events_in", s->event.transfers_in);
	json_uint(j, "events_out", s->event.transfers_out);
	json_uint(j, "opened", n->opened);
	json_uint(j, "connected", n->connected);
	json_uint(j, "refused", n->refused);
	json_uint(j, "closed", n->closed);
	json_uint(j, "host_closed", n->host_closed);
	json_uint(j, "current", s->current);
	json_uint(j, "messages_in", n->messages_in);
	json_uint(j, "messages_out", n->messages_out);
	json_uint(j, "writes_in", n->writes_in);
	json_uint(j, "writes_out", n->writes_out);
	json_uint(j, "data_in", n->data_in);
	json_uint(j, "data_out", n->data_out);
	json_uint(j, "answers_in", n->answers_in);
	json_uint(j, "answers_out", n->answers_out);
	json_uint(j, "late", n->late);
	json_uint(j, "discarded", n->discarded);
	json_uint(j, "most_waiting", n->most_waiting);
	json_uint(j, "unheard", s->unheard);
	json_uint(j, "misbehaved", s->misbehaved);
	strict_report(&s->strict, j);
	if (more)
		report_sockets(s, j);
}

static uint64_t
scm_violations(const struct device *d)
{
	return self_const(d)->strict.total;
}

const struct kind kind_scm = {
	.name = "scm",
	.size = sizeof(struct scmdev),
	.main_in = SCMDEV_IN,
	.main_out = SCMDEV_OUT,
	.defaults = scm_defaults,
	.option = scm_option,
	.init = scm_init,
	.fini = scm_fini,
	.reset = scm_reset,
	.serve = scm_serve,
	.descriptors = SCMDEV_SOCKETS + SCMDEV_FORWARDS,
	.watch = scmdev_watch,
	.watched = scmdev_watched,
	.command = scmdev_command,
	.describe = scm_describe,
	.report = scm_report,
	.violations = scm_violations,
};
