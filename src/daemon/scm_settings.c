/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/scm_settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "daemon/msg.h"

/* Loads begun.  Relaxed: it tells numbers apart, and orders nothing. */
static _Atomic uint64_t loads;

/* ---- Making them -------------------------------------------------------- */

static struct scm_settings *
settings_new(const char *path, uint64_t number)
{
	struct scm_settings *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->msg.type = MSG_SCM_LOADED;
	ref_init(&s->refs);
	s->number = number;
	s->path = path;
	return s;
}

/* The policy of the file; an empty one if there is no file. */
static int
read_rules(struct scm_settings *s, struct cause *why)
{
	size_t len = 0;
	char *text = file_read(s->path, SCM_POLICY_TEXT_MAX, &len, why);

	s->has_file = text != NULL;
	if (text == NULL && errno != ENOENT)
		return -1;
	s->policy = scm_policy_new(s->path, text != NULL ? text : "", len,
	    why);
	free(text);
	return s->policy != NULL ? 0 : -1;
}

struct scm_settings *
scm_settings_load(const char *path, struct cause *why)
{
	struct scm_settings *s = settings_new(path,
	    atomic_fetch_add_explicit(&loads, 1, memory_order_relaxed) + 1);

	if (s == NULL) {
		cause_set(why, "no memory for %s", path);
		return NULL;
	}
	if (read_rules(s, why) == 0 && scm_host_list(&s->host, why) == 0)
		return s;
	scm_settings_put(s);
	return NULL;
}

struct scm_settings *
scm_settings_empty(const char *path)
{
	struct scm_settings *s = settings_new(path, 0);
	struct cause why;

	if (s == NULL)
		return NULL;
	s->policy = scm_policy_new(path, "", 0, &why);
	if (s->policy != NULL)
		return s;
	scm_settings_put(s);
	return NULL;
}

struct scm_settings *
scm_settings_refresh(struct scm_settings *s, struct cause *why)
{
	struct scm_settings *fresh;
	struct scm_host host;

	if (scm_host_list(&host, why) < 0)
		return NULL;
	if (scm_host_equal(&host, &s->host)) {
		scm_host_fini(&host);
		return scm_settings_get(s);
	}
	fresh = settings_new(s->path, s->number);
	if (fresh == NULL) {
		scm_host_fini(&host);
		cause_set(why, "no memory for the addresses of this host");
		return NULL;
	}
	fresh->has_file = s->has_file;
	fresh->host = host;
	fresh->rules = scm_settings_get(s->rules != NULL ? s->rules : s);
	fresh->policy = s->policy;
	return fresh;
}

/* ---- References --------------------------------------------------------- */

struct scm_settings *
scm_settings_get(struct scm_settings *s)
{
	ref_get(&s->refs);
	return s;
}

void
scm_settings_put(struct scm_settings *s)
{
	if (s == NULL || !ref_put(&s->refs))
		return;
	scm_host_fini(&s->host);
	if (s->rules != NULL)
		scm_settings_put(s->rules);
	else
		scm_policy_free(s->policy);
	free(s);
}

/* ---- Those in force ----------------------------------------------------- */

void
scm_store_init(struct scm_store *st, struct scm_settings *s)
{
	pthread_mutex_init(&st->lock, NULL);
	st->current = s;
}

void
scm_store_fini(struct scm_store *st)
{
	scm_settings_put(st->current);
	pthread_mutex_destroy(&st->lock);
}

struct scm_settings *
scm_store_get(struct scm_store *st)
{
	struct scm_settings *s;

	pthread_mutex_lock(&st->lock);
	s = scm_settings_get(st->current);
	pthread_mutex_unlock(&st->lock);
	return s;
}

void
scm_store_set(struct scm_store *st, struct scm_settings *s)
{
	struct scm_settings *before;

	pthread_mutex_lock(&st->lock);
	before = st->current;
	st->current = s;
	pthread_mutex_unlock(&st->lock);
	scm_settings_put(before);
}

/* ---- On their way to a reader ------------------------------------------- */

void
scm_inbox_init(struct scm_inbox *in)
{
	in->msg.type = MSG_SCM_SETTINGS;
	atomic_init(&in->fresh, NULL);
}

void
scm_inbox_fini(struct scm_inbox *in)
{
	scm_settings_put(
	    atomic_load_explicit(&in->fresh, memory_order_acquire));
}

void
scm_inbox_give(struct scm_inbox *in, struct mailbox *reader,
    struct scm_settings *s)
{
	struct scm_settings *before = atomic_exchange_explicit(&in->fresh,
	    scm_settings_get(s), memory_order_acq_rel);

	/* A reader that has ended takes no message: scm_inbox_fini() does. */
	if (before == NULL)
		mailbox_post(reader, &in->msg);
	else
		scm_settings_put(before);
}

struct scm_settings *
scm_inbox_take(struct scm_inbox *in)
{
	return atomic_exchange_explicit(&in->fresh, NULL, memory_order_acq_rel);
}
