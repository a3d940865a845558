/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An imported device: URBs and how they are sent. */

#include "usbip/importer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

/* PDUs that one sendmsg() takes: each has a head and perhaps data and
 * descriptors. */
#define SEND_ITEMS 16
#define SEND_PARTS (3 * SEND_ITEMS)

/* A seqnum holds its slot in the low bits; the rest counts, so that an answer
 * to a URB that is no more is not taken for one of its successor's. */
#define SLOT_BITS 9
_Static_assert(IMPORTER_URBS_MAX == 1 << SLOT_BITS, "a slot fits a seqnum");
#define UNLINK_BIT 0x80000000u

void
importer_init(struct importer *imp, int fd, uint32_t devid,
    struct waker *waker)
{
	memset(imp, 0, sizeof *imp);
	imp->fd = fd;
	imp->devid = devid;
	imp->waker = waker_get(waker);
	imp->backlog_end = &imp->backlog;
	imp->line_end = &imp->line;
	sock_set_nonblocking(fd, true);
	queue_init(&imp->out);
	queue_idle(&imp->out);
	queue_init(&imp->late);
}

static bool
is_broken(const struct importer *imp)
{
	return atomic_load_explicit(&imp->broken, memory_order_relaxed);
}

void
importer_break(struct importer *imp)
{
	atomic_store_explicit(&imp->broken, true, memory_order_relaxed);
	shutdown(imp->fd, SHUT_RDWR);
}

/* ---- Who holds a URB ---- */

static void
finish(struct importer *imp, struct importer_urb *urb)
{
	/* Release: pairs with the claim of the next submitter. */
	atomic_store_explicit(&imp->slots[urb->seqnum % IMPORTER_URBS_MAX],
	    NULL, memory_order_release);
	/* Behind it, and released, so that a reservation finds its slots. */
	atomic_fetch_sub_explicit(&imp->in_flight, 1, memory_order_release);
	urb->complete(urb);
}

/* True when that was the last hold. */
static bool
drop_holds(struct importer_urb *urb, uint32_t n)
{
	/* Release and acquire pair among the holders: who completes the URB
	 * sees that all have let go. */
	return atomic_fetch_sub_explicit(&urb->holds, n,
		   memory_order_acq_rel) == n;
}

void
importer_line_up(struct importer *imp, struct importer_urb *urb)
{
	urb->in_line = true;
	urb->next_in_line = NULL;
	*imp->line_end = urb;
	imp->line_end = &urb->next_in_line;
}

static void
finish_line(struct importer *imp)
{
	while (imp->line != NULL && imp->line->released) {
		struct importer_urb *urb = imp->line;

		imp->line = urb->next_in_line;
		if (imp->line == NULL)
			imp->line_end = &imp->line;
		finish(imp, urb);
	}
}

void
importer_let_go(struct importer *imp, struct importer_urb *urb, uint32_t n)
{
	if (!drop_holds(urb, n))
		return;
	urb->released = true;
	if (urb->in_line)
		finish_line(imp);
	else
		finish(imp, urb);
}

/* The sender has sent an item.  If it is the last to let go, the answer was
 * faster than this note: completing is then for the receiver. */
static void
note_sent(struct importer *imp, struct importer_urb *urb)
{
	if (!drop_holds(urb, 1))
		return;
	queue_push(&imp->late, &urb->send.node);
	waker_wake(imp->waker);
}

/* ---- Sending ---- */

static struct importer_send *
send_of(struct qnode *n)
{
	return (struct importer_send *)n; /* node is the first member */
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
gather(const struct importer *imp, struct iovec iov[SEND_PARTS])
{
	size_t skip = imp->backlog_sent;
	struct qnode *node = imp->backlog;
	unsigned n = 0;

	for (int i = 0; i < SEND_ITEMS && node != NULL; i++) {
		const struct importer_send *s = send_of(node);

		n = add_part(iov, n, s->pdu, sizeof s->pdu, &skip);
		n = add_part(iov, n, s->urb->buffer, s->data, &skip);
		n = add_part(iov, n, s->urb->iso_bytes, s->iso, &skip);
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
		const struct importer_send *s = send_of(imp->backlog);
		const size_t size = sizeof s->pdu + s->data + s->iso;

		if (imp->backlog_sent < size)
			return;
		imp->backlog_sent -= size;
		imp->backlog = s->node.next;
		if (imp->backlog == NULL)
			imp->backlog_end = &imp->backlog;
		note_sent(imp, s->urb); /* it may be gone now */
	}
}

static void
take_more(struct importer *imp)
{
	struct qnode *n = queue_take(&imp->out);

	if (n == NULL)
		return;
	*imp->backlog_end = n;
	while (n->next != NULL)
		n = n->next;
	imp->backlog_end = &n->next;
}

/* For the sender that may wait. */
static void
wait_for_room(struct importer *imp)
{
	struct pollfd pfd = { .fd = imp->fd, .events = POLLOUT };

	while (poll(&pfd, 1, -1) < 0)
		if (errno != EINTR) {
			importer_break(imp);
			return;
		}
}

/* One sendmsg().  False: there is no room. */
static bool
send_some(struct importer *imp)
{
	struct iovec iov[SEND_PARTS];
	struct msghdr mh = { .msg_iov = iov };
	ssize_t n;

	mh.msg_iovlen = gather(imp, iov);
	n = sendmsg(imp->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n >= 0) {
		imp->sent += (uint64_t)n;
		drop_sent(imp, (size_t)n);
	} else if (errno == EAGAIN) {
		return false;
	} else if (errno != EINTR) {
		importer_break(imp);
	}
	return true;
}

/*
 * The role of the sender is given up by queue_idle(), which fails when somebody
 * has pushed meanwhile, and so passes on all that the sender owns.  On a broken
 * connection it is kept for ever: what is queued then is the abort's.
 */
void
importer_send_all(struct importer *imp, bool may_block)
{
	while (!is_broken(imp)) {
		take_more(imp);
		if (imp->backlog == NULL) {
			/* What is the receiver's must be written before. */
			if (!may_block)
				imp->is_sender = false;
			if (queue_idle(&imp->out))
				return;
		} else if (!send_some(imp)) {
			if (!may_block) {
				imp->is_sender = true;
				return;
			}
			wait_for_room(imp);
		}
	}
}

/* The caller has become the sender. */
static void
begin_sending(struct importer *imp, bool may_block)
{
	if (!may_block && (imp->batching || imp->corked))
		imp->is_sender = true; /* importer_work() sends at its end */
	else
		importer_send_all(imp, may_block);
}

void
importer_cork(struct importer *imp, bool corked)
{
	if (imp->corked == corked)
		return;
	imp->corked = corked;
	if (!corked && imp->is_sender && !imp->batching)
		importer_send_all(imp, false);
}

/* ---- URBs ---- */

static bool
reserve_slots(struct importer *imp, unsigned count)
{
	/* Acquire: pairs with the release in finish(). */
	if (atomic_fetch_add_explicit(&imp->in_flight, count,
		memory_order_acquire) + count <= IMPORTER_URBS_MAX)
		return true;
	atomic_fetch_sub_explicit(&imp->in_flight, count,
	    memory_order_relaxed);
	return false;
}

/* A slot of its own for the URB, and with it its seqnum.  One has been
 * reserved, so there is one. */
static void
claim_slot(struct importer *imp, struct importer_urb *urb)
{
	struct importer_urb *empty;
	uint32_t seqnum;

	do {
		do
			seqnum = atomic_fetch_add_explicit(&imp->next_seqnum,
			    1, memory_order_relaxed);
		while ((seqnum & ~UNLINK_BIT) == 0);
		urb->seqnum = seqnum;
		empty = NULL;
		/* Release: pairs with the acquire in find_urb(). */
	} while (!atomic_compare_exchange_strong_explicit(
	    &imp->slots[seqnum % IMPORTER_URBS_MAX], &empty, urb,
	    memory_order_acq_rel, memory_order_relaxed));
}

bool
importer_urb_is_in(const struct importer_urb *urb)
{
	return (urb->endpoint & 0x7f) == 0 ? (urb->setup[0] & 0x80) != 0
					   : (urb->endpoint & 0x80) != 0;
}

static void
encode_submit(const struct importer *imp, struct importer_urb *urb)
{
	const bool in = importer_urb_is_in(urb);
	struct usbip_pdu pdu = {
		.command = USBIP_CMD_SUBMIT,
		.seqnum = urb->seqnum,
		.devid = imp->devid,
		.direction = in,
		.endpoint = urb->endpoint & 0x7f,
		.submit = {
			.flags = urb->flags | (in ? USBIP_DIR_IN_FLAG : 0),
			.length = (int32_t)urb->length,
			.start_frame = urb->start_frame,
			.packets = (int32_t)urb->iso_count,
			.interval = urb->interval,
		},
	};

	memcpy(pdu.submit.setup, urb->setup, sizeof urb->setup);
	usbip_pdu_encode(urb->send.pdu, &pdu);
	urb->send.urb = urb;
	urb->send.data = in ? 0 : urb->length;
	urb->send.iso = urb->iso_count * USBIP_ISO_SIZE;
	if (urb->iso_count > 0)
		importer_iso_encode(urb);
}

static bool
is_possible(const struct importer_urb *urb)
{
	return urb->length <= USBIP_LENGTH_MAX &&
	    urb->iso_count <= USBIP_ISO_PACKETS_MAX;
}

bool
importer_submit(struct importer *imp, struct importer_urb *const urbs[],
    unsigned count, bool may_block)
{
	bool wake = false;

	for (unsigned i = 0; i < count; i++)
		if (!is_possible(urbs[i]))
			return false;
	if (is_broken(imp) || !reserve_slots(imp, count))
		return false;
	for (unsigned i = 0; i < count; i++) {
		struct importer_urb *urb = urbs[i];

		urb->answered = urb->unlinking = false;
		urb->in_line = urb->released = false;
		urb->status = 0;
		urb->actual = 0;
		/* The sender's and the server's. */
		atomic_store_explicit(&urb->holds, 2, memory_order_relaxed);
		claim_slot(imp, urb);
		encode_submit(imp, urb);
		wake |= queue_push(&imp->out, &urb->send.node) == QUEUE_WAKE;
	}
	if (wake)
		begin_sending(imp, may_block);
	return true;
}

void
importer_unlink(struct importer *imp, struct importer_urb *urb)
{
	struct usbip_pdu pdu = {
		.command = USBIP_CMD_UNLINK,
		.devid = imp->devid,
	};

	if (urb->answered || urb->unlinking)
		return;
	urb->unlinking = true;
	/* Relaxed: the receiver has the answer's hold and adds two more. */
	atomic_fetch_add_explicit(&urb->holds, 2, memory_order_relaxed);
	/* No URB has this number; and it leads back to this one. */
	urb->unlink_seqnum = urb->seqnum ^ UNLINK_BIT;
	pdu.seqnum = urb->unlink_seqnum;
	pdu.unlink.seqnum = urb->seqnum;
	usbip_pdu_encode(urb->send_unlink.pdu, &pdu);
	urb->send_unlink.urb = urb;
	if (queue_push(&imp->out, &urb->send_unlink.node) == QUEUE_WAKE)
		begin_sending(imp, false);
}

/* ---- End ---- */

void
importer_leave(struct importer *imp, int timeout_ms)
{
	const struct moment deadline = moment_after_ms(clock_now(), timeout_ms);
	struct pollfd pfd = { .fd = imp->fd, .events = POLLIN };
	struct moment now = clock_now();
	ssize_t n = 1;

	if (shutdown(imp->fd, SHUT_WR) < 0)
		return;
	/* Answers may still be on their way, and the server in their way. */
	while (n != 0 && moment_before(now, deadline)) {
		poll(&pfd, 1, moment_poll_timeout(now, deadline));
		n = recv(imp->fd, imp->buffer, sizeof imp->buffer,
		    MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return;
		now = clock_now();
	}
}

void
importer_abort(struct importer *imp)
{
	importer_break(imp);
	/* What waits to be sent, or to complete, is in its slot, too. */
	imp->filling = NULL;
	imp->line = NULL;
	imp->backlog = NULL;
	queue_take(&imp->out);
	queue_take(&imp->late);
	for (unsigned i = 0; i < IMPORTER_URBS_MAX; i++) {
		struct importer_urb *urb = atomic_load_explicit(
		    &imp->slots[i], memory_order_acquire);

		if (urb == NULL)
			continue;
		if (!urb->answered) {
			urb->status = USBIP_ESHUTDOWN;
			urb->actual = 0;
		}
		finish(imp, urb);
	}
}

void
importer_drop(struct importer *imp)
{
	atomic_store_explicit(&imp->broken, true, memory_order_relaxed);
	close(imp->fd);
	imp->fd = -1;
}

void
importer_fini(struct importer *imp)
{
	if (imp->fd >= 0)
		close(imp->fd);
	waker_put(imp->waker);
}
