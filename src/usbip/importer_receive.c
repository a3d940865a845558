/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An imported device: what the server answers.  All of this is the receiver's. */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/log.h"
#include "usbip/importer.h"

/* Receives after which what they made us submit is sent: so that one sendmsg()
 * serves several, but the server does not run dry meanwhile. */
#define BATCH 4

/* The URB in flight in that slot, or NULL. */
static struct importer_urb *
find_urb(struct importer *imp, uint32_t seqnum)
{
	/* Acquire: pairs with the release of the claim. */
	return atomic_load_explicit(&imp->slots[seqnum % IMPORTER_URBS_MAX],
	    memory_order_acquire);
}

/* The answer is complete.  One that was asked back is completed by what comes
 * last, out of turn: nobody waits for its data. */
static void
answered(struct importer *imp, struct importer_urb *urb)
{
	urb->answered = true;
	if (!urb->unlinking)
		importer_line_up(imp, urb);
	importer_let_go(imp, urb, 1);
}

static bool
take_ret_submit(struct importer *imp, const struct usbip_pdu *pdu)
{
	struct importer_urb *urb = find_urb(imp, pdu->seqnum);
	const bool in = urb != NULL && importer_urb_is_in(urb);

	if (urb == NULL || urb->seqnum != pdu->seqnum || urb->answered ||
	    usbip_ret_submit_payload(pdu, in, urb->length, urb->iso_count) < 0)
		return false;
	urb->status = pdu->ret_submit.status;
	urb->actual = (uint32_t)pdu->ret_submit.actual;
	urb->start_frame = pdu->ret_submit.start_frame;
	imp->filled = 0;
	imp->fill_data = in ? urb->actual : 0;
	imp->fill_iso = urb->iso_count * USBIP_ISO_SIZE;
	imp->small = imp->fill_data + imp->fill_iso <= IMPORTER_SMALL;
	if (imp->fill_data + imp->fill_iso > 0)
		imp->filling = urb;
	else
		answered(imp, urb);
	return true;
}

static bool
take_ret_unlink(struct importer *imp, const struct usbip_pdu *pdu)
{
	struct importer_urb *urb = find_urb(imp, pdu->seqnum);
	uint32_t holds = 1;

	if (urb == NULL || !urb->unlinking ||
	    urb->unlink_seqnum != pdu->seqnum)
		return false;
	urb->unlinking = false;
	/* With status 0 it was too late: the answer has come, or comes.  (The
	 * kernel's comes before, but not every server's.) */
	if (pdu->ret_unlink.status != 0 && !urb->answered) {
		urb->status = pdu->ret_unlink.status;
		urb->answered = true;
		holds = 2;
	}
	importer_let_go(imp, urb, holds);
	return true;
}

static bool
take_answer(struct importer *imp, const struct usbip_pdu *pdu)
{
	switch (pdu->command) {
	case USBIP_RET_SUBMIT:
		return take_ret_submit(imp, pdu);
	case USBIP_RET_UNLINK:
		return take_ret_unlink(imp, pdu);
	default:
		return false;
	}
}

/* The server sent what cannot be; always false. */
static bool
malformed(const struct importer *imp, const char *what, const uint8_t *bytes)
{
	char hex[LOG_HEX_MAX];

	log_warning("USB/IP device %u-%u: malformed %s of its server: %s",
	    imp->devid >> 16, imp->devid & 0xffff, what,
	    log_hex(hex, bytes, 16));
	return false;
}

/* A whole head is in the buffer. */
static bool
take_pdu(struct importer *imp)
{
	const uint8_t *head = imp->buffer + imp->taken;
	struct usbip_pdu pdu;

	imp->taken += USBIP_PDU_SIZE;
	usbip_pdu_decode(&pdu, head);
	return take_answer(imp, &pdu) || malformed(imp, "PDU", head);
}

/* ---- Payloads ---- */

/* Where the next bytes of the payload go, and how many there may be. */
static uint8_t *
fill_room(const struct importer *imp, size_t *room)
{
	const struct importer_urb *urb = imp->filling;
	const uint32_t filled = imp->filled;

	if (filled < imp->fill_data) {
		*room = imp->fill_data - filled;
		return (uint8_t *)urb->buffer + filled;
	}
	*room = imp->fill_data + imp->fill_iso - filled;
	return urb->iso_bytes + (filled - imp->fill_data);
}

/* `len` bytes of payload have come.  False: nonsense. */
static bool
filled_more(struct importer *imp, size_t len)
{
	struct importer_urb *urb = imp->filling;

	imp->filled += (uint32_t)len;
	if (imp->filled < imp->fill_data + imp->fill_iso)
		return true;
	imp->filling = NULL;
	if (urb->iso_count > 0 &&
	    !importer_iso_take(urb, importer_urb_is_in(urb)))
		return malformed(imp, "packets", urb->iso_bytes);
	answered(imp, urb);
	return true;
}

static bool
fill_from_buffer(struct importer *imp, size_t left)
{
	size_t room;
	uint8_t *to = fill_room(imp, &room);
	const size_t n = left < room ? left : room;

	memcpy(to, imp->buffer + imp->taken, n);
	imp->taken += n;
	return filled_more(imp, n);
}

/* Makes the most of what is in the buffer.  False: nonsense. */
static bool
use_buffer(struct importer *imp)
{
	bool good = true;

	while (good && imp->taken < imp->buffered) {
		const size_t left = imp->buffered - imp->taken;

		if (imp->filling != NULL)
			good = fill_from_buffer(imp, left);
		else if (left >= USBIP_PDU_SIZE)
			good = take_pdu(imp);
		else
			break;
	}
	imp->buffered -= imp->taken;
	memmove(imp->buffer, imp->buffer + imp->taken, imp->buffered);
	imp->taken = 0;
	return good;
}

/* ---- The socket ---- */

/*
 * One recvmsg(): the rest of a payload where it belongs, and what follows it
 * into the buffer.  False: the connection has ended, or is nonsense.
 */
static bool
receive(struct importer *imp)
{
	const size_t room =
	    (imp->small ? IMPORTER_BUFFER : IMPORTER_HEADS) - imp->buffered;
	struct iovec iov[2];
	struct msghdr mh = { .msg_iov = iov };
	size_t direct = 0;
	ssize_t n;

	if (imp->filling != NULL) {
		/* The buffer is empty: use_buffer() has seen to that. */
		iov[0].iov_base = fill_room(imp, &direct);
		iov[0].iov_len = direct;
		mh.msg_iovlen = 1;
	}
	iov[mh.msg_iovlen].iov_base = imp->buffer + imp->buffered;
	iov[mh.msg_iovlen++].iov_len = room;
	n = recvmsg(imp->fd, &mh, MSG_DONTWAIT);
	if (n <= 0) {
		imp->drained = true;
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	}
	imp->received += (uint64_t)n;
	imp->drained = (size_t)n < direct + room;
	if ((size_t)n > direct)
		imp->buffered += (size_t)n - direct;
	return direct == 0 ||
	    filled_more(imp, (size_t)n < direct ? (size_t)n : direct);
}

short
importer_events(const struct importer *imp)
{
	return imp->is_sender ? POLLIN | POLLOUT : POLLIN;
}

static void
complete_late(struct importer *imp)
{
	struct qnode *n = queue_take(&imp->late);

	while (n != NULL) {
		struct importer_send *s = (struct importer_send *)n;

		n = n->next;
		/* Its last hold is gone; what remains is to say so. */
		importer_let_go(imp, s->urb, 0);
	}
}

bool
importer_work(struct importer *imp)
{
	int left = BATCH;

	imp->batching = true;
	complete_late(imp);
	do {
		if (!receive(imp) || !use_buffer(imp))
			importer_break(imp);
	} while (--left > 0 && !imp->drained &&
	    !atomic_load_explicit(&imp->broken, memory_order_relaxed));
	imp->batching = false;
	if (imp->is_sender)
		importer_send_all(imp, false);
	return !atomic_load_explicit(&imp->broken, memory_order_relaxed);
}
