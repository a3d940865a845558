/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/probe.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/roles.h"

struct role on_export_prober;

/* Languages in which the strings are read: more than any device is known to
 * have, and each costs a round of requests. */
#define LANGUAGES_MAX 4
#define STRING_MAX 255
/* Longest report descriptor that is looked at (the kernel's limit). */
#define REPORT_MAX 4096
#define DT_ASSOCIATION 0x0b
#define REQUEST_IN_INTERFACE 0x81

/* One look. */
struct look {
	struct probe *p;
	libusb_device *device;
	libusb_device_handle *handle; /* NULL: it cannot be opened */
	struct libusb_device_descriptor descriptor;
	struct policy_device facts;
	struct moment deadline;
	bool tired; /* it did not answer, so it is not asked any more */
	bool strings[256]; /* indexes that descriptors name */
	struct writer info;
	unsigned left_out; /* descriptors for which it had no room */
};

/* ---- Asking ------------------------------------------------------------- */

/* GET_DESCRIPTOR.  The length of the answer, 0 when there is none. */
static size_t
ask(struct look *l, uint8_t request_type, uint16_t value, uint16_t index,
    uint8_t *out, uint16_t room) RUNS_ON(on_export_prober)
{
	int n;

	if (l->handle == NULL || l->tired)
		return 0;
	n = libusb_control_transfer(l->handle, request_type,
	    LIBUSB_REQUEST_GET_DESCRIPTOR, value, index, out, room,
	    PROBE_ANSWER_MS);
	l->tired = n == LIBUSB_ERROR_TIMEOUT || n == LIBUSB_ERROR_NO_DEVICE ||
	    !moment_before(clock_now(), l->deadline);
	return n > 0 ? (size_t)n : 0;
}

static void
add_record(struct look *l, uint8_t type, uint8_t index, uint16_t langid,
    const uint8_t *bytes, size_t len)
{
	const struct usbip_info_record r = { .type = type, .index = index,
		.langid = langid, .length = (uint32_t)len, .bytes = bytes };

	if (len > 0 && !usbip_info_add(&l->info, &r))
		l->left_out++;
}

/* A string descriptor as text; what is not ASCII becomes '?'. */
static void
string_text(char out[PROBE_TEXT_MAX], const uint8_t *bytes, size_t len)
{
	struct reader r = reader_over(bytes, len);
	size_t n = 0;

	read_le16(&r); /* length and type */
	while (reader_left(&r) >= 2 && n < PROBE_TEXT_MAX - 1) {
		const uint16_t unit = read_le16(&r);

		out[n++] = unit >= ' ' && unit < 0x7f ? (char)unit : '?';
	}
	out[n] = '\0';
}

static void
add_strings(struct look *l, uint16_t langid, bool first)
    RUNS_ON(on_export_prober)
{
	uint8_t bytes[STRING_MAX];

	for (int i = 1; i < 256; i++) {
		size_t len;

		if (!l->strings[i])
			continue;
		len = ask(l, LIBUSB_ENDPOINT_IN,
		    (uint16_t)(LIBUSB_DT_STRING << 8 | i), langid, bytes,
		    sizeof bytes);
		add_record(l, USBIP_INFO_STRING, (uint8_t)i, langid, bytes,
		    len);
		if (first && i == l->descriptor.iSerialNumber)
			string_text(l->p->serial, bytes, len);
		if (first && i == l->descriptor.iProduct)
			string_text(l->p->product, bytes, len);
	}
}

static void
add_all_strings(struct look *l) RUNS_ON(on_export_prober)
{
	uint8_t bytes[STRING_MAX];
	const size_t len = ask(l, LIBUSB_ENDPOINT_IN, LIBUSB_DT_STRING << 8, 0,
	    bytes, sizeof bytes);
	struct reader r = reader_over(bytes, len);

	add_record(l, USBIP_INFO_STRING, 0, 0, bytes, len);
	read_le16(&r); /* length and type */
	for (int i = 0; i < LANGUAGES_MAX && reader_left(&r) >= 2; i++)
		add_strings(l, read_le16(&r), i == 0);
}

/* Devices before USB 2.01 have none, and some break when asked.  Few have one
 * that is longer than a string; such a one is asked for again, whole. */
static void
add_bos(struct look *l) RUNS_ON(on_export_prober)
{
	uint8_t first[STRING_MAX], *bytes = first, *whole = NULL;
	size_t len, total;

	if (l->descriptor.bcdUSB < 0x0201)
		return;
	len = ask(l, LIBUSB_ENDPOINT_IN, LIBUSB_DT_BOS << 8, 0, first,
	    sizeof first);
	if (len < LIBUSB_DT_BOS_SIZE)
		return;
	total = (size_t)(first[2] | first[3] << 8);
	if (total > len && (whole = malloc(total)) != NULL) {
		bytes = whole;
		len = ask(l, LIBUSB_ENDPOINT_IN, LIBUSB_DT_BOS << 8, 0, whole,
		    (uint16_t)total);
	}
	add_record(l, USBIP_INFO_BOS, 0, 0, bytes, len);
	free(whole);
}

/* ---- Configurations ----------------------------------------------------- */

/* The names of functions, in the descriptors that libusb only passes on. */
static void
note_associations(struct look *l, const unsigned char *extra, int len)
{
	struct reader r = reader_over(extra, len > 0 ? (size_t)len : 0);

	while (reader_left(&r) >= 2) {
		const uint8_t size = r.at[0], type = r.at[1];
		const uint8_t *d = size >= 2 ? read_bytes(&r, size) : NULL;

		if (d == NULL)
			return;
		if (type == DT_ASSOCIATION && size >= 8)
			l->strings[d[7]] = true;
	}
}

static void
note_setting(struct look *l, const struct libusb_interface_descriptor *s)
{
	l->strings[s->iInterface] = true;
	l->facts.classes[s->bInterfaceClass] = true;
	/* HID 1.11, 4.2 and 4.3: boot interface, keyboard. */
	if (s->bInterfaceClass == CLASS_HID && s->bInterfaceSubClass == 1 &&
	    s->bInterfaceProtocol == 1)
		l->facts.keyboard = true;
	note_associations(l, s->extra, s->extra_length);
	for (int i = 0; i < s->bNumEndpoints; i++)
		note_associations(l, s->endpoint[i].extra,
		    s->endpoint[i].extra_length);
}

static void
note_configuration(struct look *l, uint8_t index,
    const struct libusb_config_descriptor *c)
{
	uint8_t *bytes = malloc(UINT16_MAX);

	if (bytes != NULL)
		add_record(l, USBIP_INFO_CONFIGURATION, index, 0, bytes,
		    bus_configuration_bytes(bytes, UINT16_MAX, c));
	free(bytes);
	l->strings[c->iConfiguration] = true;
	note_associations(l, c->extra, c->extra_length);
	for (int i = 0; i < c->bNumInterfaces; i++)
		for (int k = 0; k < c->interface[i].num_altsetting; k++)
			note_setting(l, &c->interface[i].altsetting[k]);
}

/* Everything that is known without opening it. */
static void
note_descriptors(struct look *l)
{
	const struct libusb_device_descriptor *d = &l->descriptor;
	uint8_t bytes[LIBUSB_DT_DEVICE_SIZE];

	l->facts.classes[d->bDeviceClass] = true;
	l->strings[d->iManufacturer] = true;
	l->strings[d->iProduct] = true;
	l->strings[d->iSerialNumber] = true;
	add_record(l, USBIP_INFO_DEVICE, 0, 0, bytes,
	    bus_device_bytes(bytes, sizeof bytes, d));
	for (uint8_t i = 0; i < d->bNumConfigurations; i++) {
		struct libusb_config_descriptor *c;

		if (libusb_get_config_descriptor(l->device, i, &c) < 0) {
			l->facts.unreadable = true;
			continue;
		}
		note_configuration(l, i, c);
		libusb_free_config_descriptor(c);
	}
}

/* ---- Security keys ------------------------------------------------------ */

static struct policy_hid
hid_form(const struct look *l, const struct libusb_interface_descriptor *s)
{
	struct policy_hid h = { .vendor = l->descriptor.idVendor,
		.subclass = s->bInterfaceSubClass,
		.protocol = s->bInterfaceProtocol };

	for (int i = 0; i < s->bNumEndpoints; i++) {
		const struct libusb_endpoint_descriptor *e = &s->endpoint[i];

		if ((e->bmAttributes & 3) != LIBUSB_TRANSFER_TYPE_INTERRUPT)
			continue;
		if ((e->bEndpointAddress & LIBUSB_ENDPOINT_IN) != 0)
			h.in_packet = e->wMaxPacketSize & 0x7ff;
		else
			h.out_packet = e->wMaxPacketSize & 0x7ff;
	}
	return h;
}

/* The report descriptor tells.  A device gives only those of what it is set to,
 * which `current` is, and Linux only when no driver has the interface;
 * elsewhere what is seen from outside must do. */
static bool
is_security_key(struct look *l, const struct libusb_interface_descriptor *s,
    bool current) RUNS_ON(on_export_prober)
{
	const struct policy_hid form = hid_form(l, s);
	uint8_t *report = current ? malloc(REPORT_MAX) : NULL;
	const size_t len = report == NULL ? 0 : ask(l, REQUEST_IN_INTERFACE,
	    LIBUSB_DT_REPORT << 8, s->bInterfaceNumber, report, REPORT_MAX);
	const bool is = len > 0 ? policy_report_is_fido(report, len)
				: policy_may_be_fido(&form);

	free(report);
	return is;
}

static void
look_for_keys_in(struct look *l, const struct libusb_config_descriptor *c)
    RUNS_ON(on_export_prober)
{
	const bool current =
	    c->bConfigurationValue == l->p->desc.device.configuration;

	for (int i = 0; i < c->bNumInterfaces; i++)
		for (int k = 0; k < c->interface[i].num_altsetting; k++) {
			const struct libusb_interface_descriptor *s =
			    &c->interface[i].altsetting[k];

			if (s->bInterfaceClass == CLASS_HID &&
			    is_security_key(l, s,
				current && s->bAlternateSetting == 0))
				l->facts.security_key = true;
		}
}

/* In all configurations and settings, as the importer may choose any. */
static void
look_for_keys(struct look *l) RUNS_ON(on_export_prober)
{
	struct libusb_config_descriptor *c;

	for (uint8_t i = 0; l->facts.classes[CLASS_HID] &&
	     i < l->descriptor.bNumConfigurations; i++) {
		if (libusb_get_config_descriptor(l->device, i, &c) < 0) {
			l->facts.unreadable = true;
			continue;
		}
		look_for_keys_in(l, c);
		libusb_free_config_descriptor(c);
	}
}

/* ---- The look ----------------------------------------------------------- */

static void
open_and_ask(struct look *l) RUNS_ON(on_export_prober)
{
	char trouble[BUS_TROUBLE_MAX];
	const int r = libusb_open(l->device, &l->handle);

	if (r < 0) {
		l->handle = NULL;
		log_warning("device %s: its strings cannot be read: %s",
		    l->p->ident.busid, bus_trouble(trouble, r, &l->p->ident));
	}
	look_for_keys(l);
	add_all_strings(l);
	add_bos(l);
	if (l->handle != NULL)
		libusb_close(l->handle);
	l->facts.serial = l->p->serial;
}

static void
look_at(struct look *l) RUNS_ON(on_export_prober)
{
	struct probe *p = l->p;

	note_descriptors(l);
	p->verdict = policy_judge(p->policy, &l->facts);
	if (p->verdict == POLICY_EXPORT) {
		open_and_ask(l);
		p->verdict = policy_judge(p->policy, &l->facts);
		if (p->verdict == POLICY_UNNAMED && *p->serial == '\0' &&
		    l->descriptor.iSerialNumber != 0)
			p->verdict = POLICY_SERIAL_UNREAD;
	}
	if (l->left_out > 0)
		log_warning("device %s: it has more descriptors than importers "
		    "can be told of before an import: %u are left out",
		    p->ident.busid, l->left_out);
}

/* The records that were written, in a block of their size. */
static void
keep_info(struct probe *p, uint8_t *room, size_t len)
{
	uint8_t *info = realloc(room, len > 0 ? len : 1);

	p->desc.info = info != NULL ? info : room;
	p->desc.info_len = len;
}

static int
look_in(libusb_context *ctx, struct probe *p) RUNS_ON(on_export_prober)
{
	struct look l = { .p = p, .device = bus_find(ctx, &p->ident),
		.deadline = moment_after_ms(clock_now(), PROBE_ALL_MS) };
	uint8_t *room = malloc(USBIP_INFO_MAX);
	int error = 0;

	if (room == NULL)
		error = LIBUSB_ERROR_NO_MEM;
	else if (l.device == NULL ||
	    !bus_describe(l.device, &p->ident, &p->desc) ||
	    libusb_get_device_descriptor(l.device, &l.descriptor) < 0)
		error = LIBUSB_ERROR_NO_DEVICE;
	if (error == 0) {
		l.info = writer_over(room, USBIP_INFO_MAX);
		l.facts.busid = p->ident.busid;
		l.facts.vendor = p->ident.vendor;
		l.facts.product = p->ident.product;
		p->device_class = l.descriptor.bDeviceClass;
		look_at(&l);
		keep_info(p, room, writer_used(&l.info));
	} else {
		free(room);
	}
	if (l.device != NULL)
		libusb_unref_device(l.device);
	return error;
}

static void *
prober_main(void *arg)
{
	struct probe *p = arg;
	libusb_context *ctx;

	role_take(&on_export_prober);
	p->error = libusb_init(&ctx);
	if (p->error == 0) {
		p->error = look_in(ctx, p);
		libusb_exit(ctx);
	}
	role_drop(&on_export_prober);
	mailbox_post(p->monitor, &p->msg);
	return NULL;
}

struct probe *
probe_start(const struct policy *policy, const struct bus_ident *ident,
    struct mailbox *monitor)
{
	struct probe *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->msg.type = PROBE_DONE;
	p->monitor = monitor;
	p->policy = policy;
	p->ident = *ident;
	if (thread_start(&p->thread, "prober", prober_main, p) != 0) {
		free(p);
		return NULL;
	}
	return p;
}

void
probe_free(struct probe *p)
{
	thread_join(&p->thread);
	free((void *)p->desc.info);
	free(p);
}
