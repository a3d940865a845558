/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbip/importer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Items that one sendmsg() takes; each has a head and perhaps data. */
#define SEND_ITEMS 16

/* A seqnum holds its slot in the low bits; the rest counts, so that an answer
 * to a URB that is no more is not taken for one of its successor's. */
#define SLOT_BITS 9
_Static_assert(IMPORTER_URBS_MAX == 1 << SLOT_BITS, "a slot fits a seqnum");

/* How long an answer may be early, when the sender's thread does not get to
 * run; see await_sent(). */
#define EARLY_WAIT_MS 1000

void
importer_init(struct importer *imp, int fd, uint32_t devid)
{
	memset(imp, 0, sizeof *imp);
	imp->fd = fd;
	imp->devid = devid;
	sock_set_nonblocking(fd, true);
	queue_init(&imp->out);
}

static bool
is_broken(struct importer *imp)
{
	return atomic_load_explicit(&imp->broken, memory_order_relaxed);
}

void
importer_break(struct importer *imp)
{
	atomic_store_explicit(&imp->broken, true, memory_order_relaxed);
	shutdown(imp->fd, SHUT_RDWR);
}

/* ---- Sending ---- */

static struct importer_send *
send_of(struct qnode *n)
{
	return (struct importer_send *)n; /* node is the first member */
}

static size_t
data_len(const struct importer_send *s)
{
	if (s->urb == NULL || (s->urb->endpoint & 0x80) != 0)
		return 0;
	if (s->urb->endpoint == 0 && (s->urb->setup[0] & 0x80) != 0)
		return 0;
	return s->urb->length;
}

/* Adds what has not been sent of `len` bytes to the vector. */
static unsigned
add_part(struct iovec *iov, unsigned n, const void *bytes, size_t len,
    size_t *skip)
{
	if (*skip >= len) {
		*skip -= len;
		return n;
	}
	iov[n].iov_base = (char *)bytes + *skip;
	iov[n].iov_len = len - *skip;
	*skip = 0;
	return n + 1;
}

static unsigned
gather(const struct importer *imp, struct iovec iov[2 * SEND_ITEMS])
{
	size_t skip = imp->backlog_sent;
	struct qnode *node = imp->backlog;
	unsigned n = 0;

	for (int i = 0; i < SEND_ITEMS && node != NULL; i++) {
		const struct importer_send *s = send_of(node);

		n = add_part(iov, n, s->pdu, sizeof s->pdu, &skip);
		if (data_len(s) > 0)
			n = add_part(iov, n, s->urb->buffer, data_len(s),
			    &skip);
		node = node->next;
	}
	return n;
}

/* `len` more bytes of the backlog have gone. */
static void
drop_sent(struct importer *imp, size_t len)
{
	imp->backlog_sent += len;
	while (imp->backlog != NULL) {
		struct importer_send *s = send_of(imp->backlog);
		const size_t size = sizeof s->pdu + data_len(s);

		if (imp->backlog_sent < size)
			return;
		imp->backlog_sent -= size;
		imp->backlog = s->node.next;
		/* Release: pairs with the acquire in await_sent().  The item
		 * may be gone after it. */
		if (s->urb != NULL)
			atomic_store_explicit(&s->urb->sent, true,
			    memory_order_release);
	}
}

static void
take_more(struct importer *imp)
{
	struct qnode **end = &imp->backlog;

	while (*end != NULL)
		end = &(*end)->next;
	*end = queue_take(&imp->out);
}

static bool
wait_for_room(struct importer *imp)
{
	struct pollfd pfd = { .fd = imp->fd, .events = POLLOUT };

	while (poll(&pfd, 1, -1) < 0)
		if (errno != EINTR)
			return false;
	return (pfd.revents & (POLLERR | POLLHUP)) == 0;
}

/* Sends the backlog.  False: some is left, because the socket is full. */
static bool
send_backlog(struct importer *imp, bool may_block)
{
	for (;;) {
		struct iovec iov[2 * SEND_ITEMS];
		struct msghdr mh = { .msg_iov = iov };
		ssize_t n;

		take_more(imp);
		if (imp->backlog == NULL || is_broken(imp))
			return true;
		mh.msg_iovlen = gather(imp, iov);
		n = sendmsg(imp->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			drop_sent(imp, (size_t)n);
		} else if (errno == EAGAIN) {
			if (!may_block)
				return false;
			if (!wait_for_room(imp))
				importer_break(imp);
		} else if (errno != EINTR) {
			importer_break(imp);
		}
	}
}

/*
 * Sends what is queued unless somebody else is at it.  Sequentially consistent:
 * either the one who is at it sees our item, or we see that it has stopped.
 */
static void
flush(struct importer *imp, bool may_block)
{
	while (!atomic_exchange(&imp->sending, true)) {
		const bool all = send_backlog(imp, may_block);

		atomic_store(&imp->unsent, !all);
		atomic_store(&imp->sending, false);
		if (!all || is_broken(imp) || queue_is_empty(&imp->out))
			return;
	}
}

/* A slot of its own for the URB, and with it its seqnum. */
static bool
claim_slot(struct importer *imp, struct importer_urb *urb)
{
	for (unsigned i = 0; i < IMPORTER_URBS_MAX; i++) {
		const uint32_t seqnum = atomic_fetch_add_explicit(
		    &imp->next_seqnum, 1, memory_order_relaxed);
		struct importer_urb *empty = NULL;

		urb->seqnum = seqnum;
		/* Release: pairs with the acquire in find_urb(). */
		if (seqnum != 0 &&
		    atomic_compare_exchange_strong_explicit(
			&imp->slots[seqnum % IMPORTER_URBS_MAX], &empty, urb,
			memory_order_release, memory_order_relaxed))
			return true;
	}
	return false;
}

bool
importer_submit(struct importer *imp, struct importer_urb *urb,
    bool may_block)
{
	const bool control = (urb->endpoint & 0x7f) == 0;
	const bool in = control ? (urb->setup[0] & 0x80) != 0
				: (urb->endpoint & 0x80) != 0;
	struct usbip_pdu pdu = {
		.command = USBIP_CMD_SUBMIT,
		.devid = imp->devid,
		.direction = in,
		.endpoint = urb->endpoint & 0x7f,
	};

	atomic_init(&urb->sent, false);
	urb->unlinked = false;
	urb->actual = 0;
	if (is_broken(imp) || !claim_slot(imp, urb))
		return false;
	pdu.seqnum = urb->seqnum;
	pdu.submit.flags = urb->flags | (in ? USBIP_DIR_IN_FLAG : 0);
	pdu.submit.length = (int32_t)urb->length;
	memcpy(pdu.submit.setup, urb->setup, sizeof urb->setup);
	usbip_pdu_encode(urb->send.pdu, &pdu);
	urb->send.urb = urb;
	queue_push(&imp->out, &urb->send.node);
	flush(imp, may_block);
	return true;
}

void
importer_unlink(struct importer *imp, struct importer_urb *urb)
{
	struct usbip_pdu pdu = {
		.command = USBIP_CMD_UNLINK,
		.devid = imp->devid,
	};

	if (urb->unlinked)
		return;
	urb->unlinked = true;
	/* Any number of another slot's would do; this one cannot be taken for
	 * the URB's own, and leads back to it. */
	urb->unlink_seqnum = urb->seqnum ^ 1u << 31;
	pdu.seqnum = urb->unlink_seqnum;
	pdu.unlink.seqnum = urb->seqnum;
	usbip_pdu_encode(urb->send_unlink.pdu, &pdu);
	urb->send_unlink.urb = NULL;
	queue_push(&imp->out, &urb->send_unlink.node);
	flush(imp, false);
}

/* ---- Receiving ---- */

/*
 * Waits until the sender knows that the URB has been sent.  An honest answer
 * can overtake only the few instructions between its sendmsg() and that note; a
 * dishonest one, which comes before its question, ends the connection.
 */
static bool
await_sent(struct importer *imp, struct importer_urb *urb)
{
	for (int i = 0; i < EARLY_WAIT_MS + 100 && !is_broken(imp); i++) {
		/* Acquire: pairs with the release in drop_sent(). */
		if (atomic_load_explicit(&urb->sent, memory_order_acquire))
			return true;
		if (i < 100)
			sched_yield();
		else
			poll(NULL, 0, 1);
	}
	return false;
}

/* The URB in flight in that slot; NULL when there is none. */
static struct importer_urb *
find_urb(struct importer *imp, uint32_t seqnum)
{
	/* Acquire: pairs with the release of the claim. */
	struct importer_urb *urb = atomic_load_explicit(
	    &imp->slots[seqnum % IMPORTER_URBS_MAX], memory_order_acquire);

	return urb != NULL && await_sent(imp, urb) ? urb : NULL;
}

static void
finish(struct importer *imp, struct importer_urb *urb, int32_t status)
{
	urb->status = status;
	/* Release: pairs with the claim of the next submitter. */
	atomic_store_explicit(&imp->slots[urb->seqnum % IMPORTER_URBS_MAX],
	    NULL, memory_order_release);
	urb->complete(urb);
}

static bool
urb_is_in(const struct importer_urb *urb)
{
	return (urb->endpoint & 0x80) != 0 ||
	    (urb->endpoint == 0 && (urb->setup[0] & 0x80) != 0);
}

static bool
take_ret_submit(struct importer *imp, const struct usbip_pdu *pdu)
{
	struct importer_urb *urb = find_urb(imp, pdu->seqnum);
	int64_t follows;

	if (urb == NULL || urb->seqnum != pdu->seqnum)
		return false;
	follows = usbip_ret_submit_payload(pdu, urb_is_in(urb), urb->length, 0);
	if (follows < 0)
		return false;
	urb->status = pdu->ret_submit.status;
	urb->actual = (uint32_t)pdu->ret_submit.actual;
	if (follows == 0) {
		finish(imp, urb, urb->status);
		return true;
	}
	imp->filling = urb;
	imp->filled = 0;
	imp->to_fill = (uint32_t)follows;
	return true;
}

static bool
take_ret_unlink(struct importer *imp, const struct usbip_pdu *pdu)
{
	struct importer_urb *urb = find_urb(imp, pdu->seqnum);

	/* Its RET_SUBMIT was first, as the status 0 says too. */
	if (urb == NULL || !urb->unlinked ||
	    urb->unlink_seqnum != pdu->seqnum)
		return pdu->ret_unlink.status == 0;
	/* Too late to take it back, says the server; but then its answer came
	 * before this, and the URB would not be here. */
	if (pdu->ret_unlink.status == 0)
		return false;
	urb->actual = 0;
	finish(imp, urb, pdu->ret_unlink.status);
	return true;
}

/* A whole head is in the buffer. */
static bool
take_pdu(struct importer *imp)
{
	struct usbip_pdu pdu;

	if (usbip_pdu_decode(&pdu, imp->buffer + imp->taken) < 0)
		return false;
	imp->taken += USBIP_PDU_SIZE;
	switch (pdu.command) {
	case USBIP_RET_SUBMIT:
		return take_ret_submit(imp, &pdu);
	case USBIP_RET_UNLINK:
		return take_ret_unlink(imp, &pdu);
	default:
		return false;
	}
}

static void
filled_more(struct importer *imp, uint32_t len)
{
	struct importer_urb *urb = imp->filling;

	imp->filled += len;
	if (imp->filled < imp->to_fill)
		return;
	imp->filling = NULL;
	finish(imp, urb, urb->status);
}

/* Makes the most of what is in the buffer.  False: nonsense. */
static bool
use_buffer(struct importer *imp)
{
	for (;;) {
		const size_t left = imp->buffered - imp->taken;

		if (imp->filling != NULL) {
			const uint32_t missing = imp->to_fill - imp->filled;
			const uint32_t n =
			    left < missing ? (uint32_t)left : missing;

			if (n == 0)
				break;
			memcpy((uint8_t *)imp->filling->buffer + imp->filled,
			    imp->buffer + imp->taken, n);
			imp->taken += n;
			filled_more(imp, n);
		} else if (left < USBIP_PDU_SIZE) {
			break;
		} else if (!take_pdu(imp)) {
			return false;
		}
	}
	imp->buffered -= imp->taken;
	memmove(imp->buffer, imp->buffer + imp->taken, imp->buffered);
	imp->taken = 0;
	return true;
}

/* One recvmsg(): the rest of a payload where it belongs, and what follows it
 * into the buffer.  Bytes received, 0 for none, -1 for the end. */
static ssize_t
receive(struct importer *imp)
{
	struct iovec iov[2];
	struct msghdr mh = { .msg_iov = iov };
	uint32_t direct = 0;
	ssize_t n;

	if (imp->filling != NULL) {
		/* The buffer is empty: use_buffer() has seen to that. */
		direct = imp->to_fill - imp->filled;
		iov[mh.msg_iovlen].iov_base =
		    (uint8_t *)imp->filling->buffer + imp->filled;
		iov[mh.msg_iovlen++].iov_len = direct;
	}
	iov[mh.msg_iovlen].iov_base = imp->buffer + imp->buffered;
	iov[mh.msg_iovlen++].iov_len = sizeof imp->buffer - imp->buffered;
	n = recvmsg(imp->fd, &mh, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	if ((size_t)n > direct)
		imp->buffered += (size_t)n - direct;
	if (direct > 0)
		filled_more(imp, (size_t)n < direct ? (uint32_t)n : direct);
	return n;
}

short
importer_events(struct importer *imp)
{
	return atomic_load(&imp->unsent) ? POLLIN | POLLOUT : POLLIN;
}

bool
importer_work(struct importer *imp)
{
	ssize_t n;

	if (atomic_load(&imp->unsent))
		flush(imp, false);
	n = receive(imp);
	if (n < 0 || !use_buffer(imp))
		importer_break(imp);
	return !is_broken(imp);
}

/* ---- End ---- */

void
importer_abort(struct importer *imp)
{
	importer_break(imp);
	for (unsigned i = 0; i < IMPORTER_URBS_MAX; i++) {
		struct importer_urb *urb = atomic_load_explicit(
		    &imp->slots[i], memory_order_acquire);

		if (urb == NULL)
			continue;
		urb->actual = 0;
		finish(imp, urb, USBIP_ESHUTDOWN);
	}
}

void
importer_fini(struct importer *imp)
{
	close(imp->fd);
}
