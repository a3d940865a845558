/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How long the drop-in libusb waits for a server. */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sock.h"
#include "unit.h"
#include "usbnet_rig.h"

static struct usbnet_rig r;
static struct usbnet_transfer x;

/* ---- Silence ---- */

/* One that falls silent with a transfer in its hands, which is asked back:
 * `timeout_ms`, or by a cancel if that is 0. */
static void
expect_end_in_silence(unsigned timeout_ms)
{
	static struct usbnet_transfer y;
	const struct moment begin = clock_now();

	setenv("USBNET_TIMEOUT", "300", 1);
	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, timeout_ms);
	usbnet_transfer_init(&y, &r, EP_IN(RIG_HELD), 100, 0);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	ck_assert_int_eq(libusb_submit_transfer(y.t), 0);
	rig_await(&r.dev, &r.dev.held.count, 2);
	/* The server's thread waits for this, too. */
	pthread_mutex_lock(&r.dev.lock);
	if (timeout_ms == 0)
		ck_assert_int_eq(libusb_cancel_transfer(x.t), 0);
	usbnet_await(&r, &x, 1);
	usbnet_await(&r, &y, 1);
	ck_assert_int_eq(x.t->status, LIBUSB_TRANSFER_NO_DEVICE);
	ck_assert_int_eq(y.t->status, LIBUSB_TRANSFER_NO_DEVICE);
	ck_assert_int_ge(moment_ms_between(begin, clock_now()), 300);
	pthread_mutex_unlock(&r.dev.lock);
	usbnet_transfer_fini(&x);
	usbnet_transfer_fini(&y);
	usbnet_close(&r);
}

START_TEST(time_runs_out_in_silence)
{
	expect_end_in_silence(50);
}
END_TEST

START_TEST(cancelled_in_silence)
{
	expect_end_in_silence(0);
}
END_TEST

/* ---- A slow line to the server ---- */

#define SLOW_BYTES 32768 /* so many at a time... */
#define SLOW_MS 20       /* ...and then a rest */
#define LOADS 48

/* One direction of a connection. */
struct way {
	int from, to;
	bool slow;
};

static void *
carry(void *arg)
{
	struct way *w = arg;
	char bytes[SLOW_BYTES];
	ssize_t n;

	while ((n = recv(w->from, bytes, sizeof bytes, 0)) > 0) {
		for (ssize_t at = 0, m; at < n; at += m) {
			m = send(w->to, bytes + at, (size_t)(n - at),
			    MSG_NOSIGNAL);
			if (m < 0)
				return NULL;
		}
		if (w->slow && n == sizeof bytes)
			poll(NULL, 0, SLOW_MS);
	}
	shutdown(w->to, SHUT_WR);
	return NULL;
}

static void
start_carrier(struct way *w, int from, int to, bool slow)
{
	pthread_t thread;

	*w = (struct way){ from, to, slow };
	RIG_EQ(pthread_create(&thread, NULL, carry, w), 0);
	RIG_EQ(pthread_detach(thread), 0);
}

/* Accepts connections, until the test ends. */
static void *
be_the_line(void *arg)
{
	static struct way ways[32];
	const int *listener = arg;

	for (int i = 0; i < UNIT_COUNT(ways); i += 2) {
		const int client = accept(*listener, NULL, NULL);
		const int server = rig_connect(&r.server);

		RIG_CHECK(client >= 0, "no connection");
		start_carrier(&ways[i], client, server, true);
		start_carrier(&ways[i + 1], server, client, false);
	}
	return NULL;
}

static void
open_over_slow_line(void)
{
	static int listener;
	struct sock_addr addr;
	struct cause why;
	pthread_t thread;
	char text[80], *path = text + strlen("unix:");

	usbnet_serve(&r);
	snprintf(text, sizeof text, "unix:%s.slow", r.server.path);
	ck_assert_int_eq(sock_addr_parse(&addr, path, NULL, &why), 0);
	listener = sock_listen(&addr, 0600, 16, &why);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, be_the_line, &listener),
	    0);
	pthread_detach(thread);
	usbnet_set_servers(text);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	r.h = libusb_open_device_with_vid_pid(r.ctx, USBNET_VENDOR,
	    USBNET_PRODUCT);
	ck_assert_ptr_nonnull(r.h);
	ck_assert_int_eq(libusb_claim_interface(r.h, 0), 0);
	unlink(path);
}

/* What stands behind much data is late; the device is not lost for that. */
START_TEST(a_long_line_is_no_silence)
{
	static struct usbnet_transfer loads[LOADS];
	int rc;

	setenv("USBNET_TIMEOUT", "300", 1);
	open_over_slow_line();
	for (int i = 0; i < LOADS; i++) {
		usbnet_transfer_init(&loads[i], &r, EP_OUT(RIG_INSTANT),
		    sizeof loads[i].buffer, 0);
		ck_assert_int_eq(libusb_submit_transfer(loads[i].t), 0);
	}
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 10);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	rc = libusb_clear_halt(r.h, EP_IN(1));
	ck_assert(rc == 0 || rc == LIBUSB_ERROR_TIMEOUT);
	for (int i = 0; i < LOADS; i++) {
		usbnet_await(&r, &loads[i], 1);
		ck_assert_int_eq(loads[i].t->status,
		    LIBUSB_TRANSFER_COMPLETED);
		usbnet_transfer_fini(&loads[i]);
	}
	usbnet_await(&r, &x, 1);
	ck_assert_int_eq(x.t->status, LIBUSB_TRANSFER_TIMED_OUT);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet patience");
	TCase *silence = tcase_create("silence");
	TCase *slow = tcase_create("slow");

	tcase_set_timeout(silence, 2 * RIG_PATIENCE_S);
	tcase_add_test(silence, time_runs_out_in_silence);
	tcase_add_test(silence, cancelled_in_silence);
	suite_add_tcase(s, silence);
	tcase_set_timeout(slow, 2 * RIG_PATIENCE_S);
	tcase_add_test(slow, a_long_line_is_no_silence);
	suite_add_tcase(s, slow);
	return unit_run(s);
}
