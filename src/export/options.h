/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_OPTIONS_H
#define MUXD_EXPORT_OPTIONS_H

/* The command line of usbexportd.  Main thread. */

#include "base/cause.h"
#include "base/sock.h"
#include "export/cidr.h"
#include "export/policy.h"

#define OPTIONS_LISTEN_MAX 16
#define OPTIONS_ALLOW_MAX 64

enum options_action {
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
};

struct options {
	enum options_action action;
	struct sock_addr listen[OPTIONS_LISTEN_MAX];
	unsigned listen_count; /* at least 1, unless `stdio` */
	bool stdio;
	struct policy policy;
	struct cidr allow[OPTIONS_ALLOW_MAX];
	unsigned allow_count; /* 0: everybody */
	const char *control;  /* NULL: none */
	bool control_wanted;  /* it was asked for, so it must work */
	unsigned verbosity;   /* how often -v */
	bool quiet;
};

extern const char options_usage[];

/* Fills `o`, whose texts are those of argv.  0, or -1 and a cause. */
int options_parse(struct options *o, int argc, char **argv,
    struct cause *why);

#endif
