/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/relay.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/log.h"

/* A daemon gives a phone some seconds to answer; its word on that is better
 * than ours. */
#define CONNECT_TIMEOUT_MS 15000

/* Two descriptors a connection: the usual soft limit would end at 500. */
static void
raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int
run(const struct relay_options *o, struct muxclient *mc, struct cause *why)
{
	struct target *target;
	int rc;

	if (o->socket != NULL &&
	    muxclient_set_address(mc, o->socket) != MUXCLIENT_OK)
		return cause_set(why, "-s %s: expected unix:/path or "
		    "host:port", o->socket);
	muxclient_set_program(mc, "muxrelay", NULL);
	muxclient_set_timeout(mc, CONNECT_TIMEOUT_MS);
	target = target_new(mc, o->udid, o->id, o->links);
	if (target == NULL)
		return cause_set(why, "out of memory");
	rc = o->stdio ? relay_stdio(o, target, why)
		      : relay_listen(o, target, why);
	target_free(target);
	return rc;
}

int
relay_main(int argc, char **argv)
{
	struct relay_options o;
	struct muxclient *mc;
	struct cause why;
	int rc = relay_options_parse(&o, argc, argv);

	if (rc != 0)
		return rc < 0 ? 2 : 0;
	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	if (o.verbose)
		log_set_level(LOG_LEVEL_INFO);
	mc = muxclient_new();
	rc = mc != NULL ? run(&o, mc, &why) : cause_set(&why, "out of memory");
	if (rc < 0)
		fprintf(stderr, "muxrelay: %s\n", why.text);
	muxclient_free(mc);
	return rc < 0 ? 1 : 0;
}
