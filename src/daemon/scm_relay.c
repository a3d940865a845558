/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A socket's bytes, both ways (scm_conn.h). */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/log.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "daemon/scm_conn.h"
#include "daemon/scm_host.h"

/*
 * Pieces that one sendmsg() takes.  A datagram has to fit: of its 64 KiB no two
 * small pieces lie side by side, but for the one that was full.
 */
#define SEND_PIECES 256

/* ---- From the device ---------------------------------------------------- */

/* Small parts are packed into the one before, where there is room. */
static bool
pack(struct scm_conn *c, const struct scm_news *n) RUNS_ON(on_worker)
{
	struct scm_news *last = c->pending_end;
	uint32_t end;

	if (c->pending == NULL || last->share != NULL || n->share != NULL)
		return false;
	end = (uint32_t)(last->data - last->bytes) + last->len;
	if (n->len > last->capacity - end)
		return false;
	memcpy(last->bytes + end, n->data, n->len);
	last->len += n->len;
	return true;
}

void
scm_relay_keep(struct scm_conn *c, struct scm_news *n)
{
	if (pack(c, n)) {
		scm_news_free(n);
		return;
	}
	n->next = NULL;
	if (c->pending == NULL)
		c->pending = n;
	else
		c->pending_end->next = n;
	c->pending_end = n;
}

static void
drop_first(struct scm_conn *c) RUNS_ON(on_worker)
{
	struct scm_news *n = c->pending;

	c->pending = n->next;
	scm_news_free(n);
}

/* `len` bytes of what waits are done with. */
static void
consume(struct scm_conn *c, uint64_t len) RUNS_ON(on_worker)
{
	scm_device_taken(&c->device->scm_state->engine, c->slot, len);
	while (len > 0) {
		struct scm_news *n = c->pending;

		if (len < n->len) {
			n->data += len;
			n->len -= (uint32_t)len;
			return;
		}
		len -= n->len;
		drop_first(c);
	}
}

void
scm_relay_drop(struct scm_conn *c)
{
	uint64_t len = 0;

	for (const struct scm_news *n = c->pending; n != NULL; n = n->next)
		len += n->len;
	consume(c, len);
	c->blocked = false;
}

/* ---- To the peer -------------------------------------------------------- */

/* The first `len` bytes of what waits, or what of them fits. */
static size_t
gather(const struct scm_conn *c, uint64_t len, struct iovec iov[SEND_PIECES])
    RUNS_ON(on_worker)
{
	size_t count = 0;

	for (const struct scm_news *n = c->pending;
	     n != NULL && len > 0 && count < SEND_PIECES; n = n->next) {
		const uint32_t part = n->len < len ? n->len : (uint32_t)len;

		iov[count].iov_base = (void *)(uintptr_t)n->data;
		iov[count++].iov_len = part;
		len -= part;
	}
	return count;
}

static void
count_from(struct scm_conn *c, uint64_t n)
{
	atomic_fetch_add_explicit(&c->device->scm_state->stats.from_device, n,
	    memory_order_relaxed);
}

/* One system call's worth.  False: no more at present. */
static bool
send_some(struct scm_conn *c, uint64_t len) RUNS_ON(on_worker)
{
	struct iovec iov[SEND_PIECES];
	const struct msghdr mh = { .msg_iov = iov,
		.msg_iovlen = gather(c, len, iov) };
	const ssize_t n = sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	const int error = n < 0 ? errno : 0;
	const struct moment now = clock_now();

	if (error == EINTR)
		return true;
	c->blocked = error == EAGAIN;
	if (c->blocked)
		return false;
	if (c->socket.datagram) {
		scm_socket_datagram_sent(&c->socket, error, now);
		consume(c, len);
	} else if (error != 0) {
		scm_socket_broke(&c->socket, error, now);
	} else {
		scm_socket_written(&c->socket, (uint64_t)n, now);
		consume(c, (uint64_t)n);
	}
	if (error == 0)
		count_from(c, (uint64_t)n);
	scm_conn_obey(c);
	return error == 0 || c->socket.datagram;
}

void
scm_relay_to_peer(struct scm_conn *c)
{
	bool ready = true;

	while (ready) {
		const uint64_t len = scm_socket_writable(&c->socket, &ready);

		if (ready)
			ready = send_some(c, len);
	}
}

/* ---- From the peer ------------------------------------------------------ */

/* A WRITE has left, or never will. */
static void
write_done(struct tx *tx, int error)
{
	struct packet *p = (struct packet *)tx;
	struct scm_conn *c = p->conn;

	(void)error; /* the reader hears of it from the transport itself */
	if (p->counted > 0)
		writer_give_credit(p->device, p->counted);
	recycler_give(&c->buffers, &p->tx.msg.node);
	/* Release: pairs with the acquire in scm_relay_collect(). */
	atomic_fetch_add_explicit(&c->left, 1, memory_order_release);
	credit_give(&c->upload, 1);
	scm_conn_put(c);
}

static void
give_reserve(struct scm_conn *c) RUNS_ON(on_worker)
{
	if (c->reserved)
		credit_give(&c->upload, 1);
	c->reserved = false;
}

/* The engine wants to hear when all of them have left: behind the last it has
 * something to say. */
static void
watch_the_last(struct scm_conn *c) RUNS_ON(on_worker)
{
	give_reserve(c);
	c->upload.limit = 1; /* so credit is had when none is out */
	if (credit_take(&c->upload, 1))
		credit_give(&c->upload, 1);
	c->upload.limit = SCM_UPLOAD_PACKETS;
}

static void
hear_of_left(struct scm_conn *c) RUNS_ON(on_worker)
{
	/* Acquire: pairs with the release in write_done(). */
	const uint32_t left =
	    atomic_load_explicit(&c->left, memory_order_acquire);

	for (; c->left_seen != left; c->left_seen++)
		scm_socket_left(&c->socket);
}

void
scm_relay_collect(struct scm_conn *c)
{
	hear_of_left(c);
	if (!c->socket.peer_ended || c->socket.unsent == 0)
		return;
	watch_the_last(c);
	hear_of_left(c);
}

bool
scm_relay_can_read(struct scm_conn *c, struct moment *until)
{
	const struct moment ready =
	    scm_pace_ready(&c->device->scm_state->pace);

	if (c->connecting || scm_socket_room(&c->socket) == 0)
		return false;
	if (moment_before(clock_now(), ready)) {
		*until = moment_earlier(*until, ready);
		return false;
	}
	if (!c->reserved)
		c->reserved = credit_take(&c->upload, 1);
	return c->reserved;
}

static uint32_t
capacity_of(const struct scm_conn *c) RUNS_ON(on_worker)
{
	return c->socket.datagram ? SCM_DATAGRAM_MAX : SCM_SEND_MAX;
}

static struct packet *
take_buffer(struct scm_conn *c) RUNS_ON(on_worker)
{
	struct qnode *n = recycler_take(&c->buffers);

	return n != NULL ? (struct packet *)n : packet_new(capacity_of(c));
}

/* The payload is in its place; the header goes right before it. */
static void
send_write(struct scm_conn *c, struct packet *p, uint32_t len)
    RUNS_ON(on_worker)
{
	struct scm_state *state = c->device->scm_state;
	const struct moment now = clock_now();
	const struct scm_message m =
	    scm_socket_received(&c->socket, len, now);
	const uint32_t head = (uint32_t)scm_header_len(c->format.dialect);
	struct writer w = writer_over(packet_payload(p) - head, head);

	scm_message_write(&w, &c->format, &m);
	scm_pace_spend(&state->pace, len, now);
	atomic_fetch_add_explicit(&state->stats.to_device, len,
	    memory_order_relaxed);
	c->reserved = false;
	p->tx.msg.type = MSG_PACKET;
	p->tx.done = write_done;
	p->kind = SCM_WRITE;
	p->counted = 0;
	p->inner_len = head;
	p->payload_len = len;
	p->conn = scm_conn_get(c);
	p->flow = &c->flow;
	packet_post(p, c->device);
}

/* As much as the device may be sent in one WRITE, in one transfer.  A datagram
 * is not cut. */
static uint32_t
room_of(const struct scm_conn *c) RUNS_ON(on_worker)
{
	const uint32_t room = scm_socket_room(&c->socket);
	const uint32_t most = atomic_load_explicit(&c->device->frame_payload,
	    memory_order_relaxed);

	return c->socket.datagram || room < most ? room : most;
}

/* What recv() said, but for bytes.  True: it is worth another try. */
static bool
take_no_bytes(struct scm_conn *c, ssize_t n, int error) RUNS_ON(on_worker)
{
	if (n == 0)
		scm_socket_peer_ended(&c->socket, clock_now());
	else if (error == EINTR)
		return true;
	else if (error != EAGAIN)
		scm_socket_broke(&c->socket, error, clock_now());
	return false;
}

/* Reads once.  True when there may be more to read. */
static bool
receive_once(struct scm_conn *c) RUNS_ON(on_worker)
{
	struct packet *p = take_buffer(c);
	const uint32_t room = room_of(c);
	bool more;
	ssize_t n;

	if (p == NULL) {
		scm_socket_broke(&c->socket, ENOMEM, clock_now());
		return false;
	}
	n = recv(c->fd, packet_payload(p), room, MSG_DONTWAIT);
	if (n > 0 || (n == 0 && c->socket.datagram)) {
		send_write(c, p, (uint32_t)n);
		return (uint32_t)n == room || c->socket.datagram;
	}
	more = take_no_bytes(c, n, errno);
	recycler_keep(&c->buffers, &p->tx.msg.node);
	return more;
}

void
scm_relay_from_peer(struct scm_conn *c)
{
	struct moment until = MOMENT_NEVER;

	while (c->fd >= 0 && scm_relay_can_read(c, &until) && receive_once(c))
		;
	scm_conn_obey(c);
	/* What ended the peer may be behind what has not left. */
	scm_relay_collect(c);
	scm_conn_obey(c);
}
