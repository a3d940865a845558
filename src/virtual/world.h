/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_VIRTUAL_WORLD_H
#define MUXD_VIRTUAL_WORLD_H

/*
 * All virtual devices of this process, the threads that simulate them, and the
 * contexts of libusb that want to know of them.
 *
 * It begins with the first of those and ends with the process, so that counters
 * are those of a whole run, however often a program begins anew.  Its threads
 * are there as long as there are contexts.
 */

#include "base/cause.h"
#include "phone/farm.h"
#include "virtual/runner.h"
#include "virtual/unit.h"

struct json;
struct tester;

struct world {
	struct farm farm; /* the gadgets, for reports and for testers */
	struct unit *units; /* as many, in the same order */
	struct runner *runners;
	unsigned runner_count;
	char *report; /* file, or NULL */
	pid_t pid;    /* whose devices they are */
	struct tester *tester; /* NULL: nobody has asked for one */
};

/* Fills the gadgets, not yet on any thread, from a description in the form of
 * USBNET_VIRTUAL.  0, or -1 and a cause; world_free() in both cases. */
int world_describe(struct world *w, const char *description,
    struct cause *why);
void world_free(struct world *w);

/* Something has come or gone.  Not under a gadget's lock. */
void world_changed(void);

/* A tester has changed something: whoever simulates it looks what is due. */
void world_look(struct world *w);

/* Writes what the devices have counted, and what they have cost. */
int world_report(struct world *w, struct cause *why);

/* Members of the open object: what each thread has done, and its CPU time. */
void world_report_threads(struct world *w, struct json *j);

/* tester.c: serves testers' commands at that path, on a thread of its own. */
int tester_start(struct world *w, const char *path, struct cause *why);
void tester_stop(struct world *w);

#endif
