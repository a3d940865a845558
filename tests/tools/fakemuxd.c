/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fakemuxd.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sock.h"
#include "fakemuxd_serve.h"
#include "wire/client.h"

#define DEVICES_MAX 64
#define CLIENTS_MAX 4096 /* at the same time */

struct guest {
	struct fake *fake;
	pthread_t thread;
	int fd; /* -1: its thread has ended */
	bool used, listens;
	enum client_form form;
};

struct fake {
	char path[108];
	enum fake_fault fault;
	int listen_fd;
	pthread_t acceptor;
	pthread_mutex_t lock; /* for what follows */
	bool stopping;
	bool attached[DEVICES_MAX];
	unsigned requests;
	uint8_t *record; /* the one that was saved last */
	size_t record_len;
	struct guest guests[CLIENTS_MAX];
};

static struct client_device
device(uint32_t id)
{
	struct client_device d = { .id = id, .location = id << 16 | 1,
		.speed = 480000000, .product_id = 0x12a8 };

	snprintf(d.udid, sizeof d.udid, "fake-%04u", id);
	if (id % 3 == 0) {
		d.link = CLIENT_LINK_NETWORK;
		d.address[0] = 2;
		d.address_len = 16;
		strcpy(d.service, "fake._apple-mobdev2._tcp.local");
	}
	return d;
}

static void
send_frame(int fd, struct client_frame frame)
{
	if (frame.bytes != NULL)
		sock_send_all(fd, frame.bytes, frame.len);
	free(frame.bytes);
}

/* ---- Requests ---- */

static void
answer_list(struct fake *f, int fd, uint32_t tag)
{
	struct client_device list[DEVICES_MAX];
	size_t n = 0;

	pthread_mutex_lock(&f->lock);
	for (uint32_t id = 1; id < DEVICES_MAX; id++)
		if (f->attached[id])
			list[n++] = device(id);
	pthread_mutex_unlock(&f->lock);
	send_frame(fd, client_build_device_list(tag, list, n));
}

static void
answer_listen(struct guest *g, const struct client_request *r)
{
	struct fake *f = g->fake;

	pthread_mutex_lock(&f->lock);
	g->listens = true;
	send_frame(g->fd, client_build_result(g->form, r->tag, USBMUX_OK));
	for (uint32_t id = 1; id < DEVICES_MAX; id++)
		if (f->attached[id]) {
			const struct client_device d = device(id);

			send_frame(g->fd, client_build_attached(g->form, &d));
		}
	pthread_mutex_unlock(&f->lock);
}

/* True when the socket has been a device's port, and is so no more. */
static bool
answer_connect(struct guest *g, const struct client_request *r)
{
	struct fake *f = g->fake;
	uint32_t result = USBMUX_BAD_DEVICE;

	pthread_mutex_lock(&f->lock);
	if (r->device_id < DEVICES_MAX && f->attached[r->device_id])
		result = serve_knows(r->port) ? USBMUX_OK
					      : USBMUX_CONNECTION_REFUSED;
	pthread_mutex_unlock(&f->lock);
	send_frame(g->fd, client_build_result(g->form, r->tag, result));
	if (result != USBMUX_OK)
		return false;
	serve_port(g->fd, r->port);
	return true;
}

static void
answer_record(struct guest *g, struct client_request *r)
{
	struct fake *f = g->fake;
	uint32_t result = USBMUX_OK;

	pthread_mutex_lock(&f->lock);
	if (r->kind == CLIENT_SAVE_RECORD) {
		free(f->record);
		f->record = r->record;
		f->record_len = r->record_len;
		r->record = NULL;
	} else if (f->record == NULL) {
		result = USBMUX_RECORD_MISSING;
	} else if (r->kind == CLIENT_DELETE_RECORD) {
		free(f->record);
		f->record = NULL;
	} else {
		send_frame(g->fd, client_build_record(r->tag, f->record,
				      f->record_len));
		pthread_mutex_unlock(&f->lock);
		return;
	}
	pthread_mutex_unlock(&f->lock);
	send_frame(g->fd, client_build_result(g->form, r->tag, result));
}

/* False: the conversation is over. */
static bool
answer(struct guest *g, struct client_request *r)
{
	if (r->form == CLIENT_PLIST) {
		g->form = CLIENT_PLIST;
		if (g->fake->fault == FAKE_BINARY_ONLY) {
			send_frame(g->fd, client_build_result(CLIENT_BINARY,
					      r->tag, USBMUX_BAD_VERSION));
			return true;
		}
	}
	switch (r->kind) {
	case CLIENT_LISTEN:
		answer_listen(g, r);
		return true;
	case CLIENT_CONNECT:
		return !answer_connect(g, r);
	case CLIENT_LIST_DEVICES:
		if (g->fake->fault == FAKE_NO_LIST)
			break;
		answer_list(g->fake, g->fd, r->tag);
		return true;
	case CLIENT_READ_BUID:
		send_frame(g->fd, client_build_buid(r->tag, "FAKE-BUID"));
		return true;
	case CLIENT_READ_RECORD:
	case CLIENT_SAVE_RECORD:
	case CLIENT_DELETE_RECORD:
		answer_record(g, r);
		return true;
	case CLIENT_LIST_LISTENERS:
		send_frame(g->fd, client_build_listener_list(r->tag, NULL, 0));
		return true;
	case CLIENT_BAD:
		break;
	}
	send_frame(g->fd, client_build_result(g->form, r->tag,
			      r->kind == CLIENT_BAD ? r->refusal
						    : USBMUX_BAD_COMMAND));
	return true;
}

/* True: the fault has taken the place of an answer. */
static bool
misbehave(struct guest *g, bool *go_on)
{
	static const uint8_t cut[17] = { 200, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0,
		1, 0, 0, 0, '<' };
	static const uint8_t garbage[32] = { 32, 0, 0, 0, 1, 0, 0, 0, 8 };

	*go_on = false;
	switch (g->fake->fault) {
	case FAKE_SILENT:
		*go_on = true;
		return true;
	case FAKE_GARBLES:
		sock_send_all(g->fd, garbage, sizeof garbage);
		return true;
	case FAKE_CUTS:
		sock_send_all(g->fd, cut, sizeof cut);
		return true;
	case FAKE_HANGS_UP:
		return true;
	case FAKE_SOUND:
	case FAKE_BINARY_ONLY:
	case FAKE_NO_LIST:
	case FAKE_BUSY:
		break;
	}
	return false;
}

static bool
converse(struct guest *g)
{
	uint8_t head[USBMUX_HEADER_SIZE];
	static const size_t max = CLIENT_REQUEST_MAX;
	uint8_t *payload = malloc(max);
	struct client_header h;
	struct client_request r;
	bool go_on = false;

	if (sock_recv_all(g->fd, head, sizeof head) == 0 &&
	    client_header_read(&h, head, max) &&
	    sock_recv_all(g->fd, payload, h.length - sizeof head) == 0) {
		pthread_mutex_lock(&g->fake->lock);
		g->fake->requests++;
		pthread_mutex_unlock(&g->fake->lock);
		client_request_parse(&r, &h, payload,
		    h.length - sizeof head);
		if (!misbehave(g, &go_on))
			go_on = answer(g, &r);
		client_request_fini(&r);
	}
	free(payload);
	return go_on;
}

/* ---- Clients ---- */

static void *
guest_main(void *arg)
{
	struct guest *g = arg;

	while (converse(g))
		continue;
	pthread_mutex_lock(&g->fake->lock);
	g->listens = false;
	close(g->fd);
	g->fd = -1;
	pthread_mutex_unlock(&g->fake->lock);
	return NULL;
}

/* A free place, after the thread that had it before has been joined. */
static struct guest *
guest_place(struct fake *f)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct guest *g = &f->guests[i];

		if (!g->used || g->fd < 0) {
			if (g->used)
				pthread_join(g->thread, NULL);
			memset(g, 0, sizeof *g);
			g->fake = f;
			return g;
		}
	}
	return NULL;
}

static void *
accept_main(void *arg)
{
	struct fake *f = arg;
	int fd;

	while ((fd = accept(f->listen_fd, NULL, NULL)) >= 0 ||
	    errno == ECONNABORTED || errno == EINTR) {
		struct guest *g;

		pthread_mutex_lock(&f->lock);
		g = fd >= 0 && !f->stopping ? guest_place(f) : NULL;
		if (g != NULL) {
			g->fd = fd;
			g->used = pthread_create(&g->thread, NULL, guest_main,
			    g) == 0;
		}
		if (fd >= 0 && (g == NULL || !g->used))
			close(fd);
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

struct fake *
fake_start(const char *path, unsigned devices, enum fake_fault fault)
{
	struct sock_addr addr = { .is_unix = true };
	struct fake *f = calloc(1, sizeof *f);
	struct cause why;

	serve_init();
	snprintf(addr.path, sizeof addr.path, "%s", path);
	snprintf(f->path, sizeof f->path, "%s", path);
	f->fault = fault;
	f->listen_fd = sock_listen(&addr, 0600, fault == FAKE_BUSY ? 0 : 1024,
	    &why);
	if (f->listen_fd < 0) {
		fprintf(stderr, "fakemuxd: %s\n", why.text);
		free(f);
		return NULL;
	}
	for (uint32_t id = 1; id <= devices && id < DEVICES_MAX; id++)
		f->attached[id] = true;
	pthread_mutex_init(&f->lock, NULL);
	if (fault != FAKE_BUSY)
		pthread_create(&f->acceptor, NULL, accept_main, f);
	return f;
}

void
fake_stop(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	f->stopping = true;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (f->guests[i].used && f->guests[i].fd >= 0)
			shutdown(f->guests[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&f->lock);
	shutdown(f->listen_fd, SHUT_RDWR); /* wakes accept() */
	if (f->fault != FAKE_BUSY)
		pthread_join(f->acceptor, NULL);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (f->guests[i].used)
			pthread_join(f->guests[i].thread, NULL);
	close(f->listen_fd);
	unlink(f->path);
	pthread_mutex_destroy(&f->lock);
	free(f->record);
	free(f);
}

static void
tell(struct fake *f, uint32_t id, bool attached)
{
	const struct client_device d = device(id);

	pthread_mutex_lock(&f->lock);
	f->attached[id] = attached;
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		const struct guest *g = &f->guests[i];

		if (g->used && g->listens)
			send_frame(g->fd, attached
				? client_build_attached(g->form, &d)
				: client_build_detached(g->form, id));
	}
	pthread_mutex_unlock(&f->lock);
}

void
fake_attach(struct fake *f, uint32_t id)
{
	tell(f, id, true);
}

void
fake_detach(struct fake *f, uint32_t id)
{
	tell(f, id, false);
}

unsigned
fake_requests(struct fake *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = f->requests;
	pthread_mutex_unlock(&f->lock);
	return n;
}
