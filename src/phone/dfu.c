/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A device in DFU mode, with a memory of 64 KiB: DFU 1.1.
 *
 * A download erases the memory and fills it from its beginning, in blocks
 * numbered from 0; an upload gives it whole.  Writing a block, and the end of a
 * download, take `busy` milliseconds, during which the device may not be asked
 * anything, as it told in its answer to GETSTATUS.  Its memory lives as long as
 * it does; its state, until a reset.
 *
 * Source: USB DFU 1.1, chapters 3 to 6 and the table of states in appendix A.
 */
#include <string.h>

#include "base/cursor.h"
#include "base/json.h"
#include "phone/kinds.h"

#define DFU_MEMORY 65536u
#define DFU_TRANSFER 4096 /* wTransferSize */
#define DFU_BUSY_MS 1

enum dfu_state {
	DFU_IDLE = 2,
	DFU_DOWNLOAD_SYNC = 3,
	DFU_DOWNLOAD_BUSY = 4,
	DFU_DOWNLOAD_IDLE = 5,
	DFU_MANIFEST_SYNC = 6,
	DFU_MANIFEST = 7,
	DFU_UPLOAD_IDLE = 9,
	DFU_ERROR = 10,
};

enum dfu_status {
	DFU_OK = 0,
	DFU_ERR_ADDRESS = 8,      /* beyond the memory, or a wrong block */
	DFU_ERR_NOT_DONE = 9,     /* nothing was downloaded */
	DFU_ERR_STALLED = 0x0f,   /* a request that its state does not allow */
};

struct dfu {
	struct device usb;
	unsigned busy_ms;
	enum dfu_state state;
	enum dfu_status status;
	uint16_t block;      /* that must come next */
	uint32_t at;         /* where it goes to, or comes from */
	bool done;           /* MANIFEST_SYNC: it has manifested itself */
	struct moment ready; /* BUSY and MANIFEST: then they are over */
	uint8_t memory[DFU_MEMORY];
	uint64_t downloads, uploads, blocks_in, blocks_out;
	uint64_t bytes_in, bytes_out, errors, bad_requests;
};

/* ---- Descriptors -------------------------------------------------------- */

enum {
	S_MEMORY = DESC_S_OWN,
	S_COUNT,
};
static const char *const texts[S_COUNT] = {
	[DESC_S_MANUFACTURER] = "muxphone",
	[DESC_S_PRODUCT] = "Firmware",
	[S_MEMORY] = "64 KiB of memory",
};

/* Can download and upload, and goes on answering when it has manifested. */
static const uint8_t functional[] = {
	9, 0x21, 0x07, 0xff, 0x00,
	DFU_TRANSFER & 0xff, DFU_TRANSFER >> 8, 0x10, 0x01,
};
static const struct desc_interface interface = {
	.number = 0, .class = 0xfe, .subclass = 1, .protocol = 2,
	.name = S_MEMORY,
	.extra_len = sizeof functional, .extra = functional,
};
static const struct desc_interface *const settings[] = { &interface };
static const struct desc_configuration configuration = {
	.interface_count = 1, .setting_count = 1, .settings = settings,
};
static const struct desc_device description = {
	.vendor = 0x1209, .product = 0x0001, .release = 0x0100,
	.milliamps = 100,
	.texts = texts, .text_count = S_COUNT,
	.configuration_count = 1, .configurations = &configuration,
};

/* ---- Life --------------------------------------------------------------- */

static struct dfu *
self(struct device *d)
{
	return (struct dfu *)d;
}

static const struct dfu *
self_const(const struct device *d)
{
	return (const struct dfu *)d;
}

static int
dfu_option(struct device *d, const char *name, const char *value,
    struct cause *why)
{
	if (strcmp(name, "busy") == 0)
		return kinds_number(&self(d)->busy_ms, name, value, 0, 60000,
		    why);
	return cause_set(why, "there is no option '%s'", name);
}

static void
dfu_defaults(struct device *d)
{
	self(d)->busy_ms = DFU_BUSY_MS;
}

static int
dfu_init(struct device *d, struct cause *why)
{
	(void)why;
	d->profile.device = &description;
	memset(self(d)->memory, 0xff, sizeof self(d)->memory);
	return 0;
}

static void
dfu_reset(struct device *d)
{
	self(d)->state = DFU_IDLE;
	self(d)->status = DFU_OK;
}

/* ---- States ------------------------------------------------------------- */

/* What time alone changes. */
static void
catch_up(struct dfu *f)
{
	if ((f->state != DFU_DOWNLOAD_BUSY && f->state != DFU_MANIFEST) ||
	    moment_before(clock_now(), f->ready))
		return;
	f->done = true;
	f->state = f->state == DFU_MANIFEST ? DFU_MANIFEST_SYNC
					    : DFU_DOWNLOAD_SYNC;
}

/* The first error stays, until it is cleared. */
static int
refuse(struct dfu *f, enum dfu_status status)
{
	if (f->state != DFU_ERROR)
		f->status = status;
	f->state = DFU_ERROR;
	f->errors++;
	return DEVICE_STALL;
}

/* The state that GETSTATUS tells, and leads to. */
static void
advance(struct dfu *f)
{
	const bool manifest = f->state == DFU_MANIFEST_SYNC;

	if (!manifest && f->state != DFU_DOWNLOAD_SYNC)
		return;
	if (!f->done && f->busy_ms > 0) {
		f->state = manifest ? DFU_MANIFEST : DFU_DOWNLOAD_BUSY;
		f->ready = moment_after_ms(clock_now(), f->busy_ms);
		return;
	}
	f->state = manifest ? DFU_IDLE : DFU_DOWNLOAD_IDLE;
	f->downloads += manifest;
}

static int
get_status(struct dfu *f, uint8_t *data, size_t len)
{
	uint8_t bytes[6];
	struct writer w = writer_over(bytes, sizeof bytes);
	bool busy;
	unsigned wait;

	if (f->state == DFU_DOWNLOAD_BUSY || f->state == DFU_MANIFEST)
		return refuse(f, DFU_ERR_STALLED);
	advance(f);
	busy = f->state == DFU_DOWNLOAD_BUSY || f->state == DFU_MANIFEST;
	wait = busy ? f->busy_ms : 0;
	write_u8(&w, (uint8_t)f->status);
	write_le16(&w, (uint16_t)(wait & 0xffff)); /* bwPollTimeout: 24 bits */
	write_u8(&w, (uint8_t)(wait >> 16));
	write_u8(&w, (uint8_t)f->state);
	write_u8(&w, 0); /* no string */
	return device_answer(data, len, bytes, sizeof bytes);
}

static int
end_download(struct dfu *f)
{
	if (f->state != DFU_DOWNLOAD_IDLE)
		return refuse(f, f->state == DFU_IDLE ? DFU_ERR_NOT_DONE
						      : DFU_ERR_STALLED);
	f->done = false;
	f->state = DFU_MANIFEST_SYNC;
	return 0;
}

static int
download(struct dfu *f, const struct setup *s, const uint8_t *data, size_t len)
{
	if (len == 0)
		return end_download(f);
	if (f->state == DFU_IDLE) {
		memset(f->memory, 0xff, sizeof f->memory);
		f->at = f->block = 0;
	} else if (f->state != DFU_DOWNLOAD_IDLE)
		return refuse(f, DFU_ERR_STALLED);
	if (s->value != f->block || len > DFU_TRANSFER ||
	    len > DFU_MEMORY - f->at)
		return refuse(f, DFU_ERR_ADDRESS);
	memcpy(f->memory + f->at, data, len);
	f->at += (uint32_t)len;
	f->block++;
	f->blocks_in++;
	f->bytes_in += len;
	f->done = false;
	f->state = DFU_DOWNLOAD_SYNC;
	return 0;
}

/* A block that is shorter than was asked for is the last. */
static int
upload(struct dfu *f, const struct setup *s, uint8_t *data, size_t len)
{
	int n;

	if (f->state == DFU_IDLE)
		f->at = f->block = 0;
	else if (f->state != DFU_UPLOAD_IDLE)
		return refuse(f, DFU_ERR_STALLED);
	if (s->value != f->block || len == 0 || len > DFU_TRANSFER)
		return refuse(f, DFU_ERR_ADDRESS);
	n = device_answer(data, len, f->memory + f->at, DFU_MEMORY - f->at);
	f->at += (uint32_t)n;
	f->block++;
	f->blocks_out++;
	f->bytes_out += (uint32_t)n;
	f->state = (size_t)n < len ? DFU_IDLE : DFU_UPLOAD_IDLE;
	f->uploads += f->state == DFU_IDLE;
	return n;
}

static int
clear_status(struct dfu *f)
{
	if (f->state != DFU_ERROR)
		return refuse(f, DFU_ERR_STALLED);
	f->state = DFU_IDLE;
	f->status = DFU_OK;
	return 0;
}

static int
get_state(struct dfu *f, uint8_t *data, size_t len)
{
	const uint8_t state = (uint8_t)f->state;

	if (f->state == DFU_DOWNLOAD_BUSY || f->state == DFU_MANIFEST)
		return refuse(f, DFU_ERR_STALLED);
	return device_answer(data, len, &state, 1);
}

static int
abort_transfer(struct dfu *f)
{
	if (f->state == DFU_DOWNLOAD_BUSY || f->state == DFU_MANIFEST ||
	    f->state == DFU_ERROR)
		return refuse(f, DFU_ERR_STALLED);
	f->state = DFU_IDLE;
	return 0;
}

enum {
	DFU_DNLOAD = SETUP_CODE(0x21, 1),
	DFU_UPLOAD = SETUP_CODE(0xa1, 2),
	DFU_GETSTATUS = SETUP_CODE(0xa1, 3),
	DFU_CLRSTATUS = SETUP_CODE(0x21, 4),
	DFU_GETSTATE = SETUP_CODE(0xa1, 5),
	DFU_ABORT = SETUP_CODE(0x21, 6),
};

static int
carry_out(struct dfu *f, const struct setup *s, uint8_t *data, size_t len)
{
	catch_up(f);
	switch (setup_code(s)) {
	case DFU_DNLOAD:
		return download(f, s, data, len);
	case DFU_UPLOAD:
		return upload(f, s, data, len);
	case DFU_GETSTATUS:
		return get_status(f, data, len);
	case DFU_CLRSTATUS:
		return clear_status(f);
	case DFU_GETSTATE:
		return get_state(f, data, len);
	case DFU_ABORT:
		return abort_transfer(f);
	default:
		return refuse(f, DFU_ERR_STALLED);
	}
}

/* What is not for the DFU interface changes nothing in its state. */
static int
dfu_control(struct device *d, const struct setup *s, uint8_t *data, size_t len)
{
	struct dfu *f = self(d);
	const bool ours = (s->type & 0x7f) == 0x21 && s->index == 0;
	const int result = ours ? carry_out(f, s, data, len) : DEVICE_STALL;

	f->bad_requests += result < 0;
	return result;
}

/* ---- Reports ------------------------------------------------------------ */

static void
dfu_describe(const struct device *d, struct json *j)
{
	json_uint(j, "state", (uint64_t)self_const(d)->state);
	json_uint(j, "status", (uint64_t)self_const(d)->status);
}

static void
dfu_report(const struct device *d, struct json *j, bool more)
{
	const struct dfu *f = self_const(d);

	(void)more;
	json_uint(j, "downloads", f->downloads);
	json_uint(j, "uploads", f->uploads);
	json_uint(j, "blocks_in", f->blocks_in);
	json_uint(j, "blocks_out", f->blocks_out);
	json_uint(j, "bytes_in", f->bytes_in);
	json_uint(j, "bytes_out", f->bytes_out);
	json_uint(j, "errors", f->errors);
	json_uint(j, "bad_requests", f->bad_requests);
}

const struct kind kind_dfu = {
	.name = "dfu",
	.size = sizeof(struct dfu),
	.defaults = dfu_defaults,
	.option = dfu_option,
	.init = dfu_init,
	.reset = dfu_reset,
	.control = dfu_control,
	.describe = dfu_describe,
	.report = dfu_report,
};
