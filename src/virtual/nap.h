/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_VIRTUAL_NAP_H
#define MUXD_VIRTUAL_NAP_H

/*
 * Where a thread sleeps that waits for no descriptor: a system call to sleep and
 * one to wake it, and a deadline to the nanosecond.  A call that comes before the
 * sleep is not lost.
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/clock.h"

struct nap {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool called; /* under it */
};

void nap_init(struct nap *p);
void nap_fini(struct nap *p);
/* Any thread. */
void nap_call(struct nap *p);
/* Until a call, or then. */
void nap_wait(struct nap *p, struct moment until);

#endif
