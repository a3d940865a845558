/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "base/cursor.h"
#include "base/log.h"
#include "phone/pattern.h"
#include "phone/phone.h"

/*
 * What a host can do to a virtual phone.  The input is a list of steps, each
 * two bytes (what, how), a length of two bytes and that many bytes; the engine
 * that owns the URBs is this file.
 */

#define URBS_MAX 64
#define BUFFER_SIZE 20000

struct fuzz_urb {
	struct usbip_urb u;
	bool pending;
	uint8_t buffer[BUFFER_SIZE];
};

static struct device *dev;
static struct phone *phone;
static struct fuzz_urb urbs[URBS_MAX];
static uint16_t tx_seq;

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

static struct fuzz_urb *
take_urb(uint8_t endpoint, uint32_t length)
{
	for (int i = 0; i < URBS_MAX; i++)
		if (!urbs[i].pending) {
			memset(&urbs[i].u, 0, sizeof urbs[i].u);
			urbs[i].pending = true;
			urbs[i].u.host = &host;
			urbs[i].u.endpoint = endpoint;
			urbs[i].u.length = length;
			urbs[i].u.buffer = urbs[i].buffer;
			return &urbs[i];
		}
	return NULL;
}

static void
send_bytes(uint8_t endpoint, uint32_t flags, const uint8_t *bytes, size_t len)
{
	struct fuzz_urb *f = take_urb(endpoint, (uint32_t)len);

	if (f == NULL)
		return;
	f->u.flags = flags;
	if (len > 0)
		memcpy(f->buffer, bytes, len);
	device_submit(dev, &f->u);
}

/* A packet with a correct mux header, so that the bytes reach what is behind
 * it. */
static void
send_packet(uint8_t protocol, const uint8_t *bytes, size_t len)
{
	uint8_t packet[BUFFER_SIZE];
	struct writer w = writer_over(packet, sizeof packet);
	const size_t head = phone->mux.version == 1 ? 8 : 16;

	write_be32(&w, protocol);
	write_be32(&w, (uint32_t)(head + len));
	if (head == 16) {
		write_be32(&w, 0xfeedface);
		write_be16(&w, tx_seq++);
		write_be16(&w, 0xffff);
	}
	write_bytes(&w, bytes, len);
	if (!w.bad)
		send_bytes(0x04, USBIP_ZERO_PACKET, packet, head + len);
}

static void
ask_for(uint8_t endpoint, uint32_t length)
{
	struct fuzz_urb *f =
	    take_urb(endpoint, length < BUFFER_SIZE ? length : BUFFER_SIZE);

	if (f != NULL)
		device_submit(dev, &f->u);
}

static void
request(const uint8_t *bytes, size_t len)
{
	uint8_t setup[8] = { 0 };
	struct fuzz_urb *f;
	uint32_t length;

	memcpy(setup, bytes, len < 8 ? len : 8);
	length = (uint32_t)setup[7] << 8 | setup[6];
	f = take_urb(setup[0] & 0x80, length < BUFFER_SIZE ? length : 0);
	if (f == NULL)
		return;
	memcpy(f->u.setup, setup, sizeof setup);
	device_submit(dev, &f->u);
}

static void
cancel(uint8_t which)
{
	struct fuzz_urb *f = &urbs[which % URBS_MAX];

	if (f->pending)
		device_cancel(dev, &f->u);
	MUST(!f->pending);
}

static void
meddle(uint8_t how, const uint8_t *bytes, size_t len)
{
	switch (how % 8) {
	case 0:
	case 1:
		device_hang(dev, how % 8 == 0);
		break;
	case 2:
	case 3:
		device_stall(dev, how % 8 == 2);
		break;
	case 4:
		device_halt(dev, len > 0 ? PHONE_MUX_IN : PHONE_MUX_OUT);
		break;
	case 5:
		mux_set_window(&phone->mux, (uint32_t)len * 1000);
		break;
	case 6:
		mux_inject(&phone->mux, bytes, len);
		break;
	case 7:
		phone->mux.set.version = 1 + len % 2;
		break;
	}
	device_pump(dev);
}

static void
take_step(uint8_t what, uint8_t how, const uint8_t *bytes, size_t len)
{
	switch (what % 7) {
	case 0:
		request(bytes, len);
		break;
	case 1:
		send_bytes(how & 15, how >> 4 != 0 ? USBIP_ZERO_PACKET : 0,
		    bytes, len);
		break;
	case 2:
		send_packet(how, bytes, len);
		break;
	case 3:
		ask_for(how | 0x80, (uint32_t)len);
		break;
	case 4:
		for (int i = 0; i < 8; i++)
			ask_for(0x85, how * 64u);
		break;
	case 5:
		cancel(how);
		break;
	case 6:
		meddle(how, bytes, len);
		break;
	}
}

/* What is done once, whatever the input. */
static void
begin(void)
{
	static bool begun;

	if (!begun)
		pattern_init();
	begun = true;
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
	struct identity id;
	struct cause why;

	log_set_sink(silence);
	begin();
	tx_seq = 0;
	MUST(identity_init(&id, 1, NULL, 0, &why) == 0);
	dev = device_new(&kind_phone, &id, DESC_HIGH, NULL, &why);
	MUST(dev != NULL);
	phone = phone_of(dev);
	device_restart(dev);
	while (reader_left(&r) >= 4) {
		const uint8_t what = read_u8(&r), how = read_u8(&r);
		const size_t wanted = read_le16(&r);
		const size_t n =
		    wanted < reader_left(&r) ? wanted : reader_left(&r);

		take_step(what, how, read_bytes(&r, n),
		    n < BUFFER_SIZE ? n : BUFFER_SIZE);
	}
	device_restart(dev);
	for (int i = 0; i < URBS_MAX; i++)
		MUST(!urbs[i].pending);
	MUST(phone->mux.live == 0);
	device_free(dev);
	return 0;
}
