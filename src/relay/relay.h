/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_RELAY_RELAY_H
#define MUXD_RELAY_RELAY_H

/* muxrelay: local TCP ports, or standard input and output, joined to ports of
 * a phone. */

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "muxclient.h"
#include "relay/target.h"

#define RELAY_LISTENERS_MAX 64
#define RELAY_LINGER_MS 30000 /* see pair.h */

struct relay_port {
	uint16_t local; /* 0: any free one */
	uint16_t remote;
};

struct relay_options {
	const char *socket; /* NULL: the library's default */
	const char *udid;   /* NULL: the first device */
	uint32_t id;	    /* 0: none given */
	unsigned links;	    /* bits of muxclient_link */
	const char *bind;   /* local address */
	bool stdio;
	bool verbose;
	int linger_ms; /* 0: no limit */
	struct relay_port ports[RELAY_LISTENERS_MAX];
	unsigned port_count; /* with stdio: 1, of which remote counts */
};

/* 0; 1 when the text has been printed that was asked for; -1 after a complaint
 * on standard error. */
int relay_options_parse(struct relay_options *o, int argc, char **argv);

/* Listens and relays for ever.  Returns only with a cause, -1. */
int relay_listen(const struct relay_options *o, struct target *target,
    struct cause *why);

/* Joins standard input and output to the phone's port until the phone's side
 * ends.  0, or -1 and a cause. */
int relay_stdio(const struct relay_options *o, struct target *target,
    struct cause *why);

/* The whole program.  Returns its exit status. */
int relay_main(int argc, char **argv);

#endif
