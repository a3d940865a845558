/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/worker.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/client.h"
#include "daemon/door.h"
#include "daemon/msg.h"
#include "daemon/scm_conn.h"

static struct client *
client_of_serve(struct msg *m)
{
	return (struct client *)((char *)m -
	    offsetof(struct client, serve_msg));
}

/* What was lent to it is given back before the manager hears of the end: this
 * thread may then act as the manager, and let in others that need it. */
static void
serve_client(struct worker *w, struct client *c) RUNS_ON(on_worker)
{
	if (atomic_load_explicit(&c->waker, memory_order_relaxed) == NULL)
		client_attach(c, w->waker);
	client_serve(c, w->records);
	waker_rest(w->waker);
	mailbox_post(c->manager, &c->ended_msg);
}

static void
serve_socket(struct worker *w, struct scm_conn *c) RUNS_ON(on_worker)
{
	scm_conn_serve(c, w->waker);
	waker_rest(w->waker);
	mailbox_post(c->manager, &c->ended_msg);
}

/* True: it is to end. */
static bool
obey(struct worker *w, struct msg *m) RUNS_ON(on_worker)
{
	switch ((enum msg_type)m->type) {
	case MSG_SERVE:
		serve_client(w, client_of_serve(m));
		break;
	case MSG_SERVE_SCM:
		serve_socket(w, scm_conn_of_serve(m));
		break;
	case MSG_RETIRE:
		return true;
	default: /* MSG_WAIT */
		break;
	}
	return false;
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	bool over = false;

	role_take(&on_worker);
	while (!over && (w->found = door_wait(w->door)) != DOOR_CLOSED) {
		mailbox_post(w->manager, &w->knock_msg);
		/* There is one answer to one knock. */
		over = obey(w, mailbox_wait(&w->box, w->waker));
	}
	role_drop(&on_worker);
	return NULL;
}

struct worker *
worker_new(uint32_t number, struct records *records, struct door *door,
    struct mailbox *manager)
{
	struct worker *w = calloc(1, sizeof *w);
	char name[16];
	int error;

	if (w == NULL)
		return NULL;
	w->waker = waker_new();
	if (w->waker == NULL) {
		free(w);
		return NULL;
	}
	mailbox_init_waker(&w->box, w->waker);
	w->knock_msg.type = MSG_KNOCK;
	w->wait_msg.type = MSG_WAIT;
	w->retire_msg.type = MSG_RETIRE;
	w->records = records;
	w->door = door;
	w->manager = manager;
	snprintf(name, sizeof name, "worker %u", number);
	error = thread_start(&w->thread, name, worker_main, w);
	if (error != 0) {
		waker_put(w->waker);
		free(w);
		errno = error;
		return NULL;
	}
	return w;
}

void
worker_wait_on(struct worker *w)
{
	mailbox_post(&w->box, &w->wait_msg);
}

void
worker_retire(struct worker *w)
{
	mailbox_post(&w->box, &w->retire_msg);
}

void
worker_join(struct worker *w)
{
	thread_join(&w->thread);
}

void
worker_free(struct worker *w)
{
	waker_put(w->waker);
	free(w);
}
