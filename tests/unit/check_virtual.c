/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The module of virtual devices, as usbnet's libusb has it: usbnet/virtual.h. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "actor/mailbox.h"
#include "base/clock.h"
#include "unit.h"
#include "usbnet/virtual.h"

#define PATIENCE_MS 20000

extern const struct virtual_ops usbnet_virtual;
static const struct virtual_ops *const v = &usbnet_virtual;
static struct waker *waker;

struct transfer {
	struct importer_urb urb; /* first */
	unsigned ended;
	uint8_t bytes[512];
};

static void
on_complete(struct importer_urb *urb)
{
	((struct transfer *)urb)->ended++;
}

static void
prepare(struct transfer *t, uint8_t endpoint, uint32_t length)
{
	memset(t, 0, sizeof *t);
	t->urb.endpoint = endpoint;
	t->urb.buffer = t->bytes;
	t->urb.length = length;
	t->urb.complete = on_complete;
}

static void
begin(const char *devices)
{
	struct cause why;

	setenv("USBNET_VIRTUAL", devices, 1);
	waker = waker_new();
	ck_assert_ptr_nonnull(waker);
	ck_assert_msg(v->enter(waker, &why) == 0, "%s", why.text);
}

static void
finish(void)
{
	v->leave(waker);
	waker_put(waker);
}

/* Each sleep ends by a wake-up, as ready() has promised. */
static void
await(struct virtual_open *o, const struct transfer *t)
{
	while (t->ended == 0) {
		if (!v->ready(o))
			ck_assert(waker_wait(waker, PATIENCE_MS));
		v->work(o);
	}
	ck_assert_uint_eq(t->ended, 1);
}

static struct virtual_open *
open_first(void)
{
	size_t count;
	struct usbip_device_entry *list = v->list(&count);
	struct virtual_open *o;

	ck_assert_uint_ge(count, 1);
	o = v->open(&list[0], waker);
	ck_assert_ptr_nonnull(o);
	free(list);
	return o;
}

static void
close_it(struct virtual_open *o)
{
	v->abort(o);
	v->free(o);
}

START_TEST(descriptions)
{
	struct cause why;

	ck_assert_int_eq(v->check("phone=3,window=65536 hid", &why), 0);
	ck_assert_int_eq(v->check("phone=0", &why), -1);
	ck_assert_int_eq(v->check("phone=2000", &why), -1);
	ck_assert_int_eq(v->check("sourcesink=2,serial=x", &why), -1);
	ck_assert_str_eq(why.text,
	    "two devices would have the serial number x");
}
END_TEST

/* More than a bus has addresses for: each has a place of its own. */
START_TEST(places)
{
	struct usbip_device_entry *list;
	uint8_t *info;
	size_t count, len;

	begin("phone=256 hid");
	list = v->list(&count);
	ck_assert_uint_eq(count, 257);
	for (size_t i = 1; i < count; i++)
		ck_assert_int_ne(strcmp(list[i].busid, list[i - 1].busid), 0);
	ck_assert_uint_eq(list[256].bus, 1 + 256 / 7);
	ck_assert_uint_eq(list[0].configuration, 1);
	ck_assert(v->info(list[256].busid, &info, &len));
	ck_assert_uint_gt(len, 18);
	free(info);
	ck_assert(!v->info("1-8", &info, &len));
	free(list);
	finish();
}
END_TEST

START_TEST(transfers)
{
	struct virtual_open *o;
	struct transfer request, read;

	begin("sourcesink,pattern=1");
	o = open_first();
	ck_assert_uint_eq(v->configuration(o), 1);
	prepare(&request, 0, 18);
	memcpy(request.urb.setup, "\x80\x06\x00\x01\x00\x00\x12", 8);
	v->submit(o, &request.urb);
	await(o, &request);
	ck_assert_int_eq(request.urb.status, USBIP_OK);
	ck_assert_uint_eq(request.urb.actual, 18);
	ck_assert_uint_eq(request.bytes[1], 1);
	for (int i = 0; i < 100; i++) {
		prepare(&read, 0x81, 512);
		v->submit(o, &read.urb);
		await(o, &read);
		ck_assert_uint_eq(read.urb.actual, 512);
		ck_assert_uint_eq(read.bytes[64], 64 % 63);
	}
	ck_assert_uint_eq(v->moved(o), 101);
	close_it(o);
	finish();
}
END_TEST

/* One that waits is given back; asking twice, or late, does no harm. */
START_TEST(taken_back)
{
	struct virtual_open *o;
	struct transfer read, write;

	begin("sourcesink,loop");
	o = open_first();
	prepare(&read, 0x81, 512);
	v->submit(o, &read.urb);
	v->unlink(o, &read.urb);
	v->unlink(o, &read.urb);
	await(o, &read);
	ck_assert_int_eq(read.urb.status, USBIP_ECONNRESET);
	for (int i = 0; i < 1000; i++) {
		prepare(&write, 0x01, 8);
		prepare(&read, 0x81, 512);
		v->submit(o, &write.urb);
		v->submit(o, &read.urb);
		v->unlink(o, &write.urb);
		await(o, &write);
		if (write.urb.status != USBIP_OK)
			v->unlink(o, &read.urb);
		await(o, &read);
	}
	close_it(o);
	finish();
}
END_TEST

START_TEST(aborted)
{
	struct virtual_open *o, *other;
	struct transfer read[8], mine;

	begin("sourcesink,loop");
	o = open_first();
	other = open_first();
	prepare(&mine, 0x81, 512);
	v->submit(other, &mine.urb);
	for (int i = 0; i < 8; i++) {
		prepare(&read[i], 0x81, 512);
		v->submit(o, &read[i].urb);
	}
	close_it(o);
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_eq(read[i].ended, 1);
		ck_assert_int_eq(read[i].urb.status, USBIP_ESHUTDOWN);
	}
	v->work(other);
	ck_assert_uint_eq(mine.ended, 0);
	close_it(other);
	ck_assert_int_eq(mine.urb.status, USBIP_ESHUTDOWN);
	finish();
}
END_TEST

/* A phone that is told to change its mode leaves by itself, and comes back as
 * another device; who had it open hears of that after the end of all it had. */
START_TEST(leaves_and_comes_back)
{
	struct usbip_device_entry *before, *after = NULL;
	struct virtual_open *o;
	struct transfer request, read;
	uint32_t generation;
	size_t count;

	begin("phone");
	before = v->list(&count);
	generation = v->generation();
	o = open_first();
	prepare(&read, 0x81, 512);
	v->submit(o, &read.urb);
	prepare(&request, 0, 1);
	memcpy(request.urb.setup, "\xc0\x52\x00\x00\x02\x00\x01", 8);
	v->submit(o, &request.urb);
	await(o, &request);
	ck_assert_int_eq(request.urb.status, USBIP_OK);
	while (v->work(o))
		if (!v->ready(o))
			ck_assert(waker_wait(waker, PATIENCE_MS));
	ck_assert_uint_eq(read.ended, 1);
	close_it(o);
	do {
		free(after);
		after = v->list(&count);
		if (count == 0)
			ck_assert(waker_wait(waker, PATIENCE_MS));
	} while (count == 0);
	ck_assert_uint_ne(v->generation(), generation);
	ck_assert_uint_ne(after[0].address, before[0].address);
	ck_assert_ptr_null(v->open(&before[0], waker));
	free(before);
	free(after);
	finish();
}
END_TEST

#ifdef __linux__

/* The policy of the thread in that directory of /proc if it has that name; -1. */
static int
policy_of(const char *tid, const char *name)
{
	char path[300], line[32] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%s/comm", tid);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	if (fgets(line, sizeof line, f) == NULL)
		line[0] = '\0';
	fclose(f);
	return strcmp(line, name) == 0
	    ? (int)syscall(SYS_sched_getscheduler, atoi(tid))
	    : -1;
}

static void *
begin_usually(void *unused)
{
	(void)unused;
	begin("sourcesink");
	return NULL;
}

/* As whoever has started the program may have chosen. */
static void *
begin_idly(void *unused)
{
	const struct sched_param none = { .sched_priority = 0 };

	(void)unused;
	ck_assert_int_eq(syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &none),
	    0);
	begin("sourcesink");
	return NULL;
}

static const struct {
	void *(*begin)(void *);
	int policy;
} policies[] = { { begin_usually, SCHED_BATCH }, { begin_idly, SCHED_IDLE } };

/* Whoever submits goes on until he has no more. */
START_TEST(interrupts_nobody)
{
	pthread_t beginner;
	struct virtual_open *o;
	struct transfer read;
	struct dirent *entry;
	int policy = -1;
	DIR *tasks;

	ck_assert_int_eq(pthread_create(&beginner, NULL, policies[_i].begin,
	    NULL), 0);
	pthread_join(beginner, NULL);
	o = open_first();
	prepare(&read, 0x81, 512);
	v->submit(o, &read.urb);
	await(o, &read); /* so the thread is at work */
	tasks = opendir("/proc/self/task");
	ck_assert_ptr_nonnull(tasks);
	while (policy == -1 && (entry = readdir(tasks)) != NULL)
		policy = policy_of(entry->d_name, "virtual-0\n");
	closedir(tasks);
	ck_assert_int_eq(policy, policies[_i].policy);
	close_it(o);
	finish();
}
END_TEST

#endif

int
main(void)
{
	Suite *s = suite_create("virtual");
	TCase *t = tcase_create("module");

	tcase_add_test(t, descriptions);
	tcase_add_test(t, places);
	tcase_add_test(t, transfers);
	tcase_add_test(t, taken_back);
	tcase_add_test(t, aborted);
	tcase_add_test(t, leaves_and_comes_back);
#ifdef __linux__
	tcase_add_loop_test(t, interrupts_nobody, 0, 2);
#endif
	suite_add_tcase(s, t);
	return unit_run(s);
}
