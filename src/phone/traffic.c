/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/traffic.h"

#include "base/json.h"

static uint64_t
packets_of(const struct endpoint *e, uint32_t len)
{
	return (len + e->packet - 1u) / e->packet;
}

void
traffic_take(struct traffic *t, const struct endpoint *e,
    const struct usbip_urb *urb, uint32_t len)
{
	const bool whole = len == urb->length;

	t->transfers_in++;
	t->bytes_in += len;
	t->packets_in += packets_of(e, len);
	if (whole && len % e->packet == 0 &&
	    (len == 0 || (urb->flags & USBIP_ZERO_PACKET) != 0))
		t->zlps_in++;
}

void
traffic_give(struct traffic *t, const struct endpoint *e,
    const struct usbip_urb *urb, const struct outcome *out)
{
	t->transfers_out++;
	t->bytes_out += out->actual;
	t->packets_out += packets_of(e, out->actual);
	if (out->status == USBIP_EOVERFLOW)
		t->babbles++;
	else if (out->actual < urb->length && out->actual % e->packet == 0)
		t->zlps_out++;
}

void
traffic_report(const struct traffic *t, struct json *j)
{
	json_uint(j, "transfers_in", t->transfers_in);
	json_uint(j, "transfers_out", t->transfers_out);
	json_uint(j, "packets_in", t->packets_in);
	json_uint(j, "packets_out", t->packets_out);
	json_uint(j, "bytes_in", t->bytes_in);
	json_uint(j, "bytes_out", t->bytes_out);
	json_uint(j, "zlps_in", t->zlps_in);
	json_uint(j, "zlps_out", t->zlps_out);
	json_uint(j, "babbles", t->babbles);
}
