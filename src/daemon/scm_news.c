/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a device's reader brings to the worker of a socket (scm_conn.h). */

#include <stdlib.h>
#include <string.h>

#include "daemon/msg.h"
#include "daemon/scm_conn.h"

/* The least that a copied part has room for, so that the next small one may
 * join it while the peer does not read. */
#define COPY_LEAST 256

struct scm_share *
scm_share_new(struct chunk *c)
{
	struct scm_share *s = malloc(sizeof *s);

	if (s == NULL)
		return NULL;
	ref_init(&s->refs);
	s->chunk = c;
	return s;
}

void
scm_share_put(struct scm_share *s)
{
	if (!ref_put(&s->refs))
		return;
	chunk_put(s->chunk);
	free(s);
}

static uint32_t
room_for(enum scm_news_kind kind, const struct scm_message *m)
{
	if (kind != SCM_NEWS_DATA || m->len > SCM_COPY_MAX)
		return m->len;
	return m->len <= COPY_LEAST ? COPY_LEAST : SCM_COPY_MAX;
}

struct scm_news *
scm_news_new(enum scm_news_kind kind, const struct scm_message *m,
    struct scm_share *share)
{
	const uint32_t room = share == NULL ? room_for(kind, m) : 0;
	struct scm_news *n = malloc(sizeof *n + room);

	if (n == NULL)
		return NULL;
	n->msg.type = MSG_SCM_NEWS;
	n->next = NULL;
	n->kind = kind;
	n->message = *m;
	n->share = share;
	n->data = m->data;
	n->len = m->len;
	n->capacity = room;
	if (share != NULL) {
		ref_get(&share->refs);
	} else {
		if (m->len > 0)
			memcpy(n->bytes, m->data, m->len);
		n->data = n->message.data = n->bytes;
	}
	return n;
}

void
scm_news_free(struct scm_news *n)
{
	if (n->share != NULL)
		scm_share_put(n->share);
	free(n);
}

struct scm_news *
scm_news_of_msg(struct msg *m)
{
	return (struct scm_news *)m; /* msg is the first member */
}
