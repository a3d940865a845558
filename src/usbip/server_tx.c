/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sending half of an import: completions and UNLINKs come in through one
 * queue, and their order in it is the truth about which was first.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "usbip/server_import.h"

struct role on_usbip_tx;

/* Pieces of one sendmsg(): a head, data and descriptors each for some eighty
 * URBs; far below any system's IOV_MAX. */
#define TX_PIECES 256
/* Replies are released after at most this much, so that rx gets its buffers
 * back while they are still in the cache. */
#define TX_BATCH_BYTES (256u * 1024)

struct batch {
	struct import *im;
	struct iovec iov[TX_PIECES];
	int pieces;
	size_t bytes;
	struct msg *done; /* to be let go of when the pieces are sent */
};

/* ---- From the backend --------------------------------------------------- */

static void
completed(struct usbip_urb *u, int status, uint32_t actual)
{
	struct urb *urb = urb_of(u);

	urb->actual = actual < u->length ? actual : u->length;
	if (status == USBIP_OK && (u->flags & USBIP_SHORT_NOT_OK) != 0 &&
	    u->iso_count == 0 && urb->actual < u->length)
		status = USBIP_EREMOTEIO;
	urb->status = status;
	u->msg.type = TX_COMPLETED;
	/* Release: pairs with the acquire in rx, which must not call cancel()
	 * for what it sees here without need. */
	atomic_store_explicit(&urb->completed, true, memory_order_release);
	mailbox_post(&urb->import->outgoing, &u->msg);
}

const struct usbip_urb_host urb_host = { .complete = completed };

void
usbip_urb_get(struct usbip_urb *u)
{
	ref_get(&urb_of(u)->refs);
}

void
usbip_urb_put(struct usbip_urb *u)
{
	struct urb *urb = urb_of(u);

	if (!ref_put(&urb->refs))
		return;
	u->msg.type = RX_URB;
	mailbox_post(&urb->import->returned, &u->msg);
}

/* ---- Sending ------------------------------------------------------------ */

static void
lost_importer(struct import *im) RUNS_ON(on_usbip_tx)
{
	im->unreachable = true;
	/* rx reads end of file and takes the import down. */
	shutdown(im->fd, SHUT_RDWR);
}

/* Drops the first `n` bytes of what `msg` is to send. */
static void
advance(struct msghdr *msg, size_t n)
{
	while (msg->msg_iovlen > 0 && n >= msg->msg_iov->iov_len) {
		n -= msg->msg_iov->iov_len;
		msg->msg_iov++;
		msg->msg_iovlen--;
	}
	if (msg->msg_iovlen > 0) {
		msg->msg_iov->iov_base = (char *)msg->msg_iov->iov_base + n;
		msg->msg_iov->iov_len -= n;
	}
}

static void
send_pieces(struct batch *b) RUNS_ON(on_usbip_tx)
{
	struct msghdr msg = { .msg_iov = b->iov,
		.msg_iovlen = (size_t)b->pieces };

	while (msg.msg_iovlen > 0 && !b->im->unreachable) {
		const ssize_t n = sendmsg(b->im->fd, &msg, MSG_NOSIGNAL);

		if (n >= 0)
			advance(&msg, (size_t)n);
		else if (errno != EINTR)
			lost_importer(b->im);
	}
	b->pieces = 0;
	b->bytes = 0;
}

static void
add_piece(struct batch *b, void *bytes, size_t len) RUNS_ON(on_usbip_tx)
{
	struct iovec *last = b->pieces > 0 ? b->iov + b->pieces - 1 : NULL;

	if (len == 0 || b->im->unreachable)
		return;
	b->bytes += len;
	if (last != NULL &&
	    (char *)last->iov_base + last->iov_len == (char *)bytes) {
		last->iov_len += len;
		return;
	}
	if (b->pieces == TX_PIECES) {
		send_pieces(b);
		b->bytes = len;
	}
	b->iov[b->pieces++] = (struct iovec){ bytes, len };
}

static void
let_go_unlink(struct import *im, struct unlink *u)
{
	if (u->urb != NULL)
		usbip_urb_put(&u->urb->pub);
	u->msg.type = RX_UNLINK;
	mailbox_post(&im->returned, &u->msg);
}

/* Sends what has been gathered, then gives its owners back to rx. */
static void
flush(struct batch *b) RUNS_ON(on_usbip_tx)
{
	struct msg *m = b->done;

	send_pieces(b);
	b->done = NULL;
	while (m != NULL) {
		struct msg *next = msg_next(m);

		if (m->type == TX_UNLINK)
			let_go_unlink(b->im, (struct unlink *)m);
		else
			usbip_urb_put((struct usbip_urb *)m);
		m = next;
	}
}

static void
let_go_later(struct batch *b, struct msg *m)
{
	m->node.next = b->done != NULL ? &b->done->node : NULL;
	b->done = m;
}

/* ---- Replies ------------------------------------------------------------ */

static void
reply_unlink(struct batch *b, struct unlink *u, int32_t status)
    RUNS_ON(on_usbip_tx)
{
	const struct usbip_pdu pdu = { .command = USBIP_RET_UNLINK,
		.seqnum = u->seqnum, .ret_unlink.status = status };

	usbip_pdu_encode(u->head, &pdu);
	add_piece(b, u->head, sizeof u->head);
	let_go_later(b, &u->msg);
}

/* What the packets of an ISO transfer amount to, and their descriptors in the
 * form of the wire. */
static void
sum_up_iso(struct urb *urb, struct usbip_pdu *pdu)
{
	pdu->ret_submit.actual = 0;
	for (uint32_t i = 0; i < urb->pub.iso_count; i++) {
		struct usbip_iso *iso = &urb->pub.iso[i];

		if (iso->actual > iso->length)
			iso->actual = iso->length;
		pdu->ret_submit.actual += (int32_t)iso->actual;
		pdu->ret_submit.errors += iso->status != USBIP_OK;
		usbip_iso_encode(urb->iso_wire + i * USBIP_ISO_SIZE, iso);
	}
}

/* The data of an ISO IN travels without the gaps between the packets. */
static void
add_iso_data(struct batch *b, struct urb *urb) RUNS_ON(on_usbip_tx)
{
	for (uint32_t i = 0; i < urb->pub.iso_count; i++)
		add_piece(b, urb->pub.buffer + urb->pub.iso[i].offset,
		    urb->pub.iso[i].actual);
}

static void
reply_submit(struct batch *b, struct urb *urb, struct usbip_pdu *pdu)
    RUNS_ON(on_usbip_tx)
{
	usbip_pdu_encode(urb->head, pdu);
	add_piece(b, urb->head, sizeof urb->head);
	if (usbip_urb_is_in(&urb->pub)) {
		if (urb->pub.iso_count > 0)
			add_iso_data(b, urb);
		else
			add_piece(b, urb->pub.buffer, urb->actual);
	}
	add_piece(b, urb->iso_wire,
	    (size_t)urb->pub.iso_count * USBIP_ISO_SIZE);
}

static void
count(struct import *im, const struct urb *urb, uint32_t actual)
{
	counter_add(usbip_urb_is_in(&urb->pub) ? &im->bytes_in
					       : &im->bytes_out, actual);
	counter_add(&im->done, 1);
}

/*
 * A URB is done.  When an UNLINK came before and the cancelling left nothing
 * to tell, that is answered and the URB is not; when the URB had ended
 * otherwise, or had moved data, it is answered first, as if the UNLINK had come
 * too late: both orders are the protocol's, and no data is lost.
 */
static void
on_completed(struct batch *b, struct urb *urb) RUNS_ON(on_usbip_tx)
{
	const bool cancelled = urb->status == USBIP_ECONNRESET ||
	    urb->status == USBIP_ENOENT;
	struct usbip_pdu pdu = { .command = USBIP_RET_SUBMIT,
		.seqnum = urb->seqnum,
		.ret_submit = { .status = urb->status,
		    .actual = (int32_t)urb->actual,
		    .start_frame = urb->pub.start_frame,
		    .packets = urb->packets } };
	bool taken_back;

	if (urb->pub.iso_count > 0)
		sum_up_iso(urb, &pdu);
	taken_back = urb->unlink != NULL && cancelled &&
	    pdu.ret_submit.actual == 0;
	if (!taken_back) {
		/* Acquire: pairs with import_unplug(). */
		if (cancelled && atomic_load_explicit(&b->im->gone,
				     memory_order_acquire))
			pdu.ret_submit.status = USBIP_ESHUTDOWN;
		reply_submit(b, urb, &pdu);
	}
	urb->answered = true;
	while (urb->unlink != NULL) {
		struct unlink *u = urb->unlink;

		urb->unlink = u->next;
		reply_unlink(b, u, taken_back ? USBIP_ECONNRESET : USBIP_OK);
	}
	count(b->im, urb, (uint32_t)pdu.ret_submit.actual);
	let_go_later(b, &urb->pub.msg);
}

static void
on_unlink(struct batch *b, struct unlink *u) RUNS_ON(on_usbip_tx)
{
	struct unlink **end;

	if (u->urb == NULL || u->urb->answered) {
		reply_unlink(b, u, u->urb == NULL ? u->status : USBIP_OK);
		return;
	}
	for (end = &u->urb->unlink; *end != NULL; end = &(*end)->next)
		;
	u->next = NULL;
	*end = u;
}

/* ---- Loop --------------------------------------------------------------- */

static void
park(struct parker *p)
{
	pthread_mutex_lock(&p->lock);
	while (!p->woken)
		pthread_cond_wait(&p->cond, &p->lock);
	p->woken = false;
	pthread_mutex_unlock(&p->lock);
}

static bool
handle(struct batch *b, struct msg *m) RUNS_ON(on_usbip_tx)
{
	switch (m->type) {
	case TX_COMPLETED:
		on_completed(b, (struct urb *)m);
		break;
	case TX_UNLINK:
		on_unlink(b, (struct unlink *)m);
		break;
	default:
		return false;
	}
	if (b->bytes >= TX_BATCH_BYTES)
		flush(b);
	return true;
}

void *
import_tx_main(void *arg)
{
	struct import *im = arg;
	struct batch b = { .im = im };
	bool more = true;

	role_take(&on_usbip_tx);
	while (more) {
		struct msg *m = mailbox_take(&im->outgoing), *next;

		if (m == NULL && mailbox_idle(&im->outgoing))
			park(&im->parker);
		for (; m != NULL; m = next) {
			next = msg_next(m);
			more = handle(&b, m);
		}
		flush(&b);
	}
	role_drop(&on_usbip_tx);
	return NULL;
}
