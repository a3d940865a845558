/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/relay.h"

static const char usage_text[] =
    "usage: muxrelay [OPTION...] [LOCAL:]REMOTE...\n"
    "       muxrelay [OPTION...] --stdio REMOTE\n"
    "\n"
    "Relays local TCP ports, or standard input and output, to ports of a "
    "phone.\n"
    "\n"
    "  -u, --udid UDID      the phone; otherwise the first one\n"
    "  -d, --device ID      the same, by the daemon's number\n"
    "  -n, --network        a phone on the network instead of one on USB\n"
    "  -s, --socket SOCKET  the daemon's: unix:/path or host:port\n"
    "  -b, --bind ADDRESS   where to listen (127.0.0.1)\n"
    "  -q, --linger SECONDS how long the phone may pause after the local side\n"
    "                       has ended (30; 0: for ever)\n"
    "  -i, --stdio          standard input and output instead of a port\n"
    "  -v, --verbose        a line for each connection\n"
    "  -h, --help           this text\n"
    "  -V, --version        the version\n"
    "\n"
    "LOCAL may be 0 for any free port, and is REMOTE when left out.\n";

static const struct option long_options[] = {
	{ "udid", required_argument, NULL, 'u' },
	{ "device", required_argument, NULL, 'd' },
	{ "network", no_argument, NULL, 'n' },
	{ "socket", required_argument, NULL, 's' },
	{ "bind", required_argument, NULL, 'b' },
	{ "linger", required_argument, NULL, 'q' },
	{ "stdio", no_argument, NULL, 'i' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int
complain(const char *what, const char *text)
{
	fprintf(stderr, "muxrelay: %s '%s'; see muxrelay --help\n", what,
	    text);
	return -1;
}

/* A whole number of [least, most] that ends at `end` or at a ':'. */
static const char *
parse_number(const char *text, unsigned long least, unsigned long most,
    unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || errno != 0 || *out < least ||
	    *out > most)
		return NULL;
	return end;
}

static int
parse_port(struct relay_port *out, const char *text, bool stdio)
{
	unsigned long local, remote;
	const char *end = parse_number(text, 0, 65535, &local);

	if (end != NULL && *end == ':' && !stdio) {
		end = parse_number(end + 1, 1, 65535, &remote);
	} else {
		remote = local;
		if (local == 0)
			end = NULL;
	}
	if (end == NULL || *end != '\0')
		return complain(stdio ? "expected one port number, not"
				      : "expected LOCAL:REMOTE, not", text);
	out->local = (uint16_t)local;
	out->remote = (uint16_t)remote;
	return 0;
}

static int
set_option(struct relay_options *o, int c, const char *arg)
{
	unsigned long number;
	const char *end;

	switch (c) {
	case 'u':
		o->udid = arg;
		return 0;
	case 'd':
		end = parse_number(arg, 1, UINT32_MAX, &number);
		if (end == NULL || *end != '\0')
			return complain("no device number:", arg);
		o->id = (uint32_t)number;
		return 0;
	case 'n':
		o->links = MUXCLIENT_NETWORK;
		return 0;
	case 's':
		o->socket = arg;
		return 0;
	case 'b':
		o->bind = arg;
		return 0;
	case 'q':
		end = parse_number(arg, 0, 86400, &number);
		if (end == NULL || *end != '\0')
			return complain("no number of seconds:", arg);
		o->linger_ms = (int)number * 1000;
		return 0;
	case 'i':
		o->stdio = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'h':
		fputs(usage_text, stdout);
		return 1;
	case 'V':
		puts("muxrelay " PACKAGE_VERSION);
		return 1;
	default:
		fputs("muxrelay: see muxrelay --help\n", stderr);
		return -1;
	}
}

int
relay_options_parse(struct relay_options *o, int argc, char **argv)
{
	int c, rc;

	*o = (struct relay_options){ .links = MUXCLIENT_USB,
		.bind = "127.0.0.1", .linger_ms = RELAY_LINGER_MS };
	while ((c = getopt_long(argc, argv, "u:d:ns:b:q:ivhV", long_options,
		    NULL)) != -1)
		if ((rc = set_option(o, c, optarg)) != 0)
			return rc;
	if (o->udid != NULL && o->id != 0)
		return complain("-u and -d name a phone twice; leave out -d",
		    "");
	if (optind == argc)
		return complain("which port? expected LOCAL:REMOTE, not", "");
	if (argc - optind > (o->stdio ? 1 : RELAY_LISTENERS_MAX))
		return complain("too many ports, from", argv[optind +
		    (o->stdio ? 1 : RELAY_LISTENERS_MAX)]);
	for (; optind < argc; optind++)
		if (parse_port(&o->ports[o->port_count++], argv[optind],
			o->stdio) < 0)
			return -1;
	return 0;
}
