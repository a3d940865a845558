/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manager_rig_phones.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "unit.h"

struct fake fakes[RIG_PHONES];

void
rig_begin(void)
{
	static struct usb_source *sources[RIG_PHONES];

	log_set_level(LOG_LEVEL_FATAL); /* faults are made on purpose */
	rig_init();
	rig_listen(RIG_LISTENER, "s");
	rig_listen(RIG_CONTROL, "c");
	for (int i = 0; i < RIG_PHONES; i++) {
		fake_init(&fakes[i], i == 0 ? "1-3" : "1-4");
		sources[i] = &fakes[i].source;
	}
	rig_make(&(struct manager_config){ .listeners = sockets,
		.listener_count = 1, .control = sockets[RIG_CONTROL],
		.sources = sources, .source_count = RIG_PHONES,
		.wanted_mode = 1, .poller = poller });
	rig_start();
	for (int i = 0; i < RIG_PHONES; i++)
		fake_await_watched(&fakes[i]);
}

void
rig_begin_polled(void)
{
	rig_poll();
	rig_begin();
}

void
rig_end(void)
{
	manager_quit(m);
	rig_await_end();
	rig_fini();
	for (int i = 0; i < RIG_PHONES; i++) {
		ck_assert_uint_eq(fakes[i].frees,
		    fakes[i].open_error == USB_OK ? fakes[i].opens : 0);
		fake_fini(&fakes[i]);
	}
}

/* ---- Clients ---- */

int
rig_client(void)
{
	return rig_connect(RIG_LISTENER);
}

void
rig_receive(int fd, uint8_t *bytes, size_t len)
{
	while (len > 0) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n;

		HOLDS(poll(&pfd, 1, UNIT_PATIENCE_MS) == 1,
		    "a client waits in vain for %zu bytes", len);
		n = recv(fd, bytes, len, 0);
		HOLDS(n > 0, "the socket ends, %zu bytes too early", len);
		bytes += n;
		len -= (size_t)n;
	}
}

void
rig_await_eof(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint8_t byte;

	HOLDS(poll(&pfd, 1, UNIT_PATIENCE_MS) == 1, "the socket does not end");
	HOLDS(recv(fd, &byte, 1, 0) == 0, "a byte instead of the end");
}

uint32_t
rig_get32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	    (uint32_t)at[3] << 24;
}

/* A binary message: its payload, of exactly that length. */
static void
await_message(int fd, uint32_t number, uint8_t *payload, uint32_t len)
{
	uint8_t header[16];

	rig_receive(fd, header, sizeof header);
	HOLDS(rig_get32(header + 8) == number && rig_get32(header) == 16 + len,
	    "message %u of %u bytes instead of %u", rig_get32(header + 8),
	    rig_get32(header), number);
	rig_receive(fd, payload, len);
}

/* One that is a number, and which it is: a Result's, or a device's. */
static void
await_number(int fd, uint32_t message, uint32_t wanted)
{
	uint8_t payload[4];

	await_message(fd, message, payload, sizeof payload);
	HOLDS(rig_get32(payload) == wanted, "message %u: %u instead of %u",
	    message, rig_get32(payload), wanted);
}

void
rig_await_result(int fd, uint32_t result)
{
	await_number(fd, 1, result);
}

int
rig_listening_client(void)
{
	const uint8_t request[16] = { 16, 0, 0, 0, 0, 0, 0, 0, 3 };
	const int fd = rig_client();

	HOLDS(sock_send_all(fd, request, sizeof request) == 0, "send");
	rig_await_result(fd, 0);
	return fd;
}

uint32_t
rig_await_attached(int fd, int source)
{
	uint8_t add[268];

	await_message(fd, 4, add, sizeof add);
	HOLDS(add[4] == 0xa8 && add[5] == 0x12, "product");
	HOLDS(strcmp((const char *)add + 6, FAKE_UDID) == 0, "serial '%s'",
	    (const char *)add + 6);
	HOLDS(rig_get32(add + 264) == usb_location(&fakes[source].ident),
	    "location 0x%08x", rig_get32(add + 264));
	return rig_get32(add);
}

void
rig_await_detached(int fd, uint32_t id)
{
	await_number(fd, 5, id);
}

void
rig_ask_connect(int fd, uint32_t id)
{
	const uint8_t request[24] = { 24, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0,
		0, 0, (uint8_t)id, (uint8_t)(id >> 8), 0, 0, 0, 80, 0, 0 };

	HOLDS(sock_send_all(fd, request, sizeof request) == 0, "send");
}

/* ---- Phones ---- */

struct phone_words
rig_hear(int source)
{
	static uint8_t bytes[65536];
	struct fake_write *w = fake_await_write(&fakes[source]);
	const uint32_t len = w->len;

	memcpy(bytes, w->bytes, len);
	free(w);
	return phone_parse(bytes, len, 2);
}

void
rig_say(int source, const struct phone_words *heard, uint8_t flags)
{
	struct phone_frame *f = malloc(sizeof *f);

	phone_make(f, 2, &(struct phone_words){ .protocol = 6,
		.sport = heard->dport, .dport = heard->sport,
		.seq = heard->ack, .ack = heard->seq + heard->payload_len +
		    (heard->flags & PHONE_SYN ? 1 : 0), .flags = flags,
		.window = 65536 });
	fake_packet(&fakes[source], f->bytes, f->len);
	free(f);
}

void
rig_come_up(int source)
{
	struct phone_frame f;

	HOLDS(rig_hear(source).protocol == 0, "no VERSION");
	phone_make_version(&f, 2, 0);
	fake_packet(&fakes[source], f.bytes, f.len);
	HOLDS(rig_hear(source).protocol == 2, "no SETUP");
}

int
rig_connected_client(uint32_t id)
{
	const int fd = rig_client();
	struct phone_words w;

	rig_ask_connect(fd, id);
	w = rig_hear(0);
	HOLDS(w.flags == PHONE_SYN && w.dport == 80, "no SYN");
	rig_say(0, &w, PHONE_SYN | PHONE_ACK);
	HOLDS(rig_hear(0).flags == PHONE_ACK, "no ACK");
	rig_await_result(fd, 0);
	return fd;
}
