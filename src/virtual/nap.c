/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "virtual/nap.h"

void
nap_init(struct nap *p)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->cond, &attr);
	pthread_condattr_destroy(&attr);
	p->called = false;
}

void
nap_fini(struct nap *p)
{
	pthread_cond_destroy(&p->cond);
	pthread_mutex_destroy(&p->lock);
}

void
nap_call(struct nap *p)
{
	pthread_mutex_lock(&p->lock);
	p->called = true;
	pthread_mutex_unlock(&p->lock);
	/* Not under the lock: who wakes up wants it. */
	pthread_cond_signal(&p->cond);
}

void
nap_wait(struct nap *p, struct moment until)
{
	const struct timespec at = {
		.tv_sec = (time_t)(until.ns / 1000000000),
		.tv_nsec = (long)(until.ns % 1000000000),
	};
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->called && rc == 0)
		rc = until.ns == MOMENT_NEVER.ns
		    ? pthread_cond_wait(&p->cond, &p->lock)
		    : pthread_cond_timedwait(&p->cond, &p->lock, &at);
	p->called = false;
	pthread_mutex_unlock(&p->lock);
}
