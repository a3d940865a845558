/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/worker.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/client.h"
#include "daemon/msg.h"
#include "daemon/scm_conn.h"

static struct client *
client_of_serve(struct msg *m)
{
	return (struct client *)((char *)m -
	    offsetof(struct client, serve_msg));
}

static void
serve_client(struct worker *w, struct client *c) RUNS_ON(on_worker)
{
	client_serve(c, w->records);
	mailbox_post(c->manager, &c->ended_msg);
}

static void
serve_socket(struct worker *w, struct scm_conn *c) RUNS_ON(on_worker)
{
	scm_conn_serve(c, w->waker);
	mailbox_post(c->manager, &c->ended_msg);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct msg *m;

	role_take(&on_worker);
	/* It is given one job at a time, so one message at a time. */
	while ((m = mailbox_wait(&w->box, w->waker))->type != MSG_RETIRE)
		if (m->type == MSG_SERVE)
			serve_client(w, client_of_serve(m));
		else
			serve_socket(w, scm_conn_of_serve(m));
	role_drop(&on_worker);
	return NULL;
}

struct worker *
worker_new(uint32_t number, struct records *records)
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
	w->retire_msg.type = MSG_RETIRE;
	w->records = records;
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
worker_serve(struct worker *w, struct client *c)
{
	mailbox_post(&w->box, &c->serve_msg);
}

void
worker_serve_socket(struct worker *w, struct scm_conn *c)
{
	mailbox_post(&w->box, &c->serve_msg);
}

void
worker_free(struct worker *w)
{
	mailbox_post(&w->box, &w->retire_msg);
	thread_join(&w->thread);
	waker_put(w->waker);
	free(w);
}
