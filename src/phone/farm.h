/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_FARM_H
#define MUXD_PHONE_FARM_H

/*
 * All devices, the server that offers them, and the main thread that sees to
 * them: signals, the control socket, and what is due by time.
 */

#include <signal.h>
#include <stdint.h>

#include "base/cause.h"
#include "phone/options.h"
#include "phone/gadget.h"

struct pollfd;
struct responder;

struct farm {
	struct gadget *gadgets; /* phones first */
	unsigned count;
	struct usbip_server *server;
	unsigned listening; /* addresses, the first ones of the options */
	struct waker *waker;
	struct responder *control; /* NULL: none was asked for */
	/* The waker, the control socket and its clients, then the descriptors
	 * of each gadget in turn; room for all that there can be. */
	struct pollfd *pollfds;
	volatile sig_atomic_t quitting; /* set by signals and `quit` */
};

/* Sets up everything and offers the devices; prints what is printed before
 * `ready`.  0, or -1 and a cause; farm_stop() is due in both cases. */
int farm_start(struct farm *f, const struct options *o, struct cause *why);

/* Runs until a signal or the command `quit`. */
void farm_run(struct farm *f);

/* Makes farm_run() return.  Any thread, and signal handlers. */
void farm_wake(struct farm *f);

/* Ends every import and the server; the counters stay. */
void farm_stop(struct farm *f, const struct options *o);

/* How many violations all devices have counted.  After farm_stop(). */
uint64_t farm_violations(struct farm *f);
/* One object with all devices, or with `only` that one: phones in its array
 * "phones", others in "devices", each an object that `tell` fills. */
void farm_list(struct farm *f, struct json *j, const struct gadget *only,
    void (*tell)(struct gadget *g, struct json *j));
/* The same without the object around them. */
void farm_list_members(struct farm *f, struct json *j,
    const struct gadget *only, void (*tell)(struct gadget *g, struct json *j));
/* Writes the report.  0, or -1 and a cause. */
int farm_report(struct farm *f, const char *path, struct cause *why);

void farm_fini(struct farm *f);

/* ---- command.c ---------------------------------------------------------- */

/* Carries out one line of the control socket; exactly one value is written to
 * `j`.  Main thread. */
void command_run(struct farm *f, char *line, struct json *j);

/* The whole program; what it returns is the exit status. */
int muxphone_main(int argc, char **argv);

#endif
