/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The receiving half of an import, and its beginning and end.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"
#include "usbip/server_import.h"
#include "usbip/server_registry.h"

#ifdef POLLRDHUP
#define HANGUP_EVENTS POLLRDHUP
#define HANGUP_CHECK_MS (-1)
#else
/* Here poll() tells of a reset, but not of the other side's orderly close. */
#define HANGUP_EVENTS 0
#define HANGUP_CHECK_MS 1000
#endif
#define NO_EVENTS (-1)

struct role on_usbip_rx;

/* Time for an unplugged device's last replies to leave. */
#define LAST_REPLIES_MS 1000
/* A backend that keeps a cancelled URB longer than this is reported. */
#define CANCEL_PATIENCE_MS 5000

/* ---- What comes back ---------------------------------------------------- */

static void
take_back(struct import *im, struct msg *m) RUNS_ON(on_usbip_rx)
{
	while (m != NULL) {
		struct msg *next = msg_next(m);

		if (m->type == RX_UNLINK)
			pool_put_unlink(&im->pool, (struct unlink *)m);
		else
			pool_put(&im->pool, (struct urb *)m);
		m = next;
	}
}

/*
 * Sleeps until something comes back, and takes it; or until `timeout_ms` are
 * over; or until the socket has one of `events` (NO_EVENTS: it is left out):
 * then the result is true.
 *
 * Whoever finds the mailbox asleep wakes it, once, after having posted.  What
 * it posted may be the last thing that keeps the import alive, so its wake-up
 * is waited for: after that it does not touch the import any more.
 */
static bool
wait_returned(struct import *im, int timeout_ms, int events)
    RUNS_ON(on_usbip_rx)
{
	struct pollfd pfd[2] = {
		{ .fd = im->waker->read_fd, .events = POLLIN },
		{ .fd = events != NO_EVENTS ? im->fd : -1,
		    .events = (short)events },
	};
	struct msg *m = NULL;

	if (mailbox_idle(&im->returned)) {
		poll(pfd, 2, timeout_ms);
		m = mailbox_take(&im->returned);
		if (m != NULL) {
			while (poll(pfd, 1, -1) <= 0)
				;
			waker_clear(im->waker);
		}
	} else {
		poll(pfd + 1, 1, 0);
		m = mailbox_take(&im->returned);
	}
	take_back(im, m);
	return pfd[1].revents != 0;
}

static bool
is_gone(const struct import *im)
{
	/* Acquire: pairs with the release in import_unplug(). */
	return atomic_load_explicit(&im->gone, memory_order_acquire);
}

/* To tx: these are about no URB, and answered with `status`. */
static void
post_unlinks(struct import *im, struct unlink *u, int status)
    RUNS_ON(on_usbip_rx)
{
	struct unlink *next;

	for (; u != NULL; u = next) {
		next = u->next;
		u->urb = NULL;
		u->status = status;
		u->msg.type = TX_UNLINK;
		mailbox_post(&im->outgoing, &u->msg);
	}
}

/* Answers the UNLINKs that have waited for their SUBMITs for long enough.  How
 * long the next one still may, for poll(). */
static int
expire_early(struct import *im) RUNS_ON(on_usbip_rx)
{
	struct moment now;

	if (im->early.first == NULL)
		return -1;
	now = clock_now();
	post_unlinks(im, early_expired(&im->early, now), USBIP_OK);
	return early_timeout_ms(&im->early, now);
}

/* Waits until one thing more has come back; or returns early. */
static int
wait_while_full(struct import *im, struct cause *why) RUNS_ON(on_usbip_rx)
{
	int timeout_ms = expire_early(im);

	if (timeout_ms < 0)
		timeout_ms = HANGUP_CHECK_MS;
	if (!wait_returned(im, timeout_ms, HANGUP_EVENTS) && !is_gone(im))
		return 0;
	return cause_set(why, "the importer hung up");
}

/* ---- SUBMIT ------------------------------------------------------------- */

static int
lost_stream(struct cause *why)
{
	if (errno == ECONNRESET)
		return cause_set(why, "the importer closed the connection");
	return cause_set(why, "the connection failed: %s", strerror(errno));
}

/* Reads what follows the head of a SUBMIT; a refused one has no buffer for
 * its data. */
static int
read_payload(struct import *im, struct urb *urb, const struct usbip_pdu *pdu,
    bool refused) RUNS_ON(on_usbip_rx)
{
	const uint32_t data =
	    pdu->direction == 0 ? (uint32_t)pdu->submit.length : 0;
	const int rc = refused
	    ? server_stream_skip(&im->stream, data)
	    : server_stream_read(&im->stream, urb->pub.buffer, data);

	if (rc < 0 || urb->pub.iso_count == 0)
		return rc;
	if (server_stream_read(&im->stream, urb->iso_wire,
		(size_t)urb->pub.iso_count * USBIP_ISO_SIZE) < 0)
		return -1;
	urb_decode_iso(urb);
	return 0;
}

/* A URB for `pdu`, without a buffer when `*refusal` says so or memory has run
 * out (which becomes the refusal). */
static struct urb *
urb_for(struct import *im, const struct usbip_pdu *pdu, int *refusal)
    RUNS_ON(on_usbip_rx)
{
	const uint32_t packets = usbip_iso_count(pdu->submit.packets);
	struct urb *urb = NULL;

	if (*refusal == USBIP_OK) {
		urb = pool_take(&im->pool, im, pdu->seqnum,
		    (uint32_t)pdu->submit.length, packets);
		if (urb == NULL)
			*refusal = USBIP_ENOMEM;
	}
	if (urb == NULL)
		urb = pool_take(&im->pool, im, pdu->seqnum, 0, packets);
	if (urb != NULL)
		urb_fill(urb, pdu);
	return urb;
}

static bool
is_pending(const struct urb *urb)
{
	/* Acquire: pairs with the release in usbip_urb_complete(). */
	return !atomic_load_explicit(&urb->completed, memory_order_acquire);
}

/* A URB with all that follows the SUBMIT, which is not kept when `*refusal` is
 * not USBIP_OK.  NULL and a cause when the import is over. */
static struct urb *
read_urb(struct import *im, const struct usbip_pdu *pdu, int *refusal,
    struct cause *why) RUNS_ON(on_usbip_rx)
{
	struct urb *urb = urb_for(im, pdu, refusal);

	if (urb == NULL) {
		cause_set(why, "out of memory");
		return NULL;
	}
	if (read_payload(im, urb, pdu, *refusal != USBIP_OK) < 0) {
		pool_put(&im->pool, urb);
		lost_stream(why);
		return NULL;
	}
	counter_add(&im->taken, 1);
	return urb;
}

/* Reads what follows the SUBMIT, for which there is room, and hands it on. */
static int
begin_urb(struct import *im, const struct usbip_pdu *pdu, struct cause *why)
    RUNS_ON(on_usbip_rx)
{
	int refusal = urb_refusal(pdu);
	struct urb *urb = read_urb(im, pdu, &refusal, why);

	if (urb == NULL)
		return -1;
	if (refusal == USBIP_OK)
		refusal = urb_check(urb);
	if (refusal == USBIP_OK)
		im->dev->ops->submit(im->dev, &urb->pub);
	else
		usbip_urb_complete(&urb->pub, refusal, 0);
	return 0;
}

/* ---- Room --------------------------------------------------------------- */

static bool
has_room(const struct import *im, const struct usbip_pdu *pdu)
    RUNS_ON(on_usbip_rx)
{
	const uint32_t length = urb_refusal(pdu) == USBIP_OK
	    ? (uint32_t)pdu->submit.length : 0;
	const uint32_t bytes =
	    pool_bytes(length, usbip_iso_count(pdu->submit.packets));

	return im->pool.urbs < USBIP_SERVER_URBS_MAX &&
	    im->pool.bytes + bytes <= USBIP_SERVER_BYTES_MAX;
}

/* Begins those that were put aside and have room now. */
static int
begin_parked(struct import *im, struct cause *why) RUNS_ON(on_usbip_rx)
{
	struct usbip_pdu pdu;

	while (!park_is_empty(&im->park) &&
	    has_room(im, &im->park.first->pdu)) {
		park_take(&im->park, &pdu);
		if (begin_urb(im, &pdu, why) < 0)
			return -1;
	}
	return 0;
}

/* The device is gone: a URB without a buffer for each, for its answer. */
static void
end_parked(struct import *im) RUNS_ON(on_usbip_rx)
{
	struct usbip_pdu pdu;
	struct urb *urb;
	int refusal = USBIP_ESHUTDOWN;

	while (is_gone(im) && park_take(&im->park, &pdu)) {
		urb = urb_for(im, &pdu, &refusal);
		if (urb == NULL)
			continue;
		counter_add(&im->taken, 1);
		usbip_urb_complete(&urb->pub, refusal, 0);
	}
	park_fini(&im->park);
}

/* The UNLINKs have come before: it is not begun, and only they are answered. */
static int
skip_taken_back(struct import *im, const struct usbip_pdu *pdu,
    struct unlink *unlinks, struct cause *why) RUNS_ON(on_usbip_rx)
{
	const int rc = server_stream_skip(&im->stream,
	    (uint64_t)usbip_submit_payload(pdu));

	post_unlinks(im, unlinks, USBIP_ECONNRESET);
	return rc < 0 ? lost_stream(why) : 0;
}

static int
on_submit(struct import *im, const struct usbip_pdu *pdu, struct cause *why)
    RUNS_ON(on_usbip_rx)
{
	struct unlink *late,
	    *early = early_submit(&im->early, pdu->seqnum, &late);

	post_unlinks(im, late, USBIP_OK);
	if (early != NULL)
		return skip_taken_back(im, pdu, early, why);
	while (begin_parked(im, why) == 0) {
		if (park_is_empty(&im->park) && has_room(im, pdu))
			return begin_urb(im, pdu, why);
		if (usbip_submit_payload(pdu) == 0 &&
		    park_add(&im->park, pdu))
			return 0;
		if (wait_while_full(im, why) < 0)
			return -1;
	}
	return -1;
}

/* ---- UNLINK ------------------------------------------------------------- */

static void
cancel(struct import *im, struct urb *urb) RUNS_ON(on_usbip_rx)
{
	/* The reference is for the backend, which may want one of its own, and
	 * can get that only while there is one. */
	if (urb->cancelled || !is_pending(urb) ||
	    !ref_get_unless_gone(&urb->refs))
		return;
	urb->cancelled = true;
	im->dev->ops->cancel(im->dev, &urb->pub);
	usbip_urb_put(&urb->pub);
}

/* The URB that an UNLINK means, with a reference; NULL when there is none any
 * more, which includes one that has been answered but not yet taken back. */
static struct urb *
find_victim(struct import *im, uint32_t seqnum) RUNS_ON(on_usbip_rx)
{
	struct urb *urb = pool_find(&im->pool, seqnum);

	return urb != NULL && ref_get_unless_gone(&urb->refs) ? urb : NULL;
}

static int
on_unlink(struct import *im, const struct usbip_pdu *pdu, struct cause *why)
    RUNS_ON(on_usbip_rx)
{
	const uint32_t target = pdu->unlink.seqnum;
	struct usbip_pdu parked;
	struct unlink *u;
	struct urb *urb;
	bool unbegun;

	while (im->pool.unlinks >= USBIP_SERVER_URBS_MAX)
		if (wait_while_full(im, why) < 0)
			return -1;
	u = pool_take_unlink(&im->pool);
	if (u == NULL)
		return cause_set(why, "out of memory");
	unbegun = park_take_seqnum(&im->park, target, &parked);
	urb = unbegun ? NULL : find_victim(im, target);
	u->seqnum = pdu->seqnum;
	if (!unbegun && urb == NULL && early_expects(&im->early, pdu)) {
		early_add(&im->early, u, target);
		return 0;
	}
	u->urb = urb;
	u->status = unbegun ? USBIP_ECONNRESET : USBIP_OK;
	u->msg.type = TX_UNLINK;
	/* First the message, then the cancelling, so that tx learns of them in
	 * this order.  The URB stays, whatever tx does with the record: only
	 * rx could reuse it. */
	mailbox_post(&im->outgoing, &u->msg);
	if (urb != NULL)
		cancel(im, urb);
	return 0;
}

/* ---- Life --------------------------------------------------------------- */

static bool
is_in_use(struct import *im, uint32_t seqnum) RUNS_ON(on_usbip_rx)
{
	const struct urb *urb = pool_find(&im->pool, seqnum);

	return (urb != NULL && is_pending(urb)) || park_has(&im->park, seqnum);
}

/* What makes it impossible to follow the stream any further. */
static int
check_pdu(struct import *im, const struct usbip_pdu *pdu, struct cause *why)
    RUNS_ON(on_usbip_rx)
{
	if (pdu->command != USBIP_CMD_SUBMIT &&
	    pdu->command != USBIP_CMD_UNLINK)
		return cause_set(why, "the importer sent command %u, which is "
		    "no request", pdu->command);
	if (pdu->devid != im->devid)
		return cause_set(why, "the importer addressed device %08x, "
		    "not %08x which it has imported", pdu->devid, im->devid);
	if (pdu->command == USBIP_CMD_UNLINK)
		return 0;
	if (usbip_submit_payload(pdu) < 0)
		return cause_set(why, "a SUBMIT of %d bytes and %d packets, "
		    "direction %u", pdu->submit.length, pdu->submit.packets,
		    pdu->direction);
	if (is_in_use(im, pdu->seqnum))
		return cause_set(why, "two SUBMITs of seqnum %u", pdu->seqnum);
	return 0;
}

static void
report_malformed(const struct import *im, const uint8_t head[USBIP_PDU_SIZE])
{
	static struct log_limit malformed;
	char hex[LOG_HEX_MAX], more[LOG_LIMIT_MAX];

	if (log_limit_pass(&malformed, more) != NULL)
		log_warning("device %s: a malformed PDU of %s begins with %s%s",
		    im->entry.busid, im->peer,
		    log_hex(hex, head, USBIP_PDU_SIZE), more);
}

static int
receive_pdu(struct import *im, struct cause *why) RUNS_ON(on_usbip_rx)
{
	uint8_t head[USBIP_PDU_SIZE];
	struct usbip_pdu pdu;

	if (server_stream_read(&im->stream, head, sizeof head) < 0)
		return lost_stream(why);
	take_back(im, mailbox_take(&im->returned));
	usbip_pdu_decode(&pdu, head);
	if (check_pdu(im, &pdu, why) < 0) {
		report_malformed(im, head);
		return -1;
	}
	return pdu.command == USBIP_CMD_SUBMIT ? on_submit(im, &pdu, why)
					       : on_unlink(im, &pdu, why);
}

/* Waits until there is a PDU to read; meanwhile those that were put aside begin
 * as soon as there is room, and UNLINKs that have waited for long enough are
 * answered. */
static int
await_pdu(struct import *im, struct cause *why) RUNS_ON(on_usbip_rx)
{
	bool readable = false;

	while (begin_parked(im, why) == 0) {
		const int timeout_ms = expire_early(im);

		if (readable ||
		    (park_is_empty(&im->park) && im->early.first == NULL) ||
		    server_stream_buffered(&im->stream) >= USBIP_PDU_SIZE)
			return 0;
		readable = wait_returned(im, timeout_ms, POLLIN);
	}
	return -1;
}

static int
serve_one(struct import *im, struct cause *why) RUNS_ON(on_usbip_rx)
{
	return await_pdu(im, why) < 0 ? -1 : receive_pdu(im, why);
}

/* The last one first: were an earlier one of its endpoint taken back before it,
 * the device could take the later meanwhile, and miss what lay between. */
static void
cancel_all(struct import *im) RUNS_ON(on_usbip_rx)
{
	for (struct urb *urb = im->pool.newest; urb != NULL; urb = urb->older)
		cancel(im, urb);
}

/* Waits until every URB has come home.  The last replies may take a moment to
 * leave; then the socket is shut, and only the backend can still be late. */
static void
await_all(struct import *im) RUNS_ON(on_usbip_rx)
{
	struct moment deadline = moment_after_ms(clock_now(), LAST_REPLIES_MS);
	bool shut = false;

	while (im->pool.urbs > 0 || im->pool.unlinks > 0) {
		wait_returned(im,
		    moment_poll_timeout(clock_now(), deadline), NO_EVENTS);
		if (moment_before(clock_now(), deadline))
			continue;
		if (shut) {
			log_error("device %s: %u URBs were cancelled but have "
			    "not been completed; still waiting",
			    im->entry.busid, im->pool.urbs);
			deadline = MOMENT_NEVER;
			continue;
		}
		shutdown(im->fd, SHUT_RDWR);
		shut = true;
		deadline = moment_after_ms(clock_now(), CANCEL_PATIENCE_MS);
	}
}

static void
end_transfers(struct import *im) RUNS_ON(on_usbip_rx)
{
	if (!is_gone(im))
		shutdown(im->fd, SHUT_RDWR);
	end_parked(im);
	post_unlinks(im, early_expired(&im->early, MOMENT_NEVER),
	    USBIP_OK);
	cancel_all(im);
	await_all(im);
	im->quit.type = TX_QUIT;
	mailbox_post(&im->outgoing, &im->quit);
	thread_join(&im->tx_thread);
	pool_fini(&im->pool);
	server_stream_drain(&im->stream);
}

static int
send_reply(struct import *im, int status)
{
	uint8_t reply[USBIP_REP_IMPORT_SIZE];
	const struct usbip_op op = { .version = USBIP_VERSION,
		.code = USBIP_REP_IMPORT, .status = (uint32_t)status };

	usbip_op_encode(reply, &op);
	usbip_device_encode(reply + USBIP_OP_SIZE, &im->entry);
	return sock_send_all(im->fd, reply,
	    status == USBIP_ST_OK ? sizeof reply : USBIP_OP_SIZE);
}

static const char *
why_ended(const struct import *im, const struct cause *why)
{
	if (is_gone(im))
		return "the device is gone";
	/* Acquire: pairs with the release in import_kick(). */
	if (atomic_load_explicit(&im->kicked, memory_order_acquire))
		return "it was told to end";
	return why->text;
}

static void
serve(struct import *im) RUNS_ON(on_usbip_rx)
{
	struct cause why;
	const int error =
	    thread_start(&im->tx_thread, "usbip-tx", import_tx_main, im);

	if (error != 0) {
		log_error("device %s: cannot start a thread: %s",
		    im->entry.busid, strerror(error));
		send_reply(im, USBIP_ST_ERROR);
		return;
	}
	log_info("device %s: imported by %s", im->entry.busid, im->peer);
	if (send_reply(im, USBIP_ST_OK) < 0)
		lost_stream(&why);
	else
		while (!is_gone(im) && serve_one(im, &why) == 0)
			;
	log_info("device %s: import by %s ends: %s", im->entry.busid, im->peer,
	    why_ended(im, &why));
	end_transfers(im);
}

void *
import_rx_main(void *arg)
{
	struct import *im = arg;
	const struct usbip_device_ops *ops = im->dev->ops;
	int status = USBIP_ST_OK;

	role_take(&on_usbip_rx);
	server_stream_init(&im->stream, im->fd);
	park_init(&im->park);
	early_init(&im->early);
	if (ops->imported != NULL)
		status = ops->imported(im->dev);
	if (status == USBIP_ST_OK) {
		serve(im);
		if (ops->released != NULL)
			ops->released(im->dev);
	} else {
		import_say_refused(im, status);
		send_reply(im, status);
	}
	server_registry_release(im->registry, im);
	mailbox_post(im->server, &im->ended);
	role_drop(&on_usbip_rx);
	return NULL;
}
