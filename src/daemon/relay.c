/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/relay.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/log.h"
#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "daemon/protocol_mux.h"

/* Chunks that one sendmsg() takes: more than a full window holds. */
#define SEND_CHUNKS 64

/*
 * Consumed bytes wait this long for data to ride on, when they are too few for
 * an ACK of their own.  A phone never waits for that: it has most of its window
 * left.
 */
#define ACK_DELAY_MS 20
/* Enough for an ACK of their own when the queue has run empty. */
#define ACK_BULK (16 * 1024)

/* ---- From the phone ---- */

static void
append_chunk(struct connection *conn, struct chunk *ch) RUNS_ON(on_worker)
{
	ch->more = NULL;
	if (conn->pending == NULL)
		conn->pending = ch;
	else
		conn->pending_end->more = ch;
	conn->pending_end = ch;
}

/*
 * While a client does not read, small packets are packed into the last chunk:
 * otherwise each byte of a full window could hold 16 KiB.  (The one place where
 * a payload byte is copied, and nobody waits for it.)
 */
static bool
pack_chunk(struct connection *conn, const struct chunk *ch) RUNS_ON(on_worker)
{
	struct chunk *last = conn->pending_end;
	uint32_t end;

	if (!conn->blocked || conn->pending == NULL)
		return false;
	end = last->offset + last->len;
	if (ch->len > CHUNK_SIZE - end)
		return false;
	memcpy(last->data + end, ch->data + ch->offset, ch->len);
	last->len += ch->len;
	return true;
}

/* The packet's chunks join what waits for the client. */
static void
keep_payload(struct connection *conn, struct chunk *packet) RUNS_ON(on_worker)
{
	conn->pending_bytes += packet->packet_len;
	conn->fed += packet->packet_len;
	while (packet != NULL) {
		struct chunk *more = packet->more;

		packet->more = NULL;
		if (packet->len == 0 || pack_chunk(conn, packet))
			chunk_put(packet);
		else
			append_chunk(conn, packet);
		packet = more;
	}
}

static void
log_reset(struct client *c, const char *what, const struct chunk *packet)
{
	const uint32_t len = packet->len < 200 ? packet->len : 200;

	log_info("%s: %s %s%s%.*s", client_name(c), c->conn.device->name, what,
	    len > 0 ? ": " : "", (int)len,
	    (const char *)packet->data + packet->offset);
}

static void
end_broken(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	const struct tcp_header rst = stream_rst(&conn->stream);

	mux_send_tcp(conn->device, conn->route, &rst);
	conn->phone_ended = true;
}

static void
take_packet(struct client *c, struct chunk *packet) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	const struct tcp_header h = mux_packet_tcp(packet, packet->port);

	/* A packet of an earlier connection of this client, or of another port
	 * of the phone: not ours. */
	if (h.dport != conn->stream.sport || h.sport != conn->stream.dport) {
		chunk_put(packet);
		return;
	}
	switch (stream_input(&conn->stream, &h, packet->packet_len)) {
	case STREAM_CONNECTED: {
		const struct tcp_header ack = stream_ack(&conn->stream);

		mux_send_tcp(conn->device, conn->route, &ack);
		keep_payload(conn, packet);
		return;
	}
	case STREAM_DATA:
		keep_payload(conn, packet);
		return;
	case STREAM_FINISHED:
		keep_payload(conn, packet);
		end_broken(c);
		return;
	case STREAM_REFUSED:
		log_reset(c, "refused the connection", packet);
		conn->phone_ended = true;
		break;
	case STREAM_RESET:
		log_reset(c, "ended the connection", packet);
		conn->phone_ended = true;
		break;
	case STREAM_BROKEN:
		log_warning("%s: %s %s, connection reset", client_name(c),
		    conn->device->name, conn->stream.fault);
		end_broken(c);
		break;
	case STREAM_NOTHING:
		break;
	}
	chunk_put(packet);
}

static void
take_gone(struct client *c, struct route *r) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;

	conn->unrouted = conn->phone_ended = true;
	conn->stream.state = STREAM_CLOSED; /* nobody is there to tell */
	route_put(r);
}

void
relay_take_message(struct client *c, struct msg *m)
{
	switch ((enum msg_type)m->type) {
	case MSG_RECEIVED:
		take_packet(c, chunk_of_msg(m));
		break;
	case MSG_UPLOAD_CREDIT:
		credit_collect(&c->conn.upload);
		break;
	case MSG_SOCKET:
		/* Both ways with who tells: acquire what has happened, release
		 * the message, which may be posted again from here on. */
		c->conn.ready |= (short)atomic_exchange_explicit(
		    &c->socket_events, 0, memory_order_acq_rel);
		break;
	case MSG_ROUTE_GONE:
		take_gone(c, route_of_gone(m));
		break;
	default:
		client_discard(m);
		break;
	}
}

/* ---- To the client ---- */

static size_t
gather_pending(const struct connection *conn, struct iovec iov[SEND_CHUNKS])
    RUNS_ON(on_worker)
{
	size_t n = 0;

	for (struct chunk *ch = conn->pending; ch != NULL && n < SEND_CHUNKS;
	     ch = ch->more) {
		iov[n].iov_base = ch->data + ch->offset;
		iov[n].iov_len = ch->len;
		n++;
	}
	return n;
}

/* `len` bytes of what waits have gone. */
static void
drop_pending(struct connection *conn, size_t len) RUNS_ON(on_worker)
{
	conn->pending_bytes -= (uint32_t)len;
	stream_consumed(&conn->stream, (uint32_t)len);
	while (len > 0) {
		struct chunk *ch = conn->pending;

		if (len < ch->len) {
			ch->offset += (uint32_t)len;
			ch->len -= (uint32_t)len;
			return;
		}
		len -= ch->len;
		conn->pending = ch->more;
		ch->more = NULL;
		chunk_put(ch);
	}
}

void
relay_to_client(struct client *c)
{
	struct connection *conn = &c->conn;
	struct iovec iov[SEND_CHUNKS];

	if (conn->client_gone && conn->pending != NULL)
		drop_pending(conn, conn->pending_bytes);
	if (conn->blocked && (conn->ready & POLLOUT) == 0)
		return;
	while (conn->pending != NULL) {
		const struct msghdr mh = { .msg_iov = iov,
			.msg_iovlen = gather_pending(conn, iov) };
		const ssize_t n =
		    sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			counter_add(&conn->stats.rx_bytes, (uint64_t)n);
			drop_pending(conn, (size_t)n);
		} else if (errno == EAGAIN) {
			conn->blocked = true;
			conn->ready &= ~POLLOUT;
			return;
		} else if (errno != EINTR) {
			relay_client_left(c);
			return;
		}
	}
	conn->blocked = false;
}

void
relay_client_left(struct client *c)
{
	struct connection *conn = &c->conn;

	conn->client_gone = true;
	if (conn->pending != NULL)
		drop_pending(conn, conn->pending_bytes);
}

/* ---- From the client ---- */

bool
relay_can_upload(struct client *c)
{
	struct connection *conn = &c->conn;

	if (conn->client_eof || stream_send_room(&conn->stream) == 0)
		return false;
	if (counter_read(&conn->stats.reserved) != 0)
		return true;
	conn->upload.limit = device_flow_frames(conn->device);
	if (!credit_take(&conn->upload, 1))
		return false;
	counter_set(&conn->stats.reserved, 1);
	return true;
}

/* A buffer to receive into, of those that have come back if there is one. */
static struct packet *
take_buffer(struct connection *conn) RUNS_ON(on_worker)
{
	struct qnode *n = recycler_take(&conn->buffers);

	return n != NULL ? (struct packet *)n : packet_new(MUX_PAYLOAD_MAX);
}

static void
upload(struct client *c, struct packet *p, uint32_t len) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	const struct tcp_header h = stream_data(&conn->stream, len);

	counter_set(&conn->stats.reserved, 0);
	counter_add(&conn->stats.tx_bytes, len);
	p->tx.msg.type = MSG_PACKET;
	p->upload = true;
	p->counted = 0;
	p->payload_len = len;
	p->route = route_get(conn->route);
	mux_packet_set_tcp(p, &h);
	packet_post(p, conn->device);
}

/* As recv().  *more: there may be something left though `room` was not filled;
 * a local socket ends a read where a descriptor was passed along, TCP where
 * something was urgent. */
static ssize_t
receive(const struct client *c, void *into, size_t room, bool *more)
{
	struct iovec iov = { .iov_base = into, .iov_len = room };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	const ssize_t n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*more = n == (ssize_t)room || !c->is_unix ||
	    (mh.msg_flags & MSG_CTRUNC) != 0;
	return n;
}

/* What one packet may carry. */
static uint32_t
most_at_once(const struct connection *conn)
{
	const uint32_t most = atomic_load_explicit(
	    &conn->device->frame_payload, memory_order_relaxed);

	return most < MUX_PAYLOAD_MAX ? most : MUX_PAYLOAD_MAX;
}

/* Reads once.  True when there may be more to read. */
static bool
receive_once(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	struct packet *p = take_buffer(conn);
	const uint32_t room =
	    stream_send_part(&conn->stream, most_at_once(conn));
	ssize_t n;
	bool more;

	if (p == NULL) {
		log_warning("%s: no memory for what it sends, connection reset",
		    client_name(c));
		conn->client_eof = true;
		relay_client_left(c);
		return false;
	}
	n = receive(c, packet_payload(p), room, &more);
	if (n > 0) {
		upload(c, p, (uint32_t)n);
		/* Of its end nothing tells a second time: it is told together
		 * with the bytes before it. */
		return more || conn->client_gone ||
		    (conn->ready & RELAY_CLIENT_EOF) != 0;
	}
	recycler_keep(&conn->buffers, &p->tx.msg.node);
	if (n == 0)
		conn->client_eof = true;
	else if (errno == EINTR)
		return true;
	else if (errno != EAGAIN) {
		conn->client_eof = true;
		relay_client_left(c);
	} else if (conn->client_gone) {
		/* It reads no more, but its socket is open: what it had
		 * written so far was all. */
		conn->client_eof = true;
	}
	return false;
}

void
relay_from_client(struct client *c)
{
	struct connection *conn = &c->conn;

	if ((conn->ready & POLLIN) == 0 && !conn->client_gone)
		return;
	while (relay_can_upload(c))
		if (!receive_once(c)) {
			conn->ready &= ~POLLIN;
			return;
		}
}

/* ---- Acknowledgements ---- */

static bool
ack_is_due(struct client *c, uint32_t unacked) RUNS_ON(on_worker)
{
	if (unacked >= STREAM_ACK_QUARTER)
		return true;
	if (unacked >= ACK_BULK && mailbox_is_empty(&c->box))
		return true;
	return moment_has_come(c->conn.ack_at);
}

void
relay_acknowledge(struct client *c)
{
	struct connection *conn = &c->conn;
	const uint32_t unacked = stream_unacked(&conn->stream);

	if (unacked == 0 || conn->stream.state != STREAM_OPEN) {
		conn->ack_at = MOMENT_NEVER;
	} else if (ack_is_due(c, unacked)) {
		const struct tcp_header ack = stream_ack(&conn->stream);

		mux_send_tcp(conn->device, conn->route, &ack);
		conn->ack_at = MOMENT_NEVER;
	} else if (conn->ack_at.ns == MOMENT_NEVER.ns) {
		conn->ack_at = moment_after_ms(clock_now(), ACK_DELAY_MS);
	}
}

void
relay_show(struct client *c)
{
	struct connection *conn = &c->conn;

	counter_set(&conn->stats.in_flight, stream_in_flight(&conn->stream));
	counter_set(&conn->stats.window, stream_send_room(&conn->stream));
	counter_set(&conn->stats.held, conn->pending_bytes);
}
