/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "base/log.h"
#include "phone/sourcesink.h"

/* ---- Bulk --------------------------------------------------------------- */

/* A transfer that is no multiple of a packet ends amid one: babble. */
static void
give(struct sourcesink *s, const struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	for (uint32_t at = 0; at < urb->length; at += e->packet) {
		const uint32_t left = urb->length - at;

		memcpy(urb->buffer + at, s->packet,
		    left < e->packet ? left : e->packet);
	}
	out->actual = urb->length;
	if (urb->length % e->packet != 0)
		out->status = USBIP_EOVERFLOW;
	traffic_give(&s->bulk, e, urb, out);
}

static bool
has_pattern(const struct sourcesink *s, const uint8_t *bytes, uint32_t len)
{
	return s->pattern == PATTERN_NONE || memcmp(bytes, s->packet, len) == 0;
}

static void
tell_mismatch(const struct sourcesink *s, const struct endpoint *e,
    const uint8_t *bytes, uint32_t len, uint32_t at)
{
	char hex[LOG_HEX_MAX];

	log_info("sourcesink %u: endpoint %u: the packet at %u of a transfer "
	    "is not the pattern: %u bytes: %s", s->usb.id.index, e->address,
	    at, len, log_hex(hex, bytes, len < 16 ? len : 16));
}

/* The packet that differs is answered with a stall; those before it have been
 * taken. */
static void
take(struct sourcesink *s, const struct endpoint *e,
    const struct usbip_urb *urb, struct outcome *out)
{
	uint32_t at = 0;

	while (at < urb->length) {
		const uint32_t left = urb->length - at;
		const uint32_t n = left < e->packet ? left : e->packet;

		if (!has_pattern(s, urb->buffer + at, n)) {
			tell_mismatch(s, e, urb->buffer + at, n, at);
			s->mismatches++;
			out->status = USBIP_EPIPE;
			break;
		}
		at += n;
	}
	out->actual = at;
	traffic_take(&s->bulk, e, urb, at);
}

/* ---- Isochronous --------------------------------------------------------
 * Time is counted in frames of 1 ms at full speed, and in microframes of
 * 125 us above, as Linux does in start_frame. */

static int64_t
frame_ns(const struct sourcesink *s)
{
	return s->usb.profile.speed == DESC_FULL ? 1000000 : 125000;
}

static uint32_t
frame_now(const struct sourcesink *s)
{
	return (uint32_t)((clock_now().ns - s->frame_0.ns) / frame_ns(s)) &
	    INT32_MAX;
}

/* Whether `a` comes before `b`, in a circle of 2 to the 31. */
static bool
frame_before(uint32_t a, uint32_t b)
{
	return ((b - a) & INT32_MAX) - 1 < INT32_MAX / 2;
}

/*
 * Gives the transfer its frames: those behind the last one, or from the one on
 * that the host asks for.  Without pace, time does not pass by itself; with it,
 * frames pass unused unless the transfer has been there when the last one
 * ended, however late we look.
 */
static void
begin(struct sourcesink *s, struct endpoint *e, struct usbip_urb *urb)
{
	const unsigned way = endpoint_is_in(e);
	uint32_t *next = &s->next_frame[way];
	const uint32_t now = frame_now(s);
	const uint32_t wanted = (uint32_t)urb->start_frame & INT32_MAX;

	if (s->iso_pace && !s->queued[way] && frame_before(*next, now))
		*next = now;
	s->queued[way] = false;
	if ((urb->flags & USBIP_ISO_ASAP) == 0 && frame_before(*next, wanted))
		*next = wanted;
	urb->start_frame = (int32_t)*next;
	*next = (*next + (urb->iso_count << (e->interval - 1))) & INT32_MAX;
	e->progress = 1; /* it has its frames; ISO has no other use for it */
}

/* False: its last packet's time is not over. */
static bool
is_over(struct sourcesink *s, const struct endpoint *e)
{
	const uint32_t now = frame_now(s);
	const uint32_t end = s->next_frame[endpoint_is_in(e)];

	if (!s->iso_pace || !frame_before(now, end))
		return true;
	device_wait(&s->usb, (struct moment){ clock_now().ns +
		(int64_t)((end - now) & INT32_MAX) * frame_ns(s) });
	return false;
}

static void
give_packet(struct sourcesink *s, const struct endpoint *e,
    struct usbip_urb *urb, struct usbip_iso *p)
{
	const bool fits = p->length >= e->packet;

	p->actual = fits ? e->packet : p->length;
	p->status = fits ? USBIP_OK : USBIP_EOVERFLOW;
	memcpy(urb->buffer + p->offset, s->packet, p->actual);
	s->iso_packets_out++;
	s->iso_bytes_out += p->actual;
	s->iso_babbles += !fits;
}

static void
take_packet(struct sourcesink *s, const struct endpoint *e,
    const struct usbip_urb *urb, struct usbip_iso *p)
{
	p->actual = p->length;
	p->status = USBIP_OK;
	s->iso_packets_in++;
	s->iso_bytes_in += p->actual;
	if (has_pattern(s, urb->buffer + p->offset, p->length))
		return;
	tell_mismatch(s, e, urb->buffer + p->offset, p->length, p->offset);
	s->iso_mismatches++;
}

/* A host controller does not begin on packets that the endpoint cannot take. */
static bool
is_sound(const struct endpoint *e, const struct usbip_urb *urb)
{
	for (uint32_t i = 0; !endpoint_is_in(e) && i < urb->iso_count; i++)
		if (urb->iso[i].length > e->packet)
			return false;
	return true;
}

static bool
serve_iso(struct sourcesink *s, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	if (!is_sound(e, urb)) {
		s->bad_transfers++;
		out->status = USBIP_EINVAL;
		return true;
	}
	if (e->progress == 0)
		begin(s, e, urb);
	if (!is_over(s, e))
		return false;
	for (uint32_t i = 0; i < urb->iso_count; i++) {
		if (endpoint_is_in(e))
			give_packet(s, e, urb, &urb->iso[i]);
		else
			take_packet(s, e, urb, &urb->iso[i]);
		out->actual += urb->iso[i].actual;
	}
	s->queued[endpoint_is_in(e)] = e->last != urb;
	return true;
}

bool
sourcesink_serve(struct device *d, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	struct sourcesink *s = (struct sourcesink *)d;

	if (e->transfer == DESC_ISOCHRONOUS)
		return serve_iso(s, e, urb, out);
	if (s->loop)
		return echo_serve(&s->echo, e, urb, out);
	if (endpoint_is_in(e))
		give(s, e, urb, out);
	else
		take(s, e, urb, out);
	return true;
}
