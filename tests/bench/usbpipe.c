/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <libusb.h>

#include "base/clock.h"

/*
 * What a device's bulk endpoint carries, through whichever libusb this is
 * started with:
 *
 *	usbpipe [-d VID:PID] [-q DEPTH] [-s SIZE] [-t SECONDS] in|out
 *
 * keeps DEPTH transfers of SIZE bytes in flight and prints MB/s.
 */

#define EP_IN 0x81
#define EP_OUT 0x01
#define DEPTH_MAX 256

struct pipe_state {
	struct moment until;
	unsigned flying;
	uint64_t bytes;
	bool failed;
};

static void
submit(struct pipe_state *p, struct libusb_transfer *t)
{
	const int rc = libusb_submit_transfer(t);

	if (rc == 0) {
		p->flying++;
		return;
	}
	fprintf(stderr, "usbpipe: submit_transfer: %s\n",
	    libusb_error_name(rc));
	p->failed = true;
}

static void LIBUSB_CALL
done(struct libusb_transfer *t)
{
	struct pipe_state *p = t->user_data;

	p->flying--;
	if (t->status != LIBUSB_TRANSFER_COMPLETED) {
		fprintf(stderr, "usbpipe: a transfer ended with status %d\n",
		    (int)t->status);
		p->failed = true;
		return;
	}
	p->bytes += (uint64_t)t->actual_length;
	if (!p->failed && moment_before(clock_now(), p->until))
		submit(p, t);
}

static int
run(libusb_context *ctx, libusb_device_handle *dev, uint8_t endpoint,
    unsigned depth, size_t size, double seconds)
{
	struct libusb_transfer *t[DEPTH_MAX];
	struct pipe_state p = { .flying = 0 };
	const struct moment since = clock_now();

	p.until = (struct moment){ since.ns + (int64_t)(seconds * 1e9) };
	for (unsigned i = 0; i < depth; i++) {
		t[i] = libusb_alloc_transfer(0);
		libusb_fill_bulk_transfer(t[i], dev, endpoint, calloc(1, size),
		    (int)size, done, &p, 0);
		submit(&p, t[i]);
	}
	while (p.flying > 0) {
		struct timeval tv = { .tv_sec = 10 };

		libusb_handle_events_timeout_completed(ctx, &tv, NULL);
	}
	printf("%.3f\n", (double)p.bytes / 1e6 /
	    ((double)(clock_now().ns - since.ns) / 1e9));
	for (unsigned i = 0; i < depth; i++) {
		free(t[i]->buffer);
		libusb_free_transfer(t[i]);
	}
	return p.failed || p.bytes == 0;
}

static int
usage(void)
{
	fprintf(stderr, "usage: usbpipe [-d VID:PID] [-q DEPTH] [-s SIZE] "
	    "[-t SECONDS] in|out\n");
	return 2;
}

int
main(int argc, char **argv)
{
	unsigned depth = 32, vendor = 0x0525, product = 0xa4a0;
	size_t size = 16384;
	double seconds = 1;
	libusb_context *ctx;
	libusb_device_handle *dev;
	int c, rc;

	while ((c = getopt(argc, argv, "d:q:s:t:")) != -1)
		switch (c) {
		case 'd':
			if (sscanf(optarg, "%x:%x", &vendor, &product) != 2)
				return usage();
			break;
		case 'q':
			depth = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			size = strtoul(optarg, NULL, 10);
			break;
		case 't':
			seconds = strtod(optarg, NULL);
			break;
		default:
			return usage();
		}
	if (optind + 1 != argc || depth < 1 || depth > DEPTH_MAX || size < 1)
		return usage();
	if (libusb_init(&ctx) != 0)
		return 1;
	dev = libusb_open_device_with_vid_pid(ctx, (uint16_t)vendor,
	    (uint16_t)product);
	if (dev == NULL || libusb_claim_interface(dev, 0) != 0) {
		fprintf(stderr, "usbpipe: no device %04x:%04x\n", vendor,
		    product);
		libusb_exit(ctx);
		return 1;
	}
	rc = run(ctx, dev, strcmp(argv[optind], "in") == 0 ? EP_IN : EP_OUT,
	    depth, size, seconds);
	libusb_release_interface(dev, 0);
	libusb_close(dev);
	libusb_exit(ctx);
	return rc;
}
