/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/connector.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "actor/thread.h"

struct connector {
	struct target *target;
	struct mailbox *results;
	struct thread threads[CONNECTOR_THREADS]; /* the loop's thread only */
	unsigned started;
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t more;  /* waiting is not empty, or ending is set */
	struct errand *first, **last;
	unsigned waiting, idle;
	bool ending;
};

struct connector *
connector_new(struct target *target, struct mailbox *results)
{
	struct connector *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->target = target;
	c->results = results;
	c->last = &c->first;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	return c;
}

/* The oldest errand; NULL when it is time to end. */
static struct errand *
next_errand(struct connector *c)
{
	struct errand *e;

	pthread_mutex_lock(&c->lock);
	c->idle++;
	while (c->first == NULL && !c->ending)
		pthread_cond_wait(&c->more, &c->lock);
	c->idle--;
	e = c->ending ? NULL : c->first;
	if (e != NULL) {
		c->first = e->next;
		if (c->first == NULL)
			c->last = &c->first;
		c->waiting--;
	}
	pthread_mutex_unlock(&c->lock);
	return e;
}

static void
errand_free(struct errand *e)
{
	close(e->local);
	if (e->remote >= 0)
		close(e->remote);
	free(e);
}

static void *
connector_main(void *arg)
{
	struct connector *c = arg;
	struct errand *e;

	while ((e = next_errand(c)) != NULL) {
		e->remote = target_connect(c->target, e->port, &e->why);
		if (!mailbox_post(c->results, &e->msg))
			errand_free(e);
	}
	return NULL;
}

bool
connector_send(struct connector *c, struct errand *e)
{
	bool taken = false, short_of_threads;

	e->next = NULL;
	pthread_mutex_lock(&c->lock);
	short_of_threads = c->waiting >= c->idle;
	pthread_mutex_unlock(&c->lock);
	if (short_of_threads && c->started < CONNECTOR_THREADS) {
		const int error = thread_start(&c->threads[c->started],
		    "connector", connector_main, c);

		if (error == 0)
			c->started++;
		else if (c->started == 0) {
			errno = error;
			return false;
		}
	}
	pthread_mutex_lock(&c->lock);
	if (c->waiting < CONNECTOR_WAITING) {
		*c->last = e;
		c->last = &e->next;
		c->waiting++;
		taken = true;
		pthread_cond_signal(&c->more);
	}
	pthread_mutex_unlock(&c->lock);
	if (!taken)
		errno = EAGAIN;
	return taken;
}

void
connector_free(struct connector *c)
{
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_broadcast(&c->more);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < c->started; i++)
		thread_join(&c->threads[i]);
	while (c->first != NULL) {
		struct errand *e = c->first;

		c->first = e->next;
		errand_free(e);
	}
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
