/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_CTL_RIG_H
#define MUXD_TESTS_CTL_RIG_H

/*
 * muxctl as a whole against a daemon that says what a test wants it to.  The
 * daemon is a thread of the test that serves one client: it takes a request,
 * says what it has to say, and closes.
 */

#include <plist/plist.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "wire/client.h"

#define RIG_SAYS_MAX 8

/* A test fills this before muxctl runs, and reads it after. */
struct rig {
	int listener;
	char dir[32], path[64];
	plist_t says[RIG_SAYS_MAX]; /* the answer, then events; it frees them */
	size_t count;
	struct client_frame raw; /* the answer when bytes is set; the same */
	uint32_t tag_offset;	 /* of the answer's tag from the right one */
	bool hold;		 /* close only when the client has */
	char request[64], level[64], busid[64]; /* what was asked, */
	plist_t asked; /* and all of it */
	/* What muxctl printed, until it runs again. */
	char *out, *err;
};
extern struct rig rig;

/* A checked fixture. */
void rig_set_up(void);
void rig_tear_down(void);

/* All of these return the exit status; `args` ends with NULL. */

/* muxctl with these arguments, and nobody who serves it. */
int rig_run(const char *const *args);
#define MUXCTL(...) rig_run((const char *const[]){ __VA_ARGS__, NULL })

/* The same while the daemon serves one client. */
int rig_run_served(const char *const *args);
#define SERVED(...)                                                     \
	rig_run_served((const char *const[]){ "-c", rig.path, __VA_ARGS__, \
	    NULL })

/* The same with its output going to `out`. */
int rig_run_served_to(FILE *out, const char *const *args);

/* Puts a dictionary at the end of what is said; it is the rig's. */
void rig_say(plist_t dict);
/* A Result. */
void rig_say_result(uint64_t number);
/* A status of four devices, not in order, and two clients. */
void rig_say_status(void);

void rig_set(plist_t dict, const char *key, const char *text);
void rig_set_number(plist_t dict, const char *key, uint64_t n);
plist_t rig_device(uint64_t id, const char *udid, const char *state);

void assert_contains(const char *text, const char *part);

#endif
