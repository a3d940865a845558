/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/echo.h"

#include <string.h>

#include "base/json.h"

void
echo_fini(struct echo *x)
{
	ring_fini(&x->held);
}

void
echo_reset(struct echo *x)
{
	ring_drop(&x->held, x->held.used);
}

static bool
take(struct echo *x, struct endpoint *e, const struct usbip_urb *urb,
    struct outcome *out)
{
	const size_t left = urb->length - e->progress;
	const size_t room = ECHO_MAX - x->held.used;
	const size_t n = left < room ? left : room;

	out->actual = e->progress;
	if (!ring_put(&x->held, urb->buffer + e->progress, n)) {
		out->status = USBIP_ENOMEM;
		return true;
	}
	e->progress += (uint32_t)n;
	if (e->progress < urb->length)
		return false;
	out->actual = urb->length;
	traffic_take(&x->traffic, e, urb, urb->length);
	return true;
}

/* The transfer has ended amid a packet, which the device has sent whole. */
static void
lose_rest(struct echo *x, const struct endpoint *e, uint32_t room)
{
	const size_t rest = e->packet - room % e->packet;
	const size_t n = rest < x->held.used ? rest : x->held.used;

	ring_drop(&x->held, n);
	x->lost += n;
}

static bool
give(struct echo *x, const struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	struct span piece[2];

	if (x->held.used == 0)
		return false;
	out->actual = (uint32_t)ring_peek(&x->held, urb->length, piece);
	memcpy(urb->buffer, piece[0].at, piece[0].len);
	if (piece[1].len > 0)
		memcpy(urb->buffer + piece[0].len, piece[1].at, piece[1].len);
	ring_drop(&x->held, out->actual);
	if (x->held.used > 0 && urb->length % e->packet != 0) {
		out->status = USBIP_EOVERFLOW;
		lose_rest(x, e, urb->length);
	}
	traffic_give(&x->traffic, e, urb, out);
	return true;
}

bool
echo_serve(struct echo *x, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	return endpoint_is_in(e) ? give(x, e, urb, out) : take(x, e, urb, out);
}

void
echo_report(const struct echo *x, struct json *j)
{
	traffic_report(&x->traffic, j);
	json_uint(j, "held", x->held.used);
	json_uint(j, "lost", x->lost);
}
