/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_USB_WATCH_H
#define TESTS_UNIT_USB_WATCH_H

/* Runs a source on a thread of its own and notes what it tells. */

#include <pthread.h>
#include <stdbool.h>

#include "usb/transport.h"

#define WATCH_EVENTS_MAX 1024

struct usb_watch {
	struct usb_listener listener; /* first */
	struct usb_source *source;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	int count;
	/* "+KEY" arrived, "-KEY" left, "!TEXT" trouble; those that have arrived
	 * with what they are. */
	char events[WATCH_EVENTS_MAX][96];
	struct usb_ident idents[WATCH_EVENTS_MAX];
	unsigned looks;    /* of which scanned() has told */
	uint32_t answered; /* by the last one */
	int rc; /* of run() */
};

void watch_start(struct usb_watch *w, struct usb_source *source);
/* The event of that number, from 0; waits for it, five seconds at most, after
 * which it is "". */
const char *watch_event(struct usb_watch *w, int number);
/* What arrived under that key last; fails the test when nothing did. */
const struct usb_ident *watch_ident(struct usb_watch *w, const char *key);
/* Whether scanned() has told, or tells within five seconds, that so many rescans
 * are answered. */
bool watch_answers(struct usb_watch *w, uint32_t rescans);
/* Events so far. */
int watch_count(struct usb_watch *w);
/* Makes run() return, and joins; how many milliseconds that took. */
int watch_stop(struct usb_watch *w);

#endif
