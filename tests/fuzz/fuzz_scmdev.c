/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "base/cursor.h"
#include "base/json.h"
#include "base/log.h"
#include "phone/kinds.h"
#include "phone/scmdev.h"

/*
 * What a host can say to a device of the Socket Control Model.  The first byte
 * of the input chooses the dialect and a misbehaviour; then come steps, each a
 * byte that says what, a length of two bytes and that many bytes.  The host
 * that owns the URBs is this file; clients take what they are sent at once, or
 * when the input says so.
 */

#define BUFFER_SIZE 70000

struct fuzz_urb {
	struct usbip_urb u;
	bool pending;
	uint8_t buffer[BUFFER_SIZE];
};

static struct device *dev;
static struct fuzz_urb urbs[3]; /* bulk OUT, interrupt OUT, an IN */

static void
completed(struct usbip_urb *urb, int status, uint32_t actual)
{
	struct fuzz_urb *f = (struct fuzz_urb *)urb;

	MUST(f->pending);
	MUST(actual <= urb->length);
	MUST(status <= 0);
	f->pending = false;
}

static const struct usbip_urb_host host = { .complete = completed };

/* One at a time on each: what the device has not taken is given up. */
static void
submit(int which, uint8_t endpoint, const uint8_t *bytes, size_t len,
    uint32_t flags)
{
	struct fuzz_urb *f = &urbs[which];

	if (f->pending)
		device_cancel(dev, &f->u);
	MUST(!f->pending);
	memset(&f->u, 0, sizeof f->u);
	f->pending = true;
	f->u.host = &host;
	f->u.endpoint = endpoint;
	f->u.length = (uint32_t)(len < BUFFER_SIZE ? len : BUFFER_SIZE);
	f->u.buffer = f->buffer;
	f->u.flags = flags;
	if (bytes != NULL && len > 0)
		memcpy(f->buffer, bytes, f->u.length);
	device_submit(dev, &f->u);
}

static void
command(const char *verb, const char *a, const char *b)
{
	char words[3][64];
	char *word[3] = { words[0], words[1], words[2] };
	struct json j;

	strcpy(words[0], verb);
	strcpy(words[1], a);
	strcpy(words[2], b);
	json_init(&j);
	dev->kind->command(dev, word, 1 + (*a != '\0') + (*b != '\0'), &j);
	MUST(json_text(&j) != NULL);
	json_fini(&j);
	device_pump(dev);
}

/* A client without a descriptor: its socket does by itself what sockets do. */
static void
add_client(void)
{
	struct scmdev_socket *sock = scmdev_socket_new(scmdev_of(dev));

	if (sock == NULL)
		return;
	MUST(ring_put(&sock->tx, "from the client", 15));
	device_pump(dev);
}

/* Clients take what is there, and leave when they are told to. */
static void
clients_take(bool leave)
{
	struct scmdev *s = scmdev_of(dev);

	for (unsigned i = 0; i < SCMDEV_SOCKETS; i++) {
		struct scmdev_socket *sock = s->sockets[i];

		if (sock == NULL || sock->raw)
			continue;
		scmdev_socket_taken(s, sock, sock->rx.used);
		if (leave)
			sock->eof = sock->leaving = true;
	}
	device_pump(dev);
}

static void
check(void)
{
	const struct scmdev *s = scmdev_of(dev);
	unsigned waiting = 0, current = 0;

	for (unsigned i = 0; i < SCMDEV_IDS; i++)
		waiting += s->sent[i].waiting;
	MUST(waiting == s->waiting);
	for (unsigned i = 0; i < SCMDEV_SOCKETS; i++) {
		const struct scmdev_socket *sock = s->sockets[i];

		if (sock == NULL)
			continue;
		current++;
		MUST(sock->waiting >= sock->writes);
		MUST(sock->received - sock->taken == sock->rx.used);
		MUST(sock->rx.used < SCMDEV_RX_MAX + SCMDEV_PAYLOAD_MAX);
	}
	MUST(current == s->current);
}

static void
take_step(uint8_t what, const uint8_t *bytes, size_t len)
{
	const uint32_t flags = (what & 0x80) != 0 ? USBIP_ZERO_PACKET : 0;
	static const char *const opens[] = { "tcp", "udp", "inet6", "inet" };

	switch (what % 8) {
	case 0:
		submit(0, SCMDEV_OUT, bytes, len, flags);
		break;
	case 1:
		submit(1, SCMDEV_EVENT_OUT, bytes, len, 0);
		break;
	case 2:
		submit(2, SCMDEV_IN, NULL, len, 0);
		break;
	case 3:
		submit(2, SCMDEV_EVENT_IN, NULL, len, 0);
		break;
	case 4:
		command("open", opens[len % 4], "");
		break;
	case 5:
		command("take", "", "");
		break;
	case 6:
		add_client();
		break;
	case 7:
		clients_take(len % 2 != 0);
		break;
	}
}

static void
plug(uint8_t how)
{
	char options[80] = "configured,dialect=8,interrupt=on";
	struct identity id;
	struct cause why;

	if ((how & 1) != 0)
		strcpy(options, "configured,dialect=12");
	if ((how & 3) == 3)
		strcat(options, ",shipped");
	identity_init_kind(&id, 1, kind_scm.name);
	dev = device_new(&kind_scm, &id, DESC_HIGH, options, &why);
	MUST(dev != NULL);
	MUST(scmdev_misbehave(scmdev_of(dev), scmdev_misbehaviour_name(
		(how >> 2) % SCMDEV_M_KINDS), &why) == 0);
	device_restart(dev);
}

static void
silence(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct reader r = reader_over(bytes, len);

	log_set_sink(silence);
	plug(read_u8(&r));
	while (reader_left(&r) >= 3) {
		const uint8_t what = read_u8(&r);
		const size_t wanted = read_le16(&r);
		const size_t n =
		    wanted < reader_left(&r) ? wanted : reader_left(&r);
		const bool in = (what % 8 & 6) == 2;

		take_step(what, read_bytes(&r, in ? 0 : n), in ? wanted : n);
		check();
	}
	device_restart(dev);
	device_configure(dev, 0);
	for (int i = 0; i < 3; i++)
		MUST(!urbs[i].pending);
	device_free(dev);
	return 0;
}
