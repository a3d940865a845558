/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_PORT_H
#define MUXD_PHONE_PORT_H

/*
 * The services behind the phone's ports: the contract with the mux, and which
 * there are.
 *
 *	1	greets at once, then echoes
 *	2	the same, but the greeting comes inside the SYN|ACK
 *	7	echoes
 *	9	discards
 *	13	sends 100 000 bytes of the pattern, then resets
 *	19	sends the pattern for ever (chargen)
 *	62078	lockdown
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phone/conn.h"
#include "phone/ring.h"

#define PORT_GREET 1
#define PORT_GREET_JOINED 2
#define PORT_ECHO 7
#define PORT_DISCARD 9
#define PORT_BURST 13
#define PORT_CHARGEN 19
#define PORT_LOCKDOWN 62078

#define PORT_GREETING "muxphone: at your service\r\n"
#define PORT_BURST_LEN 100000

struct port {
	const char *name;
	uint16_t number;
	bool early;  /* sends before the host has taken the SYN|ACK */
	bool joined; /* begins to send within the SYN|ACK */

	/* NULL: nothing to do.  False: out of memory, the host is refused. */
	bool (*open)(struct conn *c);
	/* Takes all of the input; conn_consume() when it has done with it.
	 * False: the connection is reset. */
	bool (*input)(struct conn *c, const uint8_t *data, size_t len);
	/* NULL: never sends.  The next bytes to send, at most `max` (never 0);
	 * they count as sent, and stay where they are until sent(). */
	size_t (*output)(struct conn *c, size_t max, struct span out[2]);
	/* NULL: nothing to do.  The `n` bytes of the last output() have left.
	 * Not called when the connection ended before. */
	void (*sent)(struct conn *c, size_t n);
	/* NULL: nothing to do.  Frees what open() made; the ring is freed by
	 * the caller. */
	void (*close)(struct conn *c);
};

/* NULL: nobody listens there. */
const struct port *port_find(uint16_t number);

extern const struct port port_greet, port_greet_joined, port_echo,
    port_discard, port_burst, port_chargen, port_lockdown;

#endif
