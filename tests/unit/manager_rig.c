/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manager_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define TEMPLATE "/tmp/manager_rig.XXXXXX"

char rig_dir[] = TEMPLATE;
struct sock_addr where[RIG_SOCKETS];
int sockets[RIG_SOCKETS];
struct poller *poller;
struct manager *m;
struct waker *ended;

/* ---- Life ---- */

void
rig_init(void)
{
	strcpy(rig_dir, TEMPLATE);
	ck_assert_ptr_nonnull(mkdtemp(rig_dir));
	for (int i = 0; i < RIG_SOCKETS; i++)
		sockets[i] = -1;
	ended = waker_new();
	HOLDS(ended != NULL, "no memory");
}

void
rig_fini(void)
{
	if (poller != NULL)
		poller_free(poller);
	poller = NULL;
	manager_free(m);
	waker_put(ended);
	for (int i = 0; i < RIG_SOCKETS; i++) {
		if (sockets[i] >= 0)
			close(sockets[i]);
		if (where[i].is_unix)
			unlink(where[i].path);
	}
	HOLDS(rmdir(rig_dir) == 0, "something is left in %s", rig_dir);
}

void
rig_poll(void)
{
	poller = poller_new(2);
	HOLDS(poller != NULL, "no pollers");
}

/* ---- Sockets ---- */

static void
open_socket(int i)
{
	struct cause why;

	sockets[i] = sock_listen(&where[i], 0600, 256, &why);
	HOLDS(sockets[i] >= 0, "%s", why.text);
	sock_set_nonblocking(sockets[i], true);
}

void
rig_listen(int i, const char *name)
{
	where[i].is_unix = true;
	snprintf(where[i].path, sizeof where[i].path, "%s/%s", rig_dir, name);
	open_socket(i);
}

void
rig_listen_port(int i)
{
	struct cause why;

	HOLDS(sock_addr_parse(&where[i], "127.0.0.1:0", NULL, &why) == 0, "%s",
	    why.text);
	open_socket(i);
	snprintf(where[i].port, sizeof where[i].port, "%u",
	    sock_local_port(sockets[i]));
}

int
rig_connect(int i)
{
	struct cause why;
	const int fd = sock_connect(&where[i], UNIT_PATIENCE_MS, &why);

	HOLDS(fd >= 0, "%s", why.text);
	return fd;
}

/* ---- The manager ---- */

static void
note_end(void *arg)
{
	waker_wake(arg);
}

void
rig_make(const struct manager_config *config)
{
	struct cause why;

	m = manager_new(config, &why);
	HOLDS(m != NULL, "%s", why.text);
	manager_on_end(m, note_end, ended);
}

void
rig_start(void) ROLE_UNCHECKED /* the test is main */
{
	struct cause why;

	HOLDS(manager_start(m, &why) == 0, "%s", why.text);
}

void
rig_await_end(void) ROLE_UNCHECKED
{
	HOLDS(waker_wait(ended, UNIT_PATIENCE_MS), "it does not end");
	HOLDS(manager_join(m), "a thread is left");
}
