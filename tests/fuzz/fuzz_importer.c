/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sock.h"
#include "usbip/importer.h"

/*
 * What a hostile server answers to an importer with URBs of every kind in
 * flight (seqnums 1 to 8, the last two taken back).  The first byte says how
 * large the pieces are in which the rest arrives.
 */

#define INPUT_MAX 65536 /* fits into a socket's buffer */
#define URBS 8
#define GUARD 0xa5

static struct urb {
	struct importer_urb urb; /* first */
	int done;
	uint8_t bytes[2048 + 16]; /* the end of it must stay as it is */
	struct usbip_iso iso[4];
	uint8_t iso_bytes[4 * USBIP_ISO_SIZE];
} urbs[URBS];

static struct importer imp;

static void
note_done(struct importer_urb *u)
{
	MUST(u->actual <= u->length);
	((struct urb *)u)->done++;
}

static void
submit(int i, uint8_t endpoint, uint32_t length)
{
	struct urb *u = &urbs[i];
	struct importer_urb *const one[] = { &u->urb };

	memset(u, 0, sizeof *u);
	memset(u->bytes, GUARD, sizeof u->bytes);
	u->urb.endpoint = endpoint;
	u->urb.buffer = u->bytes;
	u->urb.length = length;
	u->urb.complete = note_done;
	if (endpoint == 0)
		u->urb.setup[0] = 0x80;
	if ((endpoint & 0xf) == 5) {
		u->urb.iso = u->iso;
		u->urb.iso_bytes = u->iso_bytes;
		u->urb.iso_count = 4;
		for (uint32_t k = 0; k < 4; k++)
			u->iso[k] = (struct usbip_iso){
				.offset = k * length / 4, .length = length / 4 };
	}
	MUST(importer_submit(&imp, one, 1, false));
}

static void
submit_all(void)
{
	submit(0, 0x00, 18);
	submit(1, 0x81, 2048);
	submit(2, 0x81, 512);
	submit(3, 0x02, 64);
	submit(4, 0x02, 0);
	submit(5, 0x85, 400);
	submit(6, 0x05, 400);
	submit(7, 0x81, 100);
	importer_unlink(&imp, &urbs[6].urb);
	importer_unlink(&imp, &urbs[7].urb);
}

static void
check(void)
{
	for (int i = 0; i < URBS; i++) {
		const struct urb *u = &urbs[i];

		MUST(u->done == 1);
		for (size_t k = u->urb.length; k < sizeof u->bytes; k++)
			MUST(u->bytes[k] == GUARD);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct waker *waker;
	size_t piece;
	bool good = true;
	int fds[2];

	if (len == 0 || len > INPUT_MAX)
		return 0;
	piece = bytes[0] == 0 ? len : bytes[0];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	waker = waker_new_polled();
	MUST(waker != NULL);
	importer_init(&imp, fds[0], 0x30005, waker);
	submit_all();
	for (size_t at = 1; at < len && good; at += piece) {
		const size_t n = len - at < piece ? len - at : piece;

		MUST(sock_send_all(fds[1], bytes + at, n) == 0);
		do
			good = importer_work(&imp);
		while (good && importer_is_ready(&imp));
	}
	importer_abort(&imp);
	check();
	importer_fini(&imp);
	waker_put(waker);
	close(fds[1]);
	return 0;
}
