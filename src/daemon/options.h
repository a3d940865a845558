/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_OPTIONS_H
#define MUXD_DAEMON_OPTIONS_H

/* The daemon's command line: usbmuxd's, with its meanings, and ours. */

#include <stdbool.h>
#include <stddef.h>

#include "base/cause.h"

/* So many sockets and so many USB/IP servers at most: each has a thread or a
 * descriptor that is polled. */
#define OPTIONS_SOCKETS_MAX 16
#define OPTIONS_SERVERS_MAX 64

enum options_action {
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_ASK_EXIT,   /* -x: the running one exits if no phone is there */
	OPTIONS_FORCE_EXIT, /* -X: it exits */
};

/* All strings belong to argv. */
struct options {
	enum options_action action;
	bool foreground;
	int verbosity;
	const char *user;
	bool no_hotplug;
	bool exit_if_idle;
	unsigned idle_ms; /* how long nobody must have been there for that */
	bool no_preflight;
	const char *config_dir;
	const char *sockets[OPTIONS_SOCKETS_MAX];
	size_t socket_count;
	const char *pidfile; /* NULL: none */
	const char *logfile;
	const char *usbip[OPTIONS_SERVERS_MAX];
	size_t usbip_count;
	bool no_usb;
	const char *control; /* NULL: none */
	const char *scm_conf;
	bool scm_conf_named; /* by --scm-conf: it is expected to be there */
	const char *scm_audit; /* NULL: the log */
	int wanted_mode; /* of USBMUXD_DEFAULT_DEVICE_MODE, 1 without it */
};

/* 0, or -1 and a cause that names the option. */
int options_parse(struct options *o, int argc, char **argv,
    struct cause *why);

/* What --help prints. */
extern const char options_usage[];

#endif
