/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "usbload.h"

/* From open to close, many times; with the device lost in between; and in two
 * processes. */

#define LIMIT_MS 5000
#define SETTLED 20	   /* cycles after which nothing may grow any more */
#define GROWTH_KIB 4096	   /* what an allocator may want all the same */
#define STATUS_LOST 3

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED \
	(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

static long
rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- Many times ---- */

static void
attach_transfer(struct load *l)
{
	uint8_t *buf = malloc(l->o->size);
	int moved = 0;

	if (buf == NULL)
		fatal("out of memory");
	content_fill(buf, l->o->size, l->packet, l->o->content);
	expect(0, libusb_bulk_transfer(l->dev, l->out, buf, (int)l->o->size,
	    &moved, LIMIT_MS), "a write");
	expect((int)l->o->size, moved, "length of a write");
	expect(0, libusb_bulk_transfer(l->dev, EP_IN, buf, (int)l->o->size,
	    &moved, LIMIT_MS), "a read");
	expect((int)l->o->size, moved, "length of a read");
	free(buf);
}

/* With a context each, and several openings in one. */
static void
attach_once(const struct options *o, unsigned openings)
{
	struct load l;

	load_open(&l, o);
	while (--openings > 0) {
		attach_transfer(&l);
		expect(0, libusb_release_interface(l.dev, 0),
		    "release_interface");
		libusb_close(l.dev);
		expect(0, load_find_open(&l), "open again");
		expect(0, libusb_claim_interface(l.dev, 0), "claim_interface");
	}
	attach_transfer(&l);
	load_close(&l);
}

void
run_attach(const struct options *o)
{
	const struct moment since = clock_now();
	unsigned fds = 0, done = 0;
	long rss = 0;

	for (unsigned i = 0; done < o->count; i++) {
		const unsigned openings = 1 + i % 4;

		stage(o, "attach, transfer, detach");
		attach_once(o, openings);
		done += openings;
		if (i == SETTLED) {
			fds = open_fds();
			rss = rss_kib();
		}
	}
	rss = rss_kib() - rss;
	result("attach: %u cycles in %.2f s, memory grew by %ld KiB, %d "
	    "descriptors more", done,
	    (double)(clock_now().ns - since.ns) / 1e9, fds > 0 ? rss : 0,
	    fds > 0 ? (int)open_fds() - (int)fds : 0);
	if (fds > 0 && open_fds() != fds)
		fault("%u descriptors at the end, %u before", open_fds(), fds);
	if (fds > 0 && rss > GROWTH_KIB && !SANITIZED)
		fault("memory grew by %ld KiB", rss);
}

/* ---- The device is lost ---- */

struct wreck {
	struct load *l;
	unsigned ended;
	struct moment first;
	struct slot slots[DEPTH_MAX];
};

static void LIBUSB_CALL
wreck_done(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;
	struct wreck *w = s->mode;
	int rc;

	slot_landed(s);
	if (t->status == LIBUSB_TRANSFER_COMPLETED && w->ended == 0) {
		rc = slot_submit(s);
		if (rc == 0)
			return;
		expect(LIBUSB_ERROR_NO_DEVICE, rc, "submit_transfer");
	} else if (t->status != LIBUSB_TRANSFER_COMPLETED) {
		expect_status(LIBUSB_TRANSFER_NO_DEVICE, t,
		    "a transfer whose device is lost");
	}
	if (w->ended++ == 0)
		w->first = clock_now();
}

/* What can still be called, and answers that the device is gone. */
static void
wreck_after(struct wreck *w)
{
	struct load *l = w->l;
	uint8_t buf[64];
	int moved = 0, rc;
	struct slot s;

	stage(l->o, "calls after the loss");
	slot_init(&s, l, 0, sizeof buf);
	s.mode = w;
	slot_fill_bulk(&s, EP_IN, wreck_done, 0);
	rc = slot_submit(&s);
	if (rc != 0) /* it may also be taken, and end at once */
		expect(LIBUSB_ERROR_NO_DEVICE, rc, "submit_transfer");
	slots_wait(l, &s, 1, "a transfer after the loss");
	slot_fini(&s);
	expect(LIBUSB_ERROR_NO_DEVICE, libusb_bulk_transfer(l->dev, EP_IN, buf,
	    sizeof buf, &moved, LIMIT_MS), "bulk_transfer");
	expect(LIBUSB_ERROR_NO_DEVICE, libusb_control_transfer(l->dev, 0x80, 6,
	    0x100, 0, buf, 18, LIMIT_MS), "control_transfer");
	expect(LIBUSB_ERROR_NO_DEVICE, libusb_clear_halt(l->dev, EP_IN),
	    "clear_halt");
	libusb_release_interface(l->dev, 0);
	libusb_close(l->dev);
	stage(l->o, "exit after the loss");
	libusb_exit(l->ctx);
}

static void
wreck_sail(struct wreck *w)
{
	struct load *l = w->l;

	for (unsigned i = 0; i < l->o->depth; i++) {
		struct slot *s = &w->slots[i];

		slot_init(s, l, i, l->o->size);
		s->mode = w;
		content_fill(s->buffer, s->size, l->packet, l->o->content);
		slot_fill_bulk(s, i % 2 == 0 ? EP_IN : l->out, wreck_done, 0);
		expect(0, slot_submit(s), "submit_transfer");
	}
	result("running");
	stage(l->o, "transfers until the device is lost");
	while (w->ended < l->o->depth)
		load_events(l, 1000);
}

void
run_gone(const struct options *o)
{
	const unsigned fds = open_fds();
	struct wreck *w = calloc(1, sizeof *w);
	struct load l;

	if (w == NULL)
		fatal("out of memory");
	load_open(&l, o);
	w->l = &l;
	wreck_sail(w);
	result("gone: %u transfers ended with NO_DEVICE or before, within "
	    "%lld ms", w->ended,
	    (long long)moment_ms_between(w->first, clock_now()));
	for (unsigned i = 0; i < o->depth; i++)
		slot_fini(&w->slots[i]);
	wreck_after(w);
	if (open_fds() != fds)
		fault("%u descriptors at the end, %u before", open_fds(), fds);
	free(w);
}

/* ---- A whole short conversation, which may be cut anywhere ---- */

/* True to go on.  What a lost device may answer ends the conversation; any
 * other error is a fault. */
static bool
goes_on(int rc, bool *lost, const char *what)
{
	switch (rc) {
	case LIBUSB_ERROR_NO_DEVICE:
	case LIBUSB_ERROR_IO:
	case LIBUSB_ERROR_NOT_FOUND:
		*lost = true;
		return false;
	default:
		if (rc >= 0)
			return true;
		fault("%s: %s", what, libusb_error_name(rc));
		*lost = true;
		return false;
	}
}

static bool
once_bulk(struct load *l, uint8_t endpoint, bool *lost)
{
	uint8_t buf[1024];
	int moved = 0, rc;

	content_fill(buf, sizeof buf, l->packet, l->o->content);
	rc = libusb_bulk_transfer(l->dev, endpoint, buf, sizeof buf, &moved,
	    LIMIT_MS);
	if (rc == 0 && endpoint == EP_IN && content_wrong(buf, (size_t)moved,
		l->packet, l->o->content) < (size_t)moved)
		fault("wrong bytes");
	return goes_on(rc, lost, "bulk_transfer");
}

static void
once_talk(struct load *l, bool *lost)
{
	struct libusb_config_descriptor *config = NULL;
	uint8_t buf[64];

	if (!goes_on(libusb_get_config_descriptor(libusb_get_device(l->dev), 0,
		&config), lost, "get_config_descriptor"))
		return;
	if (config->bNumInterfaces != 1)
		fault("%u interfaces", config->bNumInterfaces);
	libusb_free_config_descriptor(config);
	if (!goes_on(libusb_claim_interface(l->dev, 0), lost,
		"claim_interface") ||
	    !goes_on(libusb_get_string_descriptor_ascii(l->dev, 2, buf,
		sizeof buf), lost, "get_string_descriptor_ascii") ||
	    !goes_on(libusb_set_interface_alt_setting(l->dev, 0, 1), lost,
		"set_interface_alt_setting") ||
	    !goes_on(libusb_control_transfer(l->dev, 0x40, REQUEST_WRITE, 0, 0,
		buf, sizeof buf, LIMIT_MS), lost, "control_transfer out") ||
	    !goes_on(libusb_control_transfer(l->dev, 0xc0, REQUEST_READ, 0, 0,
		buf, sizeof buf, LIMIT_MS), lost, "control_transfer in") ||
	    !once_bulk(l, l->out, lost) || !once_bulk(l, EP_IN, lost))
		return;
	goes_on(libusb_clear_halt(l->dev, EP_IN), lost, "clear_halt");
	libusb_release_interface(l->dev, 0);
}

void
run_once(const struct options *o)
{
	const unsigned fds = open_fds();
	struct load l = { .o = o };
	bool lost = false;

	stage(o, "a conversation");
	/* A server that cannot be reached has no devices. */
	if (goes_on(libusb_init(&l.ctx), &lost, "libusb_init")) {
		if (goes_on(load_find_open(&l), &lost, "open"))
			once_talk(&l, &lost);
		if (l.dev != NULL)
			libusb_close(l.dev);
		libusb_exit(l.ctx);
	}
	if (open_fds() != fds)
		fault("%u descriptors at the end, %u before", open_fds(), fds);
	result("once: %s", lost ? "the device was lost" : "well");
	if (lost && fault_count() == 0)
		exit(STATUS_LOST);
}

/* ---- Two processes ---- */

/* The child of a process that has a context and a device: it begins anew, and
 * what it does or leaves undone is nothing to its parent. */
static int
child_main(const struct options *o)
{
	struct options second = *o;
	struct load l;

	stage(o, "the child at the second device");
	second.nth = o->nth + 1;
	load_open(&l, &second);
	for (unsigned i = 0; i < o->count; i++)
		attach_transfer(&l);
	if (o->count % 2 == 0)
		load_close(&l);
	fflush(stdout);
	return fault_count() > 0;
}

void
run_fork(const struct options *o)
{
	struct load l;
	int status = -1;
	pid_t child;

	load_open(&l, o);
	for (unsigned round = 0; round < 4; round++) {
		struct options mine = *o;

		mine.count = o->count / 4 + round % 2;
		stage(o, "a child at the second device");
		attach_transfer(&l);
		child = fork();
		if (child == 0)
			_exit(child_main(&mine));
		if (child < 0)
			fatal("fork failed");
		for (unsigned i = 0; i < mine.count; i++)
			attach_transfer(&l);
		if (waitpid(child, &status, 0) != child || status != 0)
			fault("the child ended with status 0x%x", status);
		attach_transfer(&l);
	}
	load_close(&l);
	result("fork: 4 children beside their parent");
}
