/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usbip_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/sock.h"

uint8_t
rig_pattern(uint32_t length, uint32_t i)
{
	return (uint8_t)(i * 7 + i / 251 + length);
}

/* ---- Backend: queues ---------------------------------------------------- */

static struct usbip_urb **
rig_next(struct usbip_urb *u)
{
	return (struct usbip_urb **)&u->msg.node.next;
}

static void
queue_reset(struct rig_queue *q)
{
	q->first = NULL;
	q->end = &q->first;
	q->count = 0;
}

static void
queue_add(struct rig_queue *q, struct usbip_urb *u)
{
	*rig_next(u) = NULL;
	*q->end = u;
	q->end = rig_next(u);
	q->count++;
}

/* Takes `u`, or with NULL the oldest; NULL when it is not there. */
static struct usbip_urb *
queue_remove(struct rig_queue *q, struct usbip_urb *u)
{
	struct usbip_urb **at = &q->first;

	if (u == NULL)
		u = q->first;
	while (*at != NULL && *at != u)
		at = rig_next(*at);
	if (*at == NULL)
		return NULL;
	*at = *rig_next(u);
	if (*at == NULL)
		q->end = at;
	q->count--;
	return u;
}

/* ---- Backend: threads --------------------------------------------------- */

/* A coin that falls the same way in every run. */
static bool
toss(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 24 & 1) != 0;
}

enum { ACT_SUBMIT, ACT_CANCEL, ACT_QUIT };

static void
act_on(struct rig_device *d, struct msg *m)
{
	struct usbip_urb *u;

	if (m->type == ACT_SUBMIT) {
		queue_add(&d->acting, (struct usbip_urb *)m);
	} else if (m->type == ACT_CANCEL) {
		u = (struct usbip_urb *)((char *)m -
		    offsetof(struct usbip_urb, cancel_msg));
		if (queue_remove(&d->acting, u) != NULL)
			usbip_urb_complete(u, USBIP_ECONNRESET, 0);
		usbip_urb_put(u);
	}
}

/* Half of what it has, it completes on its own account. */
static void *
actor_main(void *arg)
{
	struct rig_device *d = arg;
	bool quit = false;
	uint32_t coin = 1;

	while (!quit) {
		struct msg *m = mailbox_wait(&d->mailbox, d->waker), *next;

		for (; m != NULL; m = next) {
			next = msg_next(m);
			quit = quit || m->type == ACT_QUIT;
			act_on(d, m);
			if (d->acting.first != NULL && toss(&coin))
				usbip_urb_complete(
				    queue_remove(&d->acting, NULL), USBIP_OK, 0);
		}
	}
	return NULL;
}

/* Completes what is on RIG_LOCKED, against cancel(). */
static void *
racer_main(void *arg)
{
	struct rig_device *d = arg;

	pthread_mutex_lock(&d->lock);
	while (!d->quitting) {
		struct usbip_urb *u = queue_remove(&d->locked, NULL);

		if (u == NULL) {
			pthread_cond_wait(&d->changed, &d->lock);
			continue;
		}
		pthread_mutex_unlock(&d->lock);
		usbip_urb_complete(u, USBIP_OK, 0);
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* ---- Backend: the contract's functions ---------------------------------- */

static int
rig_imported(struct usbip_device *dev)
{
	struct rig_device *d = (struct rig_device *)dev;

	if (d->refuse_with != USBIP_ST_OK)
		return d->refuse_with;
	pthread_mutex_lock(&d->lock);
	RIG_EQ(d->imported, d->released);
	d->imported++;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	return USBIP_ST_OK;
}

static void
rig_released(struct usbip_device *dev)
{
	struct rig_device *d = (struct rig_device *)dev;

	pthread_mutex_lock(&d->lock);
	RIG_EQ(d->held.count + d->locked.count, 0);
	RIG_EQ(d->forgotten, d->made);
	d->released++;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void
rig_unplugged(struct usbip_device *dev)
{
	struct rig_device *d = (struct rig_device *)dev;

	pthread_mutex_lock(&d->lock);
	RIG_EQ(d->imported, d->released);
	d->unplugged++;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void
complete_instant(struct usbip_urb *u, uint32_t actual)
{
	int status = USBIP_OK;

	for (uint32_t i = 0; i < actual; i++)
		if (usbip_urb_is_in(u))
			u->buffer[i] = rig_pattern(u->length, i);
		else if (u->buffer[i] != rig_pattern(u->length, i))
			status = USBIP_EPROTO;
	usbip_urb_complete(u, status, actual);
}

static void
complete_iso(struct usbip_urb *u)
{
	for (uint32_t i = 0; i < u->iso_count; i++) {
		u->iso[i].actual = u->iso[i].length / 2;
		u->iso[i].status = i == 1 ? USBIP_EPROTO : USBIP_OK;
		if (usbip_urb_is_in(u))
			memset(u->buffer + u->iso[i].offset, 'a' + (int)i,
			    u->iso[i].actual);
	}
	u->start_frame = 4711;
	usbip_urb_complete(u, USBIP_OK, 0);
}

static void
hold(struct rig_device *d, struct rig_queue *q, struct usbip_urb *u)
{
	pthread_mutex_lock(&d->lock);
	queue_add(q, u);
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void
count_submit(struct rig_device *d, struct usbip_urb *u)
{
	pthread_mutex_lock(&d->lock);
	d->submits++;
	d->interval = (unsigned)u->interval;
	if (u->backend == NULL) {
		u->backend = malloc(1);
		d->made++;
	}
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void
rig_submit_urb(struct usbip_device *dev, struct usbip_urb *u)
{
	struct rig_device *d = (struct rig_device *)dev;

	count_submit(d, u);
	switch (u->endpoint & 0xf) {
	case RIG_CONTROL:
		complete_instant(u, u->setup[1] == 6 && u->length > 18
			? 18 : u->length);
		break;
	case RIG_INSTANT:
		complete_instant(u, u->length);
		break;
	case RIG_SHORT:
		complete_instant(u, u->length / 2);
		break;
	case RIG_HELD:
	case RIG_PARTIAL:
		hold(d, &d->held, u);
		break;
	case RIG_LOCKED:
		hold(d, &d->locked, u);
		break;
	case RIG_ACTOR:
		u->msg.type = ACT_SUBMIT;
		mailbox_post(&d->mailbox, &u->msg);
		break;
	case RIG_ISO:
		complete_iso(u);
		break;
	default:
		usbip_urb_complete(u, USBIP_EPIPE, 0);
		break;
	}
}

static bool
is_held(const struct rig_device *d, const struct usbip_urb *u)
{
	struct usbip_urb *at = d->held.first;

	while (at != NULL && at != u)
		at = *rig_next(at);
	return at != NULL;
}

static void
rig_cancel(struct usbip_device *dev, struct usbip_urb *u)
{
	struct rig_device *d = (struct rig_device *)dev;
	bool mine;

	pthread_mutex_lock(&d->lock);
	d->cancels++;
	if (is_held(d, u) && *rig_next(u) != NULL)
		d->holes++;
	mine = queue_remove(&d->held, u) != NULL ||
	    queue_remove(&d->locked, u) != NULL;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	if (mine) {
		const bool partial = (u->endpoint & 0xf) == RIG_PARTIAL;

		if (partial)
			memcpy(u->buffer, "12345", 5);
		usbip_urb_complete(u, USBIP_ECONNRESET, partial ? 5 : 0);
	} else if ((u->endpoint & 0xf) == RIG_ACTOR) {
		usbip_urb_get(u);
		u->cancel_msg.type = ACT_CANCEL;
		mailbox_post(&d->mailbox, &u->cancel_msg);
	}
}

static void
rig_forget(struct usbip_device *dev, struct usbip_urb *u)
{
	struct rig_device *d = (struct rig_device *)dev;

	if (u->backend == NULL)
		return;
	free(u->backend);
	pthread_mutex_lock(&d->lock);
	d->forgotten++;
	pthread_mutex_unlock(&d->lock);
}

static const struct usbip_device_ops rig_ops = {
	.imported = rig_imported,
	.released = rig_released,
	.submit = rig_submit_urb,
	.cancel = rig_cancel,
	.forget = rig_forget,
	.unplugged = rig_unplugged,
};

void
rig_device_init(struct rig_device *d, const char *busid, uint32_t address)
{
	memset(d, 0, sizeof *d);
	d->dev.ops = &rig_ops;
	d->desc.device = (struct usbip_device_entry){ .bus = 3,
		.address = address, .speed = USBIP_SPEED_HIGH,
		.vendor = 0x05ac, .product = 0x12a8, .configurations = 4,
		.interface_count = 2 };
	d->desc.interfaces[1].interface_class = 0xff;
	snprintf(d->desc.device.busid, sizeof d->desc.device.busid, "%s",
	    busid);
	snprintf(d->desc.device.path, sizeof d->desc.device.path,
	    "/sys/devices/test/%s", busid);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->changed, NULL);
	queue_reset(&d->held);
	queue_reset(&d->locked);
	queue_reset(&d->acting);
	d->waker = waker_new();
	RIG_CHECK(d->waker != NULL, "out of memory");
	mailbox_init_waker(&d->mailbox, d->waker);
	RIG_EQ(thread_start(&d->actor, "actor", actor_main, d), 0);
	RIG_EQ(thread_start(&d->racer, "racer", racer_main, d), 0);
}

void
rig_device_fini(struct rig_device *d)
{
	d->quit.type = ACT_QUIT;
	mailbox_post(&d->mailbox, &d->quit);
	pthread_mutex_lock(&d->lock);
	d->quitting = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	thread_join(&d->actor);
	thread_join(&d->racer);
	waker_put(d->waker);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
}

void
rig_finish(struct rig_device *d, int status, uint32_t actual)
{
	struct usbip_urb *u;

	pthread_mutex_lock(&d->lock);
	while ((u = queue_remove(&d->held, NULL)) == NULL)
		pthread_cond_wait(&d->changed, &d->lock);
	pthread_mutex_unlock(&d->lock);
	for (uint32_t i = 0; i < actual; i++)
		u->buffer[i] = rig_pattern(u->length, i);
	usbip_urb_complete(u, status, actual);
}

void
rig_await(struct rig_device *d, const unsigned *counter, unsigned value)
{
	struct timespec deadline;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += RIG_PATIENCE_S;
	pthread_mutex_lock(&d->lock);
	while (*counter < value && rc == 0)
		rc = pthread_cond_timedwait(&d->changed, &d->lock, &deadline);
	RIG_CHECK(*counter >= value, "waited in vain for %u, it is %u",
	    value, *counter);
	pthread_mutex_unlock(&d->lock);
}

/* ---- Server ------------------------------------------------------------- */

void
rig_open(struct rig *r)
{
	struct sock_addr addr;
	struct cause why;
	int fd;

	snprintf(r->dir, sizeof r->dir, "/tmp/usbip-XXXXXX");
	RIG_CHECK(mkdtemp(r->dir) != NULL, "out of memory");
	snprintf(r->path, sizeof r->path, "%s/socket", r->dir);
	RIG_EQ(sock_addr_parse(&addr, r->path, NULL, &why), 0);
	fd = sock_listen(&addr, 0600, 128, &why);
	RIG_CHECK(fd >= 0, "%s", why.text);
	r->server = usbip_server_new(&why);
	RIG_CHECK(r->server != NULL, "%s", why.text);
	RIG_EQ(usbip_server_listen(r->server, fd, &why), 0);
}

void
rig_close(struct rig *r)
{
	usbip_server_free(r->server);
	unlink(r->path);
	rmdir(r->dir);
}

void
rig_plug(struct rig *r, struct rig_device *d)
{
	struct cause why;

	RIG_CHECK(usbip_server_plug(r->server, &d->dev, &d->desc, &why) ==
	    0, "%s", why.text);
}

void
rig_unplug(struct rig *r, struct rig_device *d)
{
	usbip_server_unplug(r->server, &d->dev);
	rig_await(d, &d->unplugged, 1);
}
