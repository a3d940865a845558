/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/thread.h"

#include <signal.h>
#include <stdio.h>

static void
name_thread(pthread_t id, const char *name)
{
	char cut[16];

	snprintf(cut, sizeof cut, "%s", name);
#if defined(__linux__)
	pthread_setname_np(id, cut);
#else
	(void)id;
#endif
}

int
thread_start(struct thread *t, const char *name, void *(*fn)(void *),
    void *arg)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int error = pthread_attr_init(&attr);

	if (error != 0)
		return error;
	pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);
	/* The new thread inherits the mask. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&t->id, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (error == 0)
		name_thread(t->id, name);
	return error;
}

void
thread_join(struct thread *t)
{
	pthread_join(t->id, NULL);
}

void
thread_detach(struct thread *t)
{
	pthread_detach(t->id);
}
