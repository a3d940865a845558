/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Phones of a USB/IP server: one of ours, and one of another make. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sock.h"
#include "unit.h"
#include "usb_watch.h"
#include "usbip_rig.h"
#include "usbip_stub.h"

static struct usb_watch watch;

static void
start(const char *address)
{
	struct cause why;
	struct usb_source *s = usb_source_usbip_new(address, &why);

	ck_assert_ptr_nonnull(s);
	ck_assert_ptr_nonnull(strstr(s->name, "usbip"));
	watch_start(&watch, s);
}

static void
end(void)
{
	/* Connecting may take 3 s, a list 5 s. */
	ck_assert_int_lt(watch_stop(&watch), 2000);
	ck_assert_int_eq(watch.rc, 0);
	watch.source->ops->free(watch.source);
}

/* ---- A server that pushes ---- */

START_TEST(pushed)
{
	struct rig_device first, second, other;
	const struct usb_ident *i;
	struct rig rig;

	rig_open(&rig);
	rig_device_init(&first, "3-1.4", 5);
	rig_device_init(&second, "3-2", 6);
	rig_device_init(&other, "3-3", 7);
	other.desc.device.vendor = 0x1234;
	rig_plug(&rig, &first);
	rig_plug(&rig, &other);
	start(rig.path);
	ck_assert_str_eq(watch_event(&watch, 0), "+3-1.4");
	i = watch_ident(&watch, "3-1.4");
	ck_assert_uint_eq(i->bus, 3);
	ck_assert_uint_eq(i->address, 5);
	ck_assert_uint_eq(i->vendor, 0x05ac);
	ck_assert_uint_eq(i->configurations, 4);
	ck_assert_int_eq(i->speed, USB_SPEED_HIGH);
	ck_assert_uint_eq(usb_location(i), 0x03140000);

	rig_plug(&rig, &second);
	ck_assert_str_eq(watch_event(&watch, 1), "+3-2");
	rig_unplug(&rig, &first);
	ck_assert_str_eq(watch_event(&watch, 2), "-3-1.4");
	/* Again in the same port, with another address, perhaps in the same
	 * list as its departure. */
	rig_unplug(&rig, &second);
	rig_device_fini(&second);
	rig_device_init(&second, "3-2", 9);
	rig_plug(&rig, &second);
	ck_assert_str_eq(watch_event(&watch, 3), "-3-2");
	ck_assert_str_eq(watch_event(&watch, 4), "+3-2");
	ck_assert_uint_eq(watch_ident(&watch, "3-2")->address, 9);
	ck_assert(watch_answers(&watch, 0));
	watch.source->ops->rescan(watch.source);
	ck_assert(watch_answers(&watch, 1));
	end();
	ck_assert_int_eq(watch.count, 5);
	rig_close(&rig);
	rig_device_fini(&first);
	rig_device_fini(&second);
	rig_device_fini(&other);
}
END_TEST

/* One that we have imported stays in the list, and leaves with the device. */
START_TEST(imported)
{
	struct rig_device device;
	struct transport *t;
	struct cause why;
	struct rig rig;

	rig_open(&rig);
	rig_device_init(&device, "3-1", 5);
	rig_plug(&rig, &device);
	start(rig.path);
	ck_assert_str_eq(watch_event(&watch, 0), "+3-1");
	ck_assert_int_eq(watch.source->ops->open(watch.source,
			     watch_ident(&watch, "3-1"), &t, &why), USB_OK);
	rig_unplug(&rig, &device);
	ck_assert_str_eq(watch_event(&watch, 1), "-3-1");
	t->ops->stop(t);
	t->ops->free(t);
	end();
	rig_close(&rig);
	rig_device_fini(&device);
}
END_TEST

/* Listens on `path`, with `d` in it. */
static struct usbip_server *
serve(const char *path, struct rig_device *d)
{
	struct usbip_server *s;
	struct sock_addr addr;
	struct cause why;
	int fd;

	ck_assert_int_eq(sock_addr_parse(&addr, path, NULL, &why), 0);
	fd = sock_listen(&addr, 0600, 16, &why);
	ck_assert_msg(fd >= 0, "%s", why.text);
	s = usbip_server_new(&why);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(usbip_server_plug(s, &d->dev, &d->desc, &why), 0);
	ck_assert_int_eq(usbip_server_listen(s, fd, &why), 0);
	return s;
}

/* Away, back, away again: each is said once, and the phones go with it. */
START_TEST(away_and_back)
{
	char dir[] = "/tmp/source-XXXXXX", path[64];
	struct rig_device device;
	struct usbip_server *s;
	const char *seen[2];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/socket", dir);
	start(path);
	ck_assert_int_eq(watch_event(&watch, 0)[0], '!');
	ck_assert_ptr_nonnull(strstr(watch_event(&watch, 0), path));
	for (int round = 0; round < 2; round++) {
		rig_device_init(&device, "3-1", 5);
		s = serve(path, &device);
		ck_assert_str_eq(watch_event(&watch, 4 * round + 1), "!back");
		ck_assert_str_eq(watch_event(&watch, 4 * round + 2), "+3-1");
		usbip_server_free(s);
		/* It may push a last list before it closes, or not. */
		seen[0] = watch_event(&watch, 4 * round + 3);
		seen[1] = watch_event(&watch, 4 * round + 4);
		ck_assert((seen[0][0] == '!' && strcmp(seen[1], "-3-1") == 0) ||
		    (seen[1][0] == '!' && strcmp(seen[0], "-3-1") == 0));
		unlink(path);
		rig_device_fini(&device);
	}
	end();
	ck_assert_int_eq(watch.count, 9);
	rmdir(dir);
}
END_TEST

/* ---- A server of another make ---- */

START_TEST(polled)
{
	struct usbip_stub s;

	stub_open(&s);
	stub_set(&s, 0, "1-1", 3);
	start(s.address);
	ck_assert_str_eq(watch_event(&watch, 0), "+1-1");
	stub_set(&s, 1, "1-2", 4);
	ck_assert_str_eq(watch_event(&watch, 1), "+1-2");
	stub_set(&s, 0, NULL, 0);
	ck_assert(watch_answers(&watch, 0));
	watch.source->ops->rescan(watch.source); /* does not wait a second */
	ck_assert(watch_answers(&watch, 1));
	ck_assert_str_eq(watch_event(&watch, 2), "-1-1");
	end();
	ck_assert_int_eq(watch.count, 3);
	ck_assert_int_eq(s.watches, 1); /* asked once to push, then never */
	ck_assert_int_ge(s.lists, 3);
	stub_close(&s);
}
END_TEST

/* It leaves out what we have imported; that is no departure before we let go
 * of it. */
START_TEST(left_out)
{
	struct transport *t;
	struct usbip_stub s;
	struct moment before;
	struct cause why;

	stub_open(&s);
	stub_set(&s, 0, "1-1", 3);
	start(s.address);
	ck_assert_str_eq(watch_event(&watch, 0), "+1-1");
	ck_assert_int_eq(watch.source->ops->open(watch.source,
			     watch_ident(&watch, "1-1"), &t, &why), USB_OK);
	for (int i = 1; i < 4; i++) { /* lists without it */
		char busid[16];

		snprintf(busid, sizeof busid, "2-%d", i);
		stub_set(&s, i, busid, 1);
		watch.source->ops->rescan(watch.source);
		ck_assert_int_eq(watch_event(&watch, i)[0], '+');
	}
	/* Letting go makes it look again, without the second's pause. */
	before = clock_now();
	t->ops->stop(t);
	t->ops->free(t);
	ck_assert_str_eq(watch_event(&watch, 4), "-1-1");
	ck_assert_int_lt(moment_ms_between(before, clock_now()), 900);
	end();
	stub_close(&s);
}
END_TEST

START_TEST(odd_names)
{
	struct usbip_stub s;

	stub_open(&s);
	stub_set(&s, 0, "1-1\nerror: all is lost", 3);
	stub_set(&s, 1, "../..", 4);
	stub_set(&s, 2, "1 1", 5);
	stub_set(&s, 3, "2-1", 6);
	stub_set(&s, 4, "2-1", 7); /* twice */
	stub_set(&s, 5, "%s%n", 8);
	stub_set(&s, 6, "end", 9);
	start(s.address);
	ck_assert_str_eq(watch_event(&watch, 0), "+2-1");
	ck_assert_str_eq(watch_event(&watch, 1), "+end");
	watch.source->ops->rescan(watch.source);
	stub_set(&s, 7, "last", 9);
	watch.source->ops->rescan(watch.source);
	ck_assert_str_eq(watch_event(&watch, 2), "+last");
	ck_assert_uint_eq(watch_ident(&watch, "2-1")->address, 6);
	end();
	ck_assert_int_eq(watch.count, 3);
	stub_close(&s);
}
END_TEST

/* ---- Ending ---- */

/* Quitting does not wait for a server that says nothing. */
START_TEST(silent_server)
{
	struct usbip_stub s;

	stub_open(&s);
	s.mute = true;
	start(s.address);
	stub_import(&s, 0); /* it has connected */
	end();
	stub_close(&s);
}
END_TEST

/* Nor for one that does not even accept. */
START_TEST(full_server)
{
	char address[32];
	struct sock_addr addr;
	struct cause why;
	int fd, fillers[8];

	ck_assert_int_eq(sock_addr_parse(&addr, "127.0.0.1:0", NULL, &why), 0);
	fd = sock_listen(&addr, 0, 0, &why);
	ck_assert_int_ge(fd, 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", sock_local_port(fd));
	ck_assert_int_eq(sock_addr_parse(&addr, address, NULL, &why), 0);
	for (int i = 0; i < 8; i++)
		fillers[i] = sock_connect(&addr, 20, &why);
	ck_assert_int_lt(fillers[7], 0); /* so the next one has to wait */
	start(address);
	poll(NULL, 0, 50); /* most likely it does so now */
	end();
	for (int i = 0; i < 8; i++)
		if (fillers[i] >= 0)
			close(fillers[i]);
	close(fd);
}
END_TEST

START_TEST(bad_address)
{
	struct cause why = { "" };

	ck_assert_ptr_null(usb_source_usbip_new("host:port", &why));
	ck_assert_str_ne(why.text, "");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbip_source");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, pushed);
	tcase_add_test(tc, imported);
	tcase_add_test(tc, away_and_back);
	tcase_add_test(tc, polled);
	tcase_add_test(tc, left_out);
	tcase_add_test(tc, odd_names);
	tcase_add_test(tc, silent_server);
	tcase_add_test(tc, full_server);
	tcase_add_test(tc, bad_address);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
