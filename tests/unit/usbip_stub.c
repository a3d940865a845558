/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usbip_stub.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/sock.h"
#include "unit.h"

static void
put_head(struct writer *w, uint16_t code, uint32_t status)
{
	const struct usbip_op op = { .version = USBIP_VERSION, .code = code,
		.status = status };
	uint8_t *room = write_room(w, USBIP_OP_SIZE);

	if (room != NULL)
		usbip_op_encode(room, &op);
}

static void
put_device(struct writer *w, const struct usbip_device_entry *e)
{
	uint8_t *room = write_room(w, USBIP_DEVICE_SIZE);

	if (room != NULL)
		usbip_device_encode(room, e);
}

static void
send_list(struct usbip_stub *s, int fd)
{
	uint8_t bytes[4096];
	struct writer w = writer_over(bytes, sizeof bytes);
	uint32_t count = 0;

	put_head(&w, USBIP_REP_DEVLIST, USBIP_ST_OK);
	for (int i = 0; i < s->count; i++)
		count += s->devices[i].busid[0] != '\0';
	write_be32(&w, count);
	for (int i = 0; i < s->count; i++)
		if (s->devices[i].busid[0] != '\0')
			put_device(&w, &s->devices[i]);
	sock_send_all(fd, bytes, writer_used(&w));
}

/* The device is out of the list from then on.  True: the socket is kept. */
static bool
answer_import(struct usbip_stub *s, int fd)
{
	uint8_t in[USBIP_BUSID_SIZE], out[USBIP_REP_IMPORT_SIZE];
	struct writer w = writer_over(out, sizeof out);
	char busid[USBIP_BUSID_SIZE + 1];

	if (sock_recv_all(fd, in, sizeof in) < 0)
		return false;
	usbip_busid_decode(busid, in);
	for (int i = 0; i < s->count; i++) {
		if (strcmp(s->devices[i].busid, busid) != 0 ||
		    s->import_count == STUB_IMPORTS_MAX)
			continue;
		put_head(&w, USBIP_REP_IMPORT, USBIP_ST_OK);
		put_device(&w, &s->devices[i]);
		s->devices[i].busid[0] = '\0';
		s->imports[s->import_count++] = fd;
		return sock_send_all(fd, out, sizeof out) == 0;
	}
	put_head(&w, USBIP_REP_IMPORT, USBIP_ST_NODEV);
	sock_send_all(fd, out, USBIP_OP_SIZE);
	return false;
}

static void
send_trickle(int fd)
{
	/* The head of a good answer, and what may follow. */
	static const uint8_t head[] = { 1, 0x11, 0, 3, 0, 0, 0, 0 };

	for (size_t i = 0; sock_send_all(fd, i < 8 ? &head[i] : head + 4, 1) ==
	     0; i++)
		poll(NULL, 0, 100);
}

/* True: the socket is kept. */
static bool
answer(struct usbip_stub *s, int fd)
{
	uint8_t bytes[USBIP_OP_SIZE];
	struct usbip_op op;

	if (sock_recv_all(fd, bytes, sizeof bytes) < 0)
		return false;
	usbip_op_decode(&op, bytes);
	if (op.code == USBIP_REQ_DEVLIST) {
		if (op.status != 0) {
			s->watches++;
			return false;
		}
		s->lists++;
		send_list(s, fd);
		return false;
	}
	if (s->trickle) {
		send_trickle(fd);
		return false;
	}
	return answer_import(s, fd);
}

static void *
serve(void *arg)
{
	struct usbip_stub *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		bool kept;

		pthread_mutex_lock(&s->lock);
		kept = s->mute || answer(s, fd);
		if (s->mute && s->import_count < STUB_IMPORTS_MAX)
			s->imports[s->import_count++] = fd;
		pthread_mutex_unlock(&s->lock);
		if (!kept)
			close(fd);
	}
	return NULL;
}

void
stub_open(struct usbip_stub *s)
{
	struct sock_addr addr;
	struct cause why;

	memset(s, 0, sizeof *s);
	snprintf(s->dir, sizeof s->dir, "/tmp/stub-XXXXXX");
	HOLDS(mkdtemp(s->dir) != NULL, "no directory");
	snprintf(s->address, sizeof s->address, "unix:%s/socket", s->dir);
	HOLDS(sock_addr_parse(&addr, s->address, NULL, &why) == 0, "%s",
	    why.text);
	s->listener = sock_listen(&addr, 0600, 16, &why);
	HOLDS(s->listener >= 0, "%s", why.text);
	pthread_mutex_init(&s->lock, NULL);
	HOLDS(pthread_create(&s->thread, NULL, serve, s) == 0, "no thread");
}

void
stub_close(struct usbip_stub *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	for (int i = 0; i < s->import_count; i++)
		close(s->imports[i]);
	unlink(s->address + strlen("unix:"));
	rmdir(s->dir);
	pthread_mutex_destroy(&s->lock);
}

void
stub_set(struct usbip_stub *s, int number, const char *busid, uint32_t address)
{
	struct usbip_device_entry *e = &s->devices[number];

	pthread_mutex_lock(&s->lock);
	*e = (struct usbip_device_entry){ .bus = 1, .address = address,
		.speed = USBIP_SPEED_HIGH, .vendor = 0x05ac,
		.product = 0x12a8, .configurations = 4 };
	snprintf(e->busid, sizeof e->busid, "%s", busid != NULL ? busid : "");
	if (number >= s->count)
		s->count = number + 1;
	pthread_mutex_unlock(&s->lock);
}

int
stub_import(struct usbip_stub *s, int number)
{
	int fd = -1;

	for (int i = 0; i < UNIT_PATIENCE_MS && fd < 0; i++) {
		pthread_mutex_lock(&s->lock);
		if (s->import_count > number)
			fd = s->imports[number];
		pthread_mutex_unlock(&s->lock);
		if (fd < 0)
			poll(NULL, 0, 1);
	}
	HOLDS(fd >= 0, "no import came");
	return fd;
}
