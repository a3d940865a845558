/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/monitor.h"

#include <stdio.h>
#include <stdlib.h>

#include "actor/thread.h"
#include "base/log.h"
#include "daemon/msg.h"
#include "daemon/roles.h"
#include "daemon/scm_settings.h"

struct monitor {
	struct usb_listener listener; /* first */
	struct usb_source *source;
	struct mailbox *manager;
	struct scm_store *scm; /* NULL: phones only */
	struct thread thread;
	struct waker *ended; /* woken by the thread as its last act */
};

static void
tell(struct usb_listener *l, enum msg_type type, const struct usb_ident *ident)
{
	struct monitor *m = (struct monitor *)l;
	struct msg_plug *p = malloc(sizeof *p);

	if (p == NULL) {
		log_error("%s: no memory to note %s", m->source->name,
		    ident->key);
		return;
	}
	p->msg.type = (int)type;
	p->source = m->source;
	p->ident = *ident;
	mailbox_post(m->manager, &p->msg);
}

static void
arrived(struct usb_listener *l, const struct usb_ident *ident)
{
	tell(l, MSG_PLUGGED, ident);
}

static void
left(struct usb_listener *l, const char *key)
{
	struct usb_ident ident = { .bus = 0 };

	snprintf(ident.key, sizeof ident.key, "%s", key);
	tell(l, MSG_UNPLUGGED, &ident);
}

/* Beside phones, what the rules of scm.conf or its interface make a device of
 * the Socket Control Model.  Its serial number is not known before it is opened:
 * a rule that names one is tried then. */
static bool
wanted(struct usb_listener *l, const struct usb_ident *ident)
{
	const struct monitor *m = (struct monitor *)l;
	const struct scm_identity who = { .vendor = ident->vendor,
		.product = ident->product,
		.busid = ident->key };
	struct scm_settings *s;
	bool served = false;

	if (m->scm == NULL)
		return false;
	s = scm_store_get(m->scm);
	for (uint8_t i = 0; i < ident->class_count && !served; i++)
		served = scm_policy_serves(s->policy, &who,
		    ident->classes[i].base, ident->classes[i].sub,
		    ident->classes[i].protocol);
	scm_settings_put(s);
	return served;
}

static void
trouble(struct usb_listener *l, const char *text)
{
	const struct monitor *m = (struct monitor *)l;

	log_warning("%s: %s", m->source->name, text);
}

static void
tell_scan(struct monitor *m, enum msg_type type, uint32_t rescans)
{
	struct msg_scan *s = malloc(sizeof *s);

	if (s == NULL) {
		log_error("%s: no memory to tell that it was looked at",
		    m->source->name);
		return;
	}
	s->msg.type = (int)type;
	s->source = m->source;
	s->rescans = rescans;
	mailbox_post(m->manager, &s->msg);
}

static void
scanned(struct usb_listener *l, uint32_t rescans)
{
	tell_scan((struct monitor *)l, MSG_SCANNED, rescans);
}

static void *
monitor_main(void *arg)
{
	struct monitor *m = arg;
	struct cause why;

	role_take(&on_monitor);
	if (m->source->ops->run(m->source, &m->listener, &why) < 0)
		log_error("%s: not watched any more: %s", m->source->name,
		    why.text);
	tell_scan(m, MSG_UNWATCHED, 0);
	waker_wake(m->ended);
	role_drop(&on_monitor);
	return NULL;
}

struct monitor *
monitor_start(struct usb_source *source, struct mailbox *manager,
    struct scm_store *scm)
{
	struct monitor *m = calloc(1, sizeof *m);

	if (m == NULL)
		return NULL;
	m->listener.arrived = arrived;
	m->listener.left = left;
	m->listener.trouble = trouble;
	m->listener.wanted = wanted;
	m->listener.scanned = scanned;
	m->source = source;
	m->manager = manager;
	m->scm = scm;
	m->ended = waker_new();
	if (m->ended == NULL ||
	    thread_start(&m->thread, "monitor", monitor_main, m) != 0) {
		if (m->ended != NULL)
			waker_put(m->ended);
		free(m);
		return NULL;
	}
	return m;
}

bool
monitor_stop(struct monitor *m, int timeout_ms)
{
	m->source->ops->quit(m->source);
	if (!waker_wait(m->ended, timeout_ms))
		return false;
	thread_join(&m->thread);
	waker_put(m->ended);
	free(m);
	return true;
}
