/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb_watch.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static void
note(struct usb_listener *l, char sign, const char *text,
    const struct usb_ident *ident)
{
	struct usb_watch *w = (struct usb_watch *)l;

	pthread_mutex_lock(&w->lock);
	if (w->count < WATCH_EVENTS_MAX) {
		if (ident != NULL)
			w->idents[w->count] = *ident;
		snprintf(w->events[w->count++], sizeof w->events[0], "%c%s",
		    sign, text);
	}
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
}

static void
arrived(struct usb_listener *l, const struct usb_ident *ident)
{
	note(l, '+', ident->key, ident);
}

static void
left(struct usb_listener *l, const char *key)
{
	note(l, '-', key, NULL);
}

static void
trouble(struct usb_listener *l, const char *text)
{
	note(l, '!', text, NULL);
}

static void
scanned(struct usb_listener *l, uint32_t rescans)
{
	struct usb_watch *w = (struct usb_watch *)l;

	pthread_mutex_lock(&w->lock);
	w->looks++;
	w->answered = rescans;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
}

static void *
run(void *arg)
{
	struct usb_watch *w = arg;
	struct cause why = { "" };

	w->rc = w->source->ops->run(w->source, &w->listener, &why);
	return NULL;
}

void
watch_start(struct usb_watch *w, struct usb_source *source)
{
	memset(w, 0, sizeof *w);
	w->listener = (struct usb_listener){ .arrived = arrived, .left = left,
		.trouble = trouble, .scanned = scanned };
	w->source = source;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	ck_assert_int_eq(pthread_create(&w->thread, NULL, run, w), 0);
}

const char *
watch_event(struct usb_watch *w, int number)
{
	struct timespec until;
	const char *found = "";

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&w->lock);
	while (w->count <= number)
		if (pthread_cond_timedwait(&w->more, &w->lock, &until) != 0)
			break;
	if (w->count > number)
		found = w->events[number];
	pthread_mutex_unlock(&w->lock);
	return found;
}

const struct usb_ident *
watch_ident(struct usb_watch *w, const char *key)
{
	const struct usb_ident *found = NULL;

	pthread_mutex_lock(&w->lock);
	for (int i = 0; i < w->count; i++)
		if (w->events[i][0] == '+' &&
		    strcmp(w->events[i] + 1, key) == 0)
			found = &w->idents[i];
	pthread_mutex_unlock(&w->lock);
	ck_assert_ptr_nonnull(found);
	return found;
}

bool
watch_answers(struct usb_watch *w, uint32_t rescans)
{
	struct timespec until;
	bool answers;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&w->lock);
	while (w->looks == 0 || w->answered != rescans)
		if (pthread_cond_timedwait(&w->more, &w->lock, &until) != 0)
			break;
	answers = w->looks > 0 && w->answered == rescans;
	pthread_mutex_unlock(&w->lock);
	return answers;
}

int
watch_count(struct usb_watch *w)
{
	int n;

	pthread_mutex_lock(&w->lock);
	n = w->count;
	pthread_mutex_unlock(&w->lock);
	return n;
}

int
watch_stop(struct usb_watch *w)
{
	const struct moment start = clock_now();

	w->source->ops->quit(w->source);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	return (int)moment_ms_between(start, clock_now());
}
