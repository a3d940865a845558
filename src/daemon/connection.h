/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_CONNECTION_H
#define MUXD_DAEMON_CONNECTION_H

/*
 * A client's connection to a port of a phone: what the client's worker keeps
 * once its Connect has been accepted.  Bytes from the phone wait as a chain of
 * chunks until the client's socket takes them; bytes from the client go into
 * packet buffers that come back when they have been sent.
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/chunk.h"
#include "actor/counter.h"
#include "actor/credit.h"
#include "actor/recycler.h"
#include "actor/ref.h"
#include "base/clock.h"
#include "daemon/outbox.h"
#include "daemon/roles.h"
#include "mux/stream.h"

struct client;
struct client_request;
struct device;
struct packet;

/*
 * What leads packets of one connection to its client.  It carries the messages
 * about that, so that none of them can fail to be sent; the routing table, the
 * manager, the worker and each frame hold a reference.
 */
struct route {
	struct ref refs;
	struct msg add_msg;    /* MSG_ROUTE */
	struct msg remove_msg; /* MSG_UNROUTE */
	struct msg gone_msg;   /* MSG_ROUTE_GONE */
	struct client *client; /* a reference */
	struct device *device; /* the same; counts it (routes_alive) */
	uint16_t port;	       /* ours */
	/* The frames of this connection that wait in its device's outbox, each
	 * with a reference.  Here and not in the client, which may connect to
	 * another device while they wait. */
	struct flow flow OWNED_BY(on_writer);
	/* Its upload has got credit back, and sleeps: in device->credited, which
	 * holds a reference. */
	bool credited OWNED_BY(on_reader);
	struct route *next_credited OWNED_BY(on_reader);
};

/* With one reference, the caller's.  NULL when out of memory. */
struct route *route_new(struct client *c, struct device *d, uint16_t port);
struct route *route_get(struct route *r);
void route_put(struct route *r);
struct route *route_of_add(struct msg *m);
struct route *route_of_remove(struct msg *m);
struct route *route_of_gone(struct msg *m);

/* Read by anyone; written by the worker. */
struct connection_stats {
	struct counter rx_bytes; /* device to client, delivered */
	struct counter tx_bytes; /* client to device */
	struct counter in_flight; /* of those, not acknowledged by the device */
	struct counter window;    /* what the device takes beyond that */
	struct counter held;      /* received, waiting for the client to read */
	struct counter reserved;  /* 1: upload credit taken for what comes next */
};

/* How far it has come. */
enum connection_step {
	CONNECTION_NONE,
	CONNECTION_ASKED,    /* the manager, who has not answered */
	CONNECTION_ANSWERED, /* that it may be, or not (ask.result) */
	CONNECTION_SHAKES,   /* hands: the SYN was sent */
	CONNECTION_RELAYS,   /* bytes both ways */
	CONNECTION_ENDED,    /* and its client with it */
};

struct connection {
	/* Set by the manager while the worker waits for its answer; constant
	 * from then on, until the worker gives the connection up. */
	struct device *device; /* a reference; NULL: no connection */
	struct route *route;   /* the same */

	/* For frames with the writer and the transport, see
	 * outbox_flow_frames(). */
	struct credit upload;
	/* Packet buffers: the worker takes, whoever has sent one gives. */
	struct recycler buffers;
	struct connection_stats stats;
	/* Its phone has not answered yet.  Relaxed: for the manager, who looks
	 * when it has been long enough. */
	_Atomic bool shaking;

	/* ---- The worker's ---- */
	enum connection_step step OWNED_BY(on_worker);
	struct moment answer_by OWNED_BY(on_worker); /* what the phone says */
	struct stream stream OWNED_BY(on_worker);
	/* For the client, in order: chunks linked through `more`. */
	struct chunk *pending OWNED_BY(on_worker);
	struct chunk *pending_end OWNED_BY(on_worker);
	uint32_t pending_bytes OWNED_BY(on_worker);
	bool blocked OWNED_BY(on_worker); /* its socket took no more */
	/* poll()'s events that its socket has reported and that have not been
	 * followed to their end. */
	short ready OWNED_BY(on_worker);
	short watched OWNED_BY(on_worker); /* those that pollers wait for */
	bool client_eof OWNED_BY(on_worker); /* it sends no more */
	bool client_gone OWNED_BY(on_worker); /* nor does it read */
	bool phone_ended OWNED_BY(on_worker); /* nothing more will come */
	bool unrouted OWNED_BY(on_worker); /* the reader has let go of it */
	struct moment ack_at OWNED_BY(on_worker);
	/* What its worker waits for: poll()'s events (or CLIENT_NO_SOCKET) if
	 * it polls, and until when. */
	int waits_for OWNED_BY(on_worker);
	struct moment waits_until OWNED_BY(on_worker);
	struct moment give_up_at OWNED_BY(on_worker);
	uint64_t fed OWNED_BY(on_worker); /* bytes received of the device */
};

/*
 * How long a phone may take to answer a SYN.  Below the five seconds after
 * which client libraries give up by themselves and would see a lost daemon
 * rather than a refused connection.
 */
#define CONNECT_MS 4500

void connection_init(struct connection *conn);
/* When nobody has the client any more. */
void connection_fini(struct connection *conn);

/* The request for one is put to the manager; connection_serve() (client.h) or
 * connection_act() goes on from there. */
void connection_ask(struct client *c, const struct client_request *rq)
    RUNS_ON(on_worker);
/* Goes as far as may be in the worker's place.  False: the worker is needed. */
bool connection_act(struct client *c) RUNS_ON(on_worker);

/*
 * A packet of an upload has been sent, or (`error`) not.  The reader, which gives
 * the connection its turn when it has heard all that the transport has to say; on
 * an error any thread.
 */
void connection_packet_back(struct packet *p, int error);
/* All of that has been heard: those that sleep and wait for it go on. */
void connections_attend(struct device *d) RUNS_ON(on_reader);

#endif
