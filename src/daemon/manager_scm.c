/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The manager's settings for the Socket Control Model: those that were read, and
 * those that follow this host's addresses, on their way to the readers. */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#endif

#include "base/log.h"
#include "daemon/manager_int.h"
#include "daemon/scm_settings.h"

/* Addresses come in batches: they are listed at once, and then no more often
 * than this. */
#define PAUSE_MS 100
/* When they could not be listed: the next attempt. */
#define AGAIN_MS 1000
/* Where the system tells no news: how old the list may become. */
#define LOOK_MS 2000

/* News that are read before the mailbox is looked at again. */
#define NEWS_BATCH 64

/* ---- News of addresses -------------------------------------------------- */

/* A descriptor that is readable when an address has come or gone; -1: the
 * system has none, or does not let us. */
static int
open_news(void)
{
#ifdef __linux__
	const struct sockaddr_nl wanted = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	const int fd = socket(AF_NETLINK,
	    SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&wanted, sizeof wanted) == 0)
		return fd;
	close(fd);
#endif
	return -1;
}

void
scm_init(struct manager *m) ROLE_UNCHECKED /* nobody else has it yet */
{
	m->scm.fd = m->config.scm != NULL ? open_news() : -1;
	/* What has changed since the settings were made was not told. */
	m->scm.changed = m->config.scm != NULL;
}

void
scm_fini(struct manager *m)
{
	if (m->scm.fd >= 0)
		close(m->scm.fd);
	m->scm.fd = -1;
}

/* What they say does not matter: the list is made anew.  So neither does it that
 * some were lost (ENOBUFS). */
void
scm_hear_addresses(struct manager *m)
{
	char news[4096];
	ssize_t n = 0;

	m->scm.changed = true;
	for (int i = 0; i < NEWS_BATCH && n >= 0; i++)
		n = recv(m->scm.fd, news, sizeof news, 0);
	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
		log_warning("no news of this host's addresses any more: %s; "
		    "they are looked at from time to time", strerror(errno));
		scm_fini(m);
	}
}

/* ---- Settings ----------------------------------------------------------- */

struct scm_settings *
scm_in_force(struct manager *m)
{
	return m->config.scm != NULL ? scm_store_get(m->config.scm) : NULL;
}

/* Takes the reference. */
static void
put_in_force(struct manager *m, struct scm_settings *s) RUNS_ON(on_manager)
{
	for (struct plug *p = m->plugs; p != NULL; p = p->next)
		if (p->device != NULL)
			scm_inbox_give(&p->device->scm_inbox,
			    &p->device->reader_box, s);
	scm_store_set(m->config.scm, s);
}

static void
log_loaded(const struct scm_settings *s)
{
	const size_t rules = scm_policy_rule_count(s->policy);

	if (s->has_file)
		log_notice("%s: %zu rule%s in force", s->path, rules,
		    rules == 1 ? "" : "s");
	else
		log_notice("%s: there is no such file; devices may connect "
		    "to nothing", s->path);
}

void
scm_loaded(struct manager *m, struct scm_settings *s)
{
	struct scm_settings *now = scm_in_force(m);

	if (now == NULL || s->number < now->number) {
		scm_settings_put(s);
	} else {
		log_loaded(s);
		put_in_force(m, s);
		/* It may list addresses from before the last news. */
		m->scm.changed = true;
		/* A rule may say that a device is served, which was not. */
		report_look(m);
	}
	scm_settings_put(now);
}

/* The settings in force with this host's addresses of this moment.  False: they
 * cannot be had. */
static bool
refresh(struct manager *m) RUNS_ON(on_manager)
{
	struct scm_settings *now = scm_in_force(m), *fresh;
	static struct log_limit limit;
	char more[LOG_LIMIT_MAX];
	struct cause why;

	fresh = scm_settings_refresh(now, &why);
	if (fresh == NULL) {
		if (log_limit_pass(&limit, more) != NULL)
			log_error("%s; those of before are taken%s", why.text,
			    more);
	} else if (fresh == now) {
		scm_settings_put(fresh);
	} else {
		log_debug("this host has other addresses now, %zu",
		    fresh->host.count);
		put_in_force(m, fresh);
	}
	scm_settings_put(now);
	return fresh != NULL;
}

struct moment
scm_run(struct manager *m)
{
	const struct moment now = clock_now();
	struct scm_watch *w = &m->scm;

	if (m->config.scm == NULL)
		return MOMENT_NEVER;
	if ((w->changed || w->fd < 0) && !moment_before(now, w->not_before)) {
		w->changed = !refresh(m);
		w->not_before = moment_after_ms(now,
		    w->changed ? AGAIN_MS : w->fd < 0 ? LOOK_MS : PAUSE_MS);
	}
	return w->changed || w->fd < 0 ? w->not_before : MOMENT_NEVER;
}
