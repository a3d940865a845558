/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_STRICT_H
#define MUXD_PHONE_STRICT_H

/*
 * The judge: what the host must not do, counted by kind.
 *
 * A violation never ends the device.  Where the device can tell what was meant
 * it goes on with that, so that one fault is counted once; otherwise it resets
 * the connection and looks no further at it.
 *
 * Which kinds there are is a table of the protocol's; the phone's, of the mux
 * protocol, stands here.
 *
 * Belongs to one device, under its lock.
 */

#include <stddef.h>
#include <stdint.h>

struct json;

enum strict_kind {
	/* USB framing. */
	STRICT_LENGTH,       /* the header's length is not the transfer's */
	STRICT_TOO_LONG,     /* a packet of more than 65535 bytes */
	STRICT_ZLP_MISSING,  /* a packet that fills its last USB packet, open */
	STRICT_ZLP_NEEDLESS, /* a zero-length packet that ends nothing */
	/* Mux header. */
	STRICT_MAGIC,    /* version 2: not 0xfeedface */
	STRICT_TX_SEQ,   /* version 2: not the number after the last one */
	STRICT_PROTOCOL, /* none of the four */
	STRICT_VERSION,  /* VERSION: malformed, or amid live connections */
	STRICT_SETUP,    /* SETUP: malformed, repeated, or to version 1 */
	STRICT_ORDER,    /* traffic before the handshake is complete */
	/* TCP header. */
	STRICT_TCP_HEADER, /* cut short, or with options */
	STRICT_RESERVED,   /* checksum, urgent pointer or reserved bits set */
	STRICT_FLAGS,      /* neither SYN, ACK nor RST (with or without ACK) */
	/* A connection. */
	STRICT_SYN,          /* a SYN with data or an acknowledgement */
	STRICT_SYN_LIVE,     /* a SYN on a source port that is in use */
	STRICT_UNKNOWN,      /* no such connection */
	STRICT_HANDSHAKE,    /* traffic before the SYN|ACK, or not taking it */
	STRICT_SEQ,          /* not the next sequence number */
	STRICT_ACK_AHEAD,    /* acknowledges what was never sent */
	STRICT_ACK_BACKWARD, /* takes an acknowledgement back */
	STRICT_WINDOW,       /* data past the largest window ever granted */
	STRICT_KINDS,
};

/* Kinds of violations that a protocol can have. */
#define STRICT_KINDS_MAX 32

struct strict_table {
	const char *device; /* what the log calls it */
	unsigned kinds;
	const char *names[STRICT_KINDS_MAX]; /* stable: they stand in reports */
};

extern const struct strict_table strict_phone;

/* How many violations of one device are worth a warning; the rest are told with
 * -v only. */
#define STRICT_WARNINGS 8

struct strict {
	const struct strict_table *table;
	uint64_t count[STRICT_KINDS_MAX];
	uint64_t total;
	unsigned index; /* the device's, for the log */
};

void strict_init(struct strict *s, const struct strict_table *table,
    unsigned index);

/* Counts one, and logs it with the first of the `len` bytes that it lies in. */
void strict_count(struct strict *s, unsigned kind, const void *bytes,
    size_t len, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* As members of the object that is open: "violations", how many, and "by_kind",
 * a count for each name. */
void strict_report(const struct strict *s, struct json *j);

#endif
