/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/target.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* A device that goes, or a daemon that restarts, in the middle of a
 * connection: once more, and once for the other of the two. */
#define TRIES 3

struct target {
	const struct muxclient *mc;
	const char *udid;
	uint32_t fixed_id;
	unsigned links;
	pthread_mutex_t lock; /* for what follows */
	struct muxclient_watch *watch; /* NULL: none stands */
	uint32_t id;		       /* found, and attached since; 0: none */
};

struct target *
target_new(const struct muxclient *mc, const char *udid, uint32_t id,
    unsigned links)
{
	struct target *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->mc = mc;
	t->udid = udid;
	t->fixed_id = id;
	t->links = links;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
target_free(struct target *t)
{
	muxclient_watch_close(t->watch);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* Hears all that the watch has to say; forgets the device when it has gone or
 * when the daemon has.  With the lock held. */
static void
refresh(struct target *t)
{
	struct muxclient_event event;
	enum muxclient_error error = MUXCLIENT_OK;

	while (t->watch != NULL && error == MUXCLIENT_OK) {
		error = muxclient_watch_next(t->watch, &event);
		if (error == MUXCLIENT_OK && event.type == MUXCLIENT_DETACHED &&
		    event.id == t->id)
			t->id = 0;
	}
	if (error == MUXCLIENT_OK || error == MUXCLIENT_AGAIN)
		return;
	muxclient_watch_close(t->watch);
	t->watch = NULL;
	t->id = 0;
}

/* The device's number now.  The watch stands before the device is looked for,
 * so that no change between the two is missed. */
static enum muxclient_error
find(struct target *t, uint32_t *id)
{
	struct muxclient_device device;
	enum muxclient_error error = MUXCLIENT_OK;

	if (t->fixed_id != 0) {
		*id = t->fixed_id;
		return MUXCLIENT_OK;
	}
	pthread_mutex_lock(&t->lock);
	refresh(t);
	if (t->watch == NULL)
		error = muxclient_watch_open(t->mc, &t->watch);
	if (error == MUXCLIENT_OK && t->id == 0) {
		error = muxclient_find(t->mc, t->udid, t->links, &device);
		if (error == MUXCLIENT_OK)
			t->id = device.id;
	}
	*id = t->id;
	pthread_mutex_unlock(&t->lock);
	return error;
}

/* Whether `id` has been the device all the time since find(). */
static bool
still(struct target *t, uint32_t id)
{
	bool same;

	if (t->fixed_id != 0)
		return true;
	pthread_mutex_lock(&t->lock);
	refresh(t);
	same = t->id == id;
	pthread_mutex_unlock(&t->lock);
	return same;
}

static const char *
remedy(enum muxclient_error error)
{
	if (error == MUXCLIENT_NO_DEVICE)
		return ": plug it in, or see what is there with 'muxctl "
		       "devices'";
	if (error == MUXCLIENT_NO_DAEMON)
		return ": start muxd, or name its socket with -s";
	if (error == MUXCLIENT_SYSTEM)
		return ": raise the limit of open files (ulimit -n)";
	return "";
}

int
target_connect(struct target *t, uint16_t port, struct cause *why)
{
	enum muxclient_error error = MUXCLIENT_NO_DEVICE;
	uint32_t id;
	int fd;

	for (int try = 0; try < TRIES; try++) {
		error = find(t, &id);
		if (error != MUXCLIENT_OK)
			break;
		error = muxclient_connect(t->mc, id, port, &fd);
		if (still(t, id)) {
			if (error == MUXCLIENT_OK)
				return fd;
			break;
		}
		if (error == MUXCLIENT_OK)
			close(fd);
		error = MUXCLIENT_NO_DEVICE;
	}
	if (error == MUXCLIENT_NO_DAEMON || error == MUXCLIENT_BAD_ADDRESS)
		return cause_set(why, "%s: %s%s", muxclient_address(t->mc),
		    muxclient_strerror(error), remedy(error));
	return cause_set(why, "%s%s", muxclient_strerror(error),
	    remedy(error));
}
