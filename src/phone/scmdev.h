/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_SCMDEV_H
#define MUXD_PHONE_SCMDEV_H

/*
 * A device that has its host open sockets for it: the Socket Control Model.
 *
 * Its sockets are at the tester's hand in two ways.  A forward is a local port:
 * whoever connects there gets a socket of the device's, connected by the host
 * to a fixed address, and bytes are passed on both ways (scmdev_ports.c).  And
 * commands of the control socket make raw sockets and say anything else, byte
 * for byte (scmdev_command.c).
 *
 *	local port -> forwarded socket ---+
 *	                                  +-> requests -> pipes -> IN URBs
 *	control socket -> raw socket -----+
 *
 *	OUT URBs -> input (judge) -> answers, and data of the sockets
 *
 * All of it belongs to one gadget, under its lock.  Descriptors are opened,
 * used and closed on the main thread only; what the host's URBs change is left
 * there for it (scmdev_notice()).  Nothing here blocks.
 *
 * What bounds it: SCMDEV_SOCKETS; for each socket SCMDEV_TX_MAX bytes from its
 * client, of which nothing is read beyond, and SCMDEV_RX_MAX from the host,
 * beyond which the device takes no more OUT transfers, as any device that is
 * busy; 256 messages without an answer; SCMDEV_QUEUE_MAX answers that wait for
 * the bus.
 */

#include "base/sock.h"
#include "phone/device.h"
#include "phone/ring.h"
#include "phone/scmdev_wire.h"
#include "phone/strict.h"
#include "phone/traffic.h"

#define SCMDEV_IN 0x81
#define SCMDEV_OUT 0x01
#define SCMDEV_EVENT_IN 0x82
#define SCMDEV_EVENT_OUT 0x02
#define SCMDEV_EVENT_PACKET 64

#define SCMDEV_SOCKETS 256  /* as many as a byte can name */
#define SCMDEV_IDS 256      /* messages that wait for an answer; likewise */
#define SCMDEV_FORWARDS 16
#define SCMDEV_TX_MAX 65536u
#define SCMDEV_RX_MAX 262144u
#define SCMDEV_QUEUE_MAX 1024
/* What is kept of the host's messages until a tester takes them. */
#define SCMDEV_HEARD_MAX 4096
#define SCMDEV_HEARD_BYTES_MAX (1u << 20)
/* A host that has ended its transfer does so at once. */
#define SCMDEV_ZLP_MS 2000
/* The longest transfer that a tester sends. */
#define SCMDEV_SEND_MAX 131072

enum scmdev_violation {
	/* USB framing. */
	SCMDEV_V_SPLIT,        /* a message goes on in the next transfer */
	SCMDEV_V_ZLP_MISSING,  /* a transfer whose last packet is full, open */
	SCMDEV_V_ZLP_NEEDLESS, /* a zero-length packet that ends nothing */
	SCMDEV_V_PIPE,         /* on the wrong pair of endpoints */
	/* A message. */
	SCMDEV_V_OPCODE,       /* none that exists */
	SCMDEV_V_DIRECTION,    /* one that only devices send */
	SCMDEV_V_LENGTH,       /* not what such a message has, or too long */
	SCMDEV_V_RESERVED,     /* what must be 0 is not */
	/* Answers. */
	SCMDEV_V_ACK_UNKNOWN,  /* to a message that never was */
	SCMDEV_V_ACK_TWICE,    /* to one that has been answered */
	SCMDEV_V_ACK_SOCKET,   /* for another socket than the message's */
	SCMDEV_V_ACK_KIND,     /* ACK for REPLY, or for another opcode */
	SCMDEV_V_ACK_CODE,     /* no result that such a message has */
	SCMDEV_V_ID_REUSED,    /* an id whose message has not been answered */
	/* Sockets. */
	SCMDEV_V_SOCKET,       /* no such socket */
	SCMDEV_V_EARLY,        /* before the socket was connected */
	SCMDEV_V_LATE,         /* behind the host's own CLOSE */
	SCMDEV_V_KINDS,
};
extern const struct strict_table scmdev_violations;

/* ---- Sockets ------------------------------------------------------------ */

enum scmdev_state {
	SCMDEV_S_NEW,        /* OPEN is to be sent */
	SCMDEV_S_OPENING,    /* and has been */
	SCMDEV_S_OPEN,
	SCMDEV_S_CONNECTING,
	SCMDEV_S_CONNECTED,
	SCMDEV_S_CLOSING,    /* CLOSE has been sent */
	SCMDEV_S_GONE,       /* the host knows of it no more */
};

/* A WRITE of the host's that is answered when the client has taken it. */
struct scmdev_due {
	uint16_t id;
	uint64_t end; /* of its bytes, counted from the socket's first */
};

struct scmdev_socket {
	uint32_t id;
	unsigned slot;  /* in the device's table */
	enum scmdev_state state;
	bool raw;       /* a tester's, who says what it does */
	bool v6, udp;
	struct scmdev_address to;

	/* Of the client; a raw socket has -1.  The main thread's. */
	int fd;
	bool eof;         /* the client sends no more */
	bool shut;        /* and has been told that the host sends no more */
	struct moment linger_until;

	bool host_closed; /* the host has said CLOSE */
	bool broken;      /* or that the peer takes no more */
	bool shutdown;    /* SHUTDOWN has been sent */
	bool leaving;     /* to be closed when nothing is under way */
	bool abort;       /* the client is to see a reset */
	unsigned waiting; /* messages without an answer */
	unsigned writes;  /* WRITEs among them */
	struct ring tx;   /* from the client, to the host */
	struct ring rx;   /* from the host, to the client */
	uint64_t received, taken; /* bytes into rx, and out of it */
	struct scmdev_due due[SCMDEV_IDS];
	unsigned due_first, due_count;
};

/* ---- Device ------------------------------------------------------------- */

/* A message of the device's, in the place of its id. */
struct scmdev_sent {
	bool known;    /* there has been one */
	bool waiting;  /* for its answer */
	bool recorded; /* which is a tester's to read */
	bool extra;    /* and none of the socket's business */
	uint16_t id;
	enum scmdev_op op;
	uint32_t socket;
};

/* One transfer to the host. */
struct scmdev_transfer {
	struct scmdev_transfer *next;
	size_t len, at; /* of all, and what has been sent */
	uint8_t bytes[];
};

struct scmdev_pipe {
	struct scmdev_transfer *first, *last;
	unsigned count;
	bool zlp_due;
};

/* A message of the host's, for testers. */
struct scmdev_heard {
	struct scmdev_heard *next;
	size_t len;
	uint8_t bytes[];
};

struct scmdev_input {
	uint8_t bytes[SCMDEV_HEADER_MAX + SCMDEV_PAYLOAD_MAX];
	size_t used;
	struct scmdev_message m; /* once the header is there */
	bool whole;    /* and all of it, but there is no room for it */
	bool lost;     /* nobody knows where messages begin */
	bool open;     /* the transfer goes on */
	struct moment open_since;
	uint32_t skip; /* bytes of an unknown message */
};

struct scmdev_forward {
	struct sock_addr local;
	struct scmdev_address to;
	int fd; /* it listens; the main thread's */
	uint64_t accepted;
};

enum scmdev_misbehaviour {
	SCMDEV_M_NONE,
	SCMDEV_M_SPLIT,
	SCMDEV_M_PACK,
	SCMDEV_M_NEVER_ACK,
	SCMDEV_M_DOUBLE_ACK,
	SCMDEV_M_STRAY_ACK,
	SCMDEV_M_STRAY_REPLY,
	SCMDEV_M_DUPLICATE_OPEN,
	SCMDEV_M_EARLY_WRITE,
	SCMDEV_M_LATE_WRITE,
	SCMDEV_M_EMPTY_WRITE,
	SCMDEV_M_HUGE_LENGTH,
	SCMDEV_M_UNKNOWN_OPCODE,
	SCMDEV_M_UNPLUG,
	SCMDEV_M_DEAF,
	SCMDEV_M_KINDS,
};

struct scmdev_counters {
	uint64_t opened, connected, refused, closed, host_closed;
	uint64_t messages_in, messages_out;
	uint64_t writes_in, writes_out, data_in, data_out;
	uint64_t answers_in, answers_out;
	uint64_t late; /* for a socket that the device had closed: legal */
	uint64_t discarded; /* bytes whose client was gone */
	unsigned most_waiting; /* messages without an answer */
};

struct scmdev {
	struct device usb;
	struct scmdev_style style;
	bool events;     /* there is an interrupt pair */
	unsigned events_word; /* 0: as the dialect has it; 1: off; 2: on */
	bool acks;       /* what the host writes is answered */
	unsigned window; /* WRITEs of one socket without an answer */
	unsigned payload; /* bytes of one WRITE at most */
	unsigned linger_ms;
	struct scmdev_forward forwards[SCMDEV_FORWARDS];
	unsigned forward_count;

	struct strict strict;
	struct scmdev_counters count;
	struct traffic bulk, event;

	struct scmdev_socket *sockets[SCMDEV_SOCKETS];
	uint32_t laps[SCMDEV_SOCKETS]; /* dialect 12: makes each id a new one */
	unsigned current;    /* sockets */
	unsigned next_slot;  /* where to look for a free one */
	unsigned turn;       /* whose turn it is to send */

	struct scmdev_sent sent[SCMDEV_IDS];
	unsigned waiting;    /* of them */
	uint16_t next_id;
	bool host_waits[SCMDEV_IDS]; /* dialect 8: an answer is due */

	struct scmdev_pipe out[2]; /* bulk, interrupt */
	struct scmdev_input in;    /* bulk */

	enum scmdev_misbehaviour misbehaviour;
	uint64_t misbehaviour_arg; /* 0: the usual */
	uint64_t misbehaved;       /* times, or bytes */

	struct scmdev_heard *heard, *last_heard;
	unsigned heard_count;
	size_t heard_bytes;
	uint64_t unheard; /* that nobody has taken in time */

	/* The main thread's: which slot each descriptor of watch() belongs to;
	 * SCMDEV_SOCKETS and beyond are forwards. */
	uint16_t watched[SCMDEV_SOCKETS + SCMDEV_FORWARDS];
};

static inline struct scmdev *
scmdev_of(struct device *d)
{
	return (struct scmdev *)d; /* its first member */
}

/* The main thread is to look at the descriptors. */
static inline void
scmdev_notice(struct scmdev *s)
{
	s->usb.watch_again = true;
}

enum { SCMDEV_BULK, SCMDEV_EVENT }; /* places in `out` */

/* ---- scmdev_socket.c ---------------------------------------------------- */

/* NULL: there are SCMDEV_SOCKETS, or memory has run out. */
struct scmdev_socket *scmdev_socket_new(struct scmdev *s);
/* Frees it, when nobody has its descriptor. */
void scmdev_socket_drop(struct scmdev *s, struct scmdev_socket *sock);
/* By the id on the wire; NULL: none such, or none any more. */
struct scmdev_socket *scmdev_socket_find(const struct scmdev *s, uint32_t id);

/* Sends the next message that the socket has for that pipe.  False: none. */
bool scmdev_socket_step(struct scmdev *s, struct scmdev_socket *sock,
    unsigned pipe);
/* The host has answered a message of the socket's. */
void scmdev_socket_answered(struct scmdev *s, struct scmdev_socket *sock,
    enum scmdev_op op, int32_t code);
/* Bytes from the host.  False: out of memory, and the socket ends. */
bool scmdev_socket_receive(struct scmdev *s, struct scmdev_socket *sock,
    const struct scmdev_message *m);
/* The client has taken so many of them: answers what is due. */
void scmdev_socket_taken(struct scmdev *s, struct scmdev_socket *sock,
    size_t len);
/* The client is gone, or has to go. */
void scmdev_socket_abort(struct scmdev *s, struct scmdev_socket *sock);
/* The session is over: every socket. */
void scmdev_sockets_reset(struct scmdev *s);

/* ---- scmdev_output.c ---------------------------------------------------- */

/* Gives `m` an id and sends it; what waits for its answer is `sock`, or nothing
 * but a tester (`recorded`).  False: no id is free, or out of memory. */
bool scmdev_request(struct scmdev *s, struct scmdev_message *m,
    struct scmdev_socket *sock, bool recorded);
/* The same, outside of what the socket knows of itself. */
bool scmdev_request_extra(struct scmdev *s, struct scmdev_message *m);
/* Answers a WRITE or CLOSE of the host's. */
void scmdev_answer(struct scmdev *s, enum scmdev_op op, uint16_t id,
    uint32_t socket, int32_t code);
/* Bytes as they are, in a transfer of their own.  False: out of memory. */
bool scmdev_queue(struct scmdev *s, unsigned pipe, const void *bytes,
    size_t len);
/* The pipe of such messages. */
unsigned scmdev_pipe_of(const struct scmdev *s, enum scmdev_op op);
/* Room for what an OUT transfer makes us answer. */
bool scmdev_accepts(const struct scmdev *s);
/* serve() of the IN endpoints. */
bool scmdev_serve_in(struct scmdev *s, struct endpoint *e,
    struct usbip_urb *urb, struct outcome *out);
void scmdev_output_reset(struct scmdev *s);

/* ---- scmdev_misbehave.c ------------------------------------------------- */

/* `text` is NAME or NAME/NUMBER.  0, or -1 and a cause. */
int scmdev_misbehave(struct scmdev *s, const char *text, struct cause *why);
const char *scmdev_misbehaviour_name(enum scmdev_misbehaviour kind);
/* What comes before a message of the device's, and behind it.  Neither sees
 * those that they make. */
void scmdev_misbehave_before(struct scmdev *s,
    const struct scmdev_message *m);
void scmdev_misbehave_after(struct scmdev *s, const struct scmdev_message *m);
/* Where to cut a transfer of that length in two; 0: not at all. */
size_t scmdev_misbehave_cut(struct scmdev *s, size_t len);
/* How many of these bytes still go to the host before the cable is pulled. */
size_t scmdev_misbehave_unplug(struct scmdev *s, size_t len);

/* ---- scmdev_input.c ----------------------------------------------------- */

/* serve() of the OUT endpoints. */
bool scmdev_serve_out(struct scmdev *s, struct endpoint *e,
    struct usbip_urb *urb, struct outcome *out);
void scmdev_input_reset(struct scmdev *s);
/* Looks whether a transfer has been left open; *until: when to look again. */
void scmdev_input_tick(struct scmdev *s, struct moment *until);

/* ---- scmdev_ports.c ----------------------------------------------------- */

/* LOCAL=ADDRESS:PORT.  0, or -1 and a cause. */
int scmdev_forward_parse(struct scmdev_forward *f, const char *text,
    struct cause *why);
int scmdev_ports_open(struct scmdev *s, struct cause *why);
void scmdev_ports_close(struct scmdev *s);
/* The kind's watch() and watched(). */
unsigned scmdev_watch(struct device *d, struct pollfd *pfd,
    struct moment *until);
void scmdev_watched(struct device *d, const struct pollfd *pfd,
    unsigned count);

/* ---- scmdev_command.c --------------------------------------------------- */

/* The kind's command(). */
void scmdev_command(struct device *d, char **word, int count, struct json *j);
/* Keeps a message for testers. */
void scmdev_hear(struct scmdev *s, const uint8_t *bytes, size_t len);
void scmdev_heard_free(struct scmdev *s);

#endif
