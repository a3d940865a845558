/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The control socket: muxphone's commands, and `threads`.  Its thread sleeps
 * while nobody says anything.
 */

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/responder.h"
#include "phone/control.h"
#include "virtual/world.h"

struct tester {
	struct thread thread;
	struct responder *responder;
	struct waker *waker;
	_Atomic bool quitting;
	struct world *world;
};

/* A request is a line, with its newline. */
static size_t
measure(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = memchr(bytes, '\n', len);

	return end != NULL ? (size_t)(end - bytes) + 1 : 0;
}

static void
carry_out(struct world *w, char *line, struct json *j)
{
	if (strcmp(line, "threads") != 0) {
		command_run(&w->farm, line, j);
		world_look(w);
		return;
	}
	json_object(j, NULL);
	world_report_threads(w, j);
	json_end(j);
}

static uint8_t *
answer(void *arg, uint8_t *request, size_t len, size_t *answer_len)
{
	struct tester *t = arg;
	struct json j;

	request[len - 1] = '\0';
	json_init(&j);
	carry_out(t->world, (char *)request, &j);
	if (json_text(&j) == NULL) {
		json_fini(&j);
		return NULL; /* out of memory */
	}
	/* The newline takes the place of the end, which is not sent. */
	j.text[j.len] = '\n';
	*answer_len = j.len + 1;
	return (uint8_t *)j.text;
}

static const struct responder_ops ops = {
	.request_max = CONTROL_LINE_MAX,
	.measure = measure,
	.answer = answer,
};

static void *
run(void *arg)
{
	struct tester *t = arg;
	struct pollfd pfd[2 + CONTROL_CLIENTS_MAX];

	/* Acquire: pairs with tester_stop(). */
	while (!atomic_load_explicit(&t->quitting, memory_order_acquire)) {
		int n = 1;

		pfd[0] = (struct pollfd){ .fd = t->waker->read_fd,
			.events = POLLIN };
		n += responder_pollfds(t->responder, pfd + 1);
		if (poll(pfd, (nfds_t)n, -1) > 0)
			responder_serve(t->responder, pfd + 1);
	}
	return NULL;
}

static void
tester_free(struct tester *t)
{
	responder_close(t->responder);
	if (t->waker != NULL)
		waker_put(t->waker);
	free(t);
}

int
tester_start(struct world *w, const char *path, struct cause *why)
{
	struct tester *t = calloc(1, sizeof *t);
	int error;

	if (t == NULL)
		return cause_set(why, "out of memory");
	t->world = w;
	t->waker = waker_new_polled();
	t->responder = t->waker != NULL
	    ? responder_open(path, CONTROL_CLIENTS_MAX, &ops, t, why)
	    : NULL;
	if (t->responder == NULL) {
		if (t->waker == NULL)
			cause_set(why, "out of descriptors");
		tester_free(t);
		return -1;
	}
	error = thread_start(&t->thread, "virtual-control", run, t);
	if (error != 0) {
		tester_free(t);
		return cause_set(why, "no thread for the control socket: %s",
		    strerror(error));
	}
	w->tester = t;
	return 0;
}

void
tester_stop(struct world *w)
{
	struct tester *t = w->tester;

	if (t == NULL)
		return;
	w->tester = NULL;
	/* Release: pairs with run(). */
	atomic_store_explicit(&t->quitting, true, memory_order_release);
	waker_wake(t->waker);
	thread_join(&t->thread);
	tester_free(t);
}
