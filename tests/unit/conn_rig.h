/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_CONN_RIG_H
#define MUXD_TESTS_CONN_RIG_H

/*
 * A worker with one client, for tests of a connection.  The test is all that
 * the worker meets: the client at the other end of its socket, the manager that
 * it asks, the writer that takes its frames, and the reader that hands it
 * packets.  So every order of events can be made.
 */

#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "actor/thread.h"
#include "fake_phone.h"

#define CONN_DEVICE 7
#define CONN_PORT 62078
#define CONN_WINDOW (512 * 1024) /* what the daemon takes ahead */

struct conn {
	struct fake fake; /* the device's source, which is never run */
	struct device *d;
	struct mailbox manager;
	struct waker *waker;
	struct msg *kept; /* of the manager's, not looked at yet */
	struct thread worker;
	struct waker *workers_waker;
	struct client *c;
	int fd; /* the client's end */

	/* ---- The writer ---- */
	bool hold; /* frames that were heard stay in flight */
	struct packet *held[64];
	unsigned held_count;
	struct msg *frames; /* posted, not heard yet */

	/* ---- The reader ---- */
	struct route *route;	 /* the table's reference; NULL: none */
	struct route *managers;	 /* the manager's */
	uint16_t sport;		 /* of the connection, ours */
	unsigned made, returned; /* chunks */

	/* ---- The phone ---- */
	uint32_t seq, ack; /* of its next packet */
	uint32_t window;   /* that it grants */
};

/* A worker that serves the client; `sndbuf` bytes of what it is sent fit into
 * its socket (0: as the system has it). */
void conn_init(struct conn *k, int sndbuf);
/* Waits until the client has been served, and gives everything back. */
void conn_fini(struct conn *k);

/* ---- Client ---- */

void conn_send(struct conn *k, const void *bytes, size_t len);
/* `len` bytes, the i-th of which is (first + i) % 251. */
void conn_send_pattern(struct conn *k, uint32_t first, uint32_t len);
void conn_ask_connect(struct conn *k);
/* Receives a Result, of that number. */
void conn_await_result(struct conn *k, uint32_t number);
/* Receives so many bytes of the pattern. */
void conn_await_pattern(struct conn *k, uint32_t first, uint32_t len);
/* The socket ends, in order. */
void conn_await_eof(struct conn *k);

/* ---- Manager ---- */

/* The worker's next question, which must be of that kind. */
void conn_await_ask(struct conn *k, enum ask_kind kind);
void conn_answer(struct conn *k, uint32_t result);
/* Answers ASK_CONNECT with the device and a route. */
void conn_answer_connect(struct conn *k);
/* Answers ASK_DISCONNECT, and lets go of the route as manager and reader do. */
void conn_answer_disconnect(struct conn *k);
void conn_stop_client(struct conn *k);
/* The client has been served: its worker wants nothing more of anybody. */
void conn_await_served(struct conn *k);

/* ---- Reader ---- */

/* A packet with `len` bytes of the pattern; counts on what the phone has sent.
 * `seq` off by `skip`. */
void conn_say(struct conn *k, uint8_t flags, uint32_t first, uint32_t len);
void conn_say_skipping(struct conn *k, uint32_t skip, uint8_t flags,
    uint32_t first, uint32_t len);
/* `n` packets of one byte each. */
void conn_say_bytes(struct conn *k, uint32_t first, uint32_t n);
/* The device has gone, or the route was removed. */
void conn_unroute(struct conn *k);
/* Chunks that the worker has, of those handed to it. */
unsigned conn_chunks_out(struct conn *k);

/* ---- Writer ---- */

/* The next frame; its payload is gone with the next call.  It is done at once
 * unless `hold`. */
struct phone_words conn_hear(struct conn *k);
/* No frame is there at this moment. */
bool conn_silent(struct conn *k);
/* Frames that are held are done. */
void conn_complete(struct conn *k);

/* ---- All of it ---- */

/* Connect, SYN, SYN|ACK with `len` bytes of the pattern, ACK, Result. */
void conn_open(struct conn *k, uint32_t window, uint32_t len);
/* The worker ends its connection by itself: asks for that, gets it, and closes
 * the socket. */
void conn_await_end(struct conn *k);
/* Hears an acknowledgement of just that. */
void conn_hear_ack(struct conn *k, uint32_t ack);
void conn_hear_rst(struct conn *k);
/* Waits until the worker holds so many bytes for a client that does not read. */
void conn_await_held(struct conn *k, uint64_t least);

#endif
