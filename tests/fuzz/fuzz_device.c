/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "base/cursor.h"
#include "base/log.h"
#include "phone/kinds.h"

/*
 * What a host can do to a virtual device that is no phone.  The first byte of
 * the input says which; then come steps, each two bytes (what, how), a length
 * of two bytes and that many bytes.  The engine that owns the URBs is this
 * file.
 */

#define URBS_MAX 64
#define BUFFER_SIZE 70000
#define ISO_MAX 16

struct fuzz_urb {
	struct usbip_urb u;
	bool pending;
	struct usbip_iso iso[ISO_MAX];
	uint8_t buffer[BUFFER_SIZE];
};

static struct device *dev;
static struct fuzz_urb urbs[URBS_MAX];

static void
completed(struct usbip_urb *urb, int status, uint32_t actual)
{
	struct fuzz_urb *f = (struct fuzz_urb *)urb;

	MUST(f->pending);
	MUST(urb->iso_count > 0 || actual <= urb->length);
	MUST(status <= 0);
	for (uint32_t i = 0; i < urb->iso_count; i++)
		MUST(urb->iso[i].actual <= urb->iso[i].length);
	f->pending = false;
}

static const struct usbip_urb_host host = { .complete = completed };

static struct fuzz_urb *
take_urb(uint8_t endpoint, size_t length)
{
	for (int i = 0; i < URBS_MAX; i++)
		if (!urbs[i].pending) {
			memset(&urbs[i].u, 0, sizeof urbs[i].u);
			urbs[i].pending = true;
			urbs[i].u.host = &host;
			urbs[i].u.endpoint = endpoint;
			urbs[i].u.length = (uint32_t)(length < BUFFER_SIZE
				? length
				: BUFFER_SIZE);
			urbs[i].u.buffer = urbs[i].buffer;
			urbs[i].u.iso = urbs[i].iso;
			return &urbs[i];
		}
	return NULL;
}

/* As the engine does it: IN needs a direction that fits, and wLength the
 * transfer's. */
static void
request(const uint8_t *bytes, size_t len)
{
	uint8_t setup[8] = { 0 };
	struct fuzz_urb *f;

	memcpy(setup, bytes, len < 8 ? len : 8);
	f = take_urb(setup[0] & 0x80, (size_t)setup[7] << 8 | setup[6]);
	if (f == NULL)
		return;
	memcpy(f->u.setup, setup, sizeof setup);
	if (len > 8)
		memcpy(f->buffer, bytes + 8,
		    len - 8 < f->u.length ? len - 8 : f->u.length);
	device_submit(dev, &f->u);
}

/* OUT has the bytes themselves; or, with `more`, more than a device holds. */
static void
transfer(uint8_t how, const uint8_t *bytes, size_t len, bool more)
{
	struct fuzz_urb *f = take_urb(how & 0x8f, more ? len * 64 : len);

	if (f == NULL)
		return;
	f->u.flags = (how & 0x10) != 0 ? USBIP_ZERO_PACKET : 0;
	if (len > 0)
		memcpy(f->buffer, bytes,
		    len < f->u.length ? len : f->u.length);
	device_submit(dev, &f->u);
}

static void
isochronous(uint8_t how, const uint8_t *bytes, size_t len)
{
	const uint32_t count = 1 + (how >> 4) % 8;
	struct fuzz_urb *f = take_urb(
	    (uint8_t)(2 | ((how & 1) != 0 ? 0x80 : 0)), len * count);

	if (f == NULL)
		return;
	f->u.iso_count = count;
	f->u.flags = (how & 2) != 0 ? USBIP_ISO_ASAP : 0;
	f->u.start_frame = (int32_t)(len << 20);
	if (len > 0)
		memcpy(f->buffer, bytes, len);
	for (uint32_t i = 0; i < count; i++)
		f->iso[i] = (struct usbip_iso){
			.offset = i * (f->u.length / count),
			.length = f->u.length / count,
			.status = USBIP_EXDEV,
		};
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
meddle(uint8_t how, size_t len)
{
	switch (how % 6) {
	case 0:
	case 1:
		device_hang(dev, how % 6 == 0);
		break;
	case 2:
	case 3:
		device_stall(dev, how % 6 == 2);
		break;
	case 4:
		device_halt(dev, (uint8_t)len);
		break;
	case 5:
		device_slow(dev, len * 1000);
		break;
	}
	device_pump(dev);
}

static void
take_step(uint8_t what, uint8_t how, const uint8_t *bytes, size_t len)
{
	switch (what % 6) {
	case 0:
		request(bytes, len);
		break;
	case 1:
		transfer(how, bytes, len, false);
		break;
	case 2:
		transfer(how, bytes, len, true);
		break;
	case 3:
		isochronous(how, bytes, len);
		break;
	case 4:
		cancel(how);
		break;
	case 5:
		meddle(how, len);
		break;
	}
}

static void
plug(uint8_t which)
{
	static const struct {
		const struct kind *kind;
		const char *options;
	} devices[] = {
		{ &kind_sourcesink, "configured,pattern=1" },
		{ &kind_sourcesink, "configured,loop,speed=full" },
		{ &kind_sourcesink, "configured,iso-pace=on,speed=super" },
		{ &kind_acm, "configured" },
		{ &kind_hid, "configured,interval=1" },
		{ &kind_hid, "configured,boot-keyboard" },
		{ &kind_hid, "configured,fido" },
		{ &kind_dfu, "configured,busy=0" },
	};
	const unsigned i = which % (sizeof devices / sizeof devices[0]);
	char options[80];
	struct identity id;
	struct cause why;

	strcpy(options, devices[i].options);
	identity_init_kind(&id, 1, devices[i].kind->name);
	dev = device_new(devices[i].kind, &id, DESC_HIGH, options, &why);
	MUST(dev != NULL);
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
	while (reader_left(&r) >= 4) {
		const uint8_t what = read_u8(&r), how = read_u8(&r);
		const size_t wanted = read_le16(&r);
		const size_t n =
		    wanted < reader_left(&r) ? wanted : reader_left(&r);

		take_step(what, how, read_bytes(&r, n), n);
	}
	device_restart(dev);
	device_configure(dev, 0);
	for (int i = 0; i < URBS_MAX; i++)
		MUST(!urbs[i].pending);
	device_free(dev);
	return 0;
}
