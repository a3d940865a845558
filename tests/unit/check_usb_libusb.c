/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A local device as a transport, over a libusb without USB. */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fake_libusb.h"
#include "unit.h"
#include "usb_local_rig.h"
#include "usb_trees.h"

/* Reads what is to come; its first byte, and -1 when nothing does. */
static int
read_byte(uint32_t len)
{
	struct chunk *c = NULL;
	const int n = t->ops->read(t, &c, 1000);
	int byte = -1;

	if (n == 1) {
		ck_assert_uint_eq(c->offset, 0);
		ck_assert_uint_eq(c->len, len);
		byte = len > 0 ? c->data[0] : 0;
		chunk_put(c);
	}
	return byte;
}

/* Handles events until `n` frames are done. */
static void
drain(_Atomic int *finished, int n)
{
	const struct moment until = moment_after_ms(clock_now(), 5000);
	struct chunk *c;

	while (atomic_load(finished) < n &&
	    moment_before(clock_now(), until))
		ck_assert_int_eq(t->ops->read(t, &c, 10), 0);
	ck_assert_int_eq(atomic_load(finished), n);
}

/* ---- Reading ---- */

START_TEST(reads_in_order)
{
	local_rig_start();
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight),
	    LOCAL_READS);
	for (int i = 0; i < 100; i++)
		fake_send(device, (uint8_t)i, i % 3 == 2 ? CHUNK_SIZE : 100);
	fake_send(device, 0, 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(read_byte(i % 3 == 2 ? CHUNK_SIZE : 100), i);
	ck_assert_int_eq(read_byte(0), 0);
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight),
	    LOCAL_READS);
	local_rig_finish();
}
END_TEST

START_TEST(read_waits_no_longer)
{
	const struct moment before = clock_now();
	struct chunk *c;

	local_rig_start();
	ck_assert_int_eq(t->ops->read(t, &c, 0), 0);
	ck_assert_int_eq(t->ops->read(t, &c, 50), 0);
	ck_assert_int_ge(moment_ms_between(before, clock_now()), 50);
	ck_assert_int_lt(moment_ms_between(before, clock_now()), 5000);
	local_rig_finish();
}
END_TEST

/* What came before the stall is delivered, the stall told once, and reading
 * goes on. */
START_TEST(stall)
{
	struct chunk *c;

	local_rig_start();
	fake_send(device, 1, 10);
	fake_send_status(device, LIBUSB_TRANSFER_STALL);
	fake_send(device, 2, 10);
	ck_assert_int_eq(read_byte(10), 1);
	t->stalled_pipe = USB_PIPES;
	ck_assert_int_eq(t->ops->read(t, &c, 1000), USB_ERROR_STALL);
	ck_assert_int_eq(t->stalled_pipe, USB_PIPE_BULK);
	ck_assert_int_eq(fake_counts().clear_halts, 1);
	ck_assert_int_eq(read_byte(10), 2);
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight),
	    LOCAL_READS);
	local_rig_finish();
}
END_TEST

/* That of the interrupt endpoint: the bulk endpoint's reads stay in flight. */
START_TEST(stall_of_events)
{
	struct usb_pipes pipes = local_rig_pipes;
	struct chunk *c;

	pipes.interrupt_in = 0x83;
	pipes.interrupt_in_packet = 64;
	ck_assert_int_eq(t->ops->start(t, &pipes, &pool), USB_OK);
	for (int i = 1; i <= 3; i++) {
		ck_assert(fake_finish(device, 0x83, 0, 10));
		ck_assert(fake_finish(device, 0x83, LIBUSB_TRANSFER_STALL, 0));
		ck_assert_int_eq(t->ops->read(t, &c, 1000), 1);
		ck_assert_uint_eq(c->pipe, USB_PIPE_INTERRUPT);
		chunk_put(c);
		fake_send(device, 1, 10); /* meanwhile */
		ck_assert_int_eq(read_byte(10), 1);
		t->stalled_pipe = USB_PIPES;
		ck_assert_int_eq(t->ops->read(t, &c, 1000), USB_ERROR_STALL);
		ck_assert_int_eq(t->stalled_pipe, USB_PIPE_INTERRUPT);
		ck_assert_int_eq(fake_counts().clear_halts, i);
		ck_assert_uint_eq(atomic_load(&t->reads_in_flight),
		    LOCAL_READS);
		ck_assert_int_eq(t->ops->read(t, &c, 20), 0);
	}
	fake_send(device, 1, 10);
	ck_assert_int_eq(read_byte(10), 1);
	local_rig_finish();
}
END_TEST

START_TEST(read_errors)
{
	static const struct {
		int status, error;
	} cases[] = {
		{ LIBUSB_TRANSFER_ERROR, USB_ERROR_IO },
		{ LIBUSB_TRANSFER_OVERFLOW, USB_ERROR_OVERFLOW },
		/* It is there all the same. */
		{ LIBUSB_TRANSFER_NO_DEVICE, USB_ERROR_TAKEN },
	};
	struct chunk *c;

	local_rig_start();
	fake_send(device, 1, 10);
	fake_send_status(device, cases[_i].status);
	ck_assert_int_eq(read_byte(10), 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(t->ops->read(t, &c, 1000), cases[_i].error);
	local_rig_finish();
}
END_TEST

/* Memory for two reads, then for none, then for all. */
START_TEST(short_of_memory)
{
	struct chunk *c;

	fake_set_memory(2 * CHUNK_SIZE);
	local_rig_start();
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight), 2);
	fake_send(device, 1, 10);
	ck_assert_int_eq(read_byte(10), 1);
	fake_set_memory(0);
	fake_send(device, 2, 10);
	fake_send(device, 3, 10);
	ck_assert_int_eq(read_byte(10), 2);
	ck_assert_int_eq(read_byte(10), 3);
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight), 0);
	ck_assert_int_eq(t->ops->read(t, &c, 30), 0);
	fake_set_memory(-1);
	fake_send(device, 4, 10);
	ck_assert_int_eq(read_byte(10), 4);
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight),
	    LOCAL_READS);
	local_rig_finish();
}
END_TEST

/* ---- Writing ---- */

START_TEST(zero_length_packets)
{
	struct fake_written *w;
	struct frame f[3];
	_Atomic int finished = 0;

	local_rig_start();
	for (int i = 0; i < 3; i++) {
		local_rig_frame(&f[i], (uint32_t)i, 32, i == 1);
		f[i].finished = &finished;
		t->ops->write(t, &f[i].tx);
	}
	drain(&finished, 3);
	ck_assert_int_eq(fake_written(device, &w), 4);
	ck_assert_int_eq(w[0].length, 32);
	ck_assert_int_eq(w[1].length, 32);
	ck_assert_int_eq(w[2].length, 0);
	ck_assert_int_eq(w[3].length, 32);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(f[i].done, 1);
		ck_assert_int_eq(f[i].error, USB_OK);
	}
	ck_assert_uint_eq(atomic_load(&t->writes_in_flight), 0);
	local_rig_finish();
}
END_TEST

/* Done is said after the empty packet, not after the data. */
START_TEST(done_after_both)
{
	_Atomic int finished = 0;
	struct frame f;
	struct chunk *c;

	local_rig_start();
	fake_hold(device, true);
	local_rig_frame(&f, 1, 32, true);
	f.finished = &finished;
	t->ops->write(t, &f.tx);
	ck_assert_int_eq(t->ops->read(t, &c, 20), 0);
	ck_assert_int_eq(f.done, 0);
	ck_assert_uint_eq(atomic_load(&t->writes_in_flight), 1);
	fake_hold(device, false);
	drain(&finished, 1);
	local_rig_finish();
}
END_TEST

START_TEST(write_error_is_final)
{
	struct chunk *c;
	struct frame f[2];

	local_rig_start();
	fake_fail_write(device, LIBUSB_TRANSFER_STALL);
	local_rig_frame(&f[0], 1, 32, false);
	t->ops->write(t, &f[0].tx);
	ck_assert_int_eq(t->ops->read(t, &c, 1000), USB_ERROR_IO);
	ck_assert_int_eq(f[0].done, 1);
	ck_assert_int_eq(f[0].error, USB_ERROR_STALL);
	local_rig_frame(&f[1], 2, 32, true);
	t->ops->write(t, &f[1].tx);
	ck_assert_int_eq(f[1].error, USB_ERROR_GONE);
	local_rig_finish();
}
END_TEST

#define MANY 20000

static void *
write_many(void *arg)
{
	struct frame *f = arg;

	for (int i = 0; i < MANY; i++)
		t->ops->write(t, &f[i].tx);
	return NULL;
}

/* A writer beside a reader, while memory comes and goes: the order holds, with
 * every empty packet behind its frame, and every frame is done once. */
START_TEST(many_frames)
{
	struct frame *f = calloc(MANY, sizeof *f);
	_Atomic int finished = 0;
	struct fake_written *w;
	struct chunk *c;
	pthread_t writer;
	int n, at = 0, round = 0;

	ck_assert_ptr_nonnull(f);
	local_rig_start();
	for (int i = 0; i < MANY; i++) {
		local_rig_frame(&f[i], (uint32_t)i, 40, i % 3 == 0);
		f[i].finished = &finished;
	}
	ck_assert_int_eq(pthread_create(&writer, NULL, write_many, f), 0);
	while (atomic_load(&finished) < MANY) {
		fake_set_memory(round++ % 4 == 0 ? 4 * CHUNK_SIZE + 100 : -1);
		ck_assert_int_eq(t->ops->read(t, &c, 1), 0);
	}
	pthread_join(writer, NULL);
	n = fake_written(device, &w);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(w[at].length, 40);
		ck_assert_uint_eq(w[at++].number, i);
		if (i % 3 == 0)
			ck_assert_int_eq(w[at++].length, 0);
		ck_assert_int_eq(f[i].done, 1);
		ck_assert_int_eq(f[i].error, USB_OK);
	}
	ck_assert_int_eq(at, n);
	local_rig_finish();
	free(f);
}
END_TEST

/* ---- Interrupts and ends ---- */

static _Atomic int asked, answered;

static void *
interrupt_often(void *arg)
{
	(void)arg;
	for (int i = 1; i <= 5000; i++) {
		atomic_store(&asked, i);
		t->ops->interrupt(t);
		while (atomic_load(&answered) < i)
			sched_yield();
	}
	return NULL;
}

/* Each interrupt ends the read that waits, or the next one: none is lost. */
START_TEST(interrupts)
{
	struct chunk *c;
	pthread_t other;

	local_rig_start();
	ck_assert_int_eq(pthread_create(&other, NULL, interrupt_often, NULL), 0);
	while (atomic_load(&answered) < 5000) {
		ck_assert_int_eq(t->ops->read(t, &c, -1), 0);
		atomic_store(&answered, atomic_load(&asked));
	}
	pthread_join(other, NULL);
	local_rig_finish();
}
END_TEST

static void *
halt(void *arg)
{
	(void)arg;
	t->ops->halt(t);
	return NULL;
}

START_TEST(halted)
{
	pthread_t other;
	struct chunk *c;
	struct frame f;

	local_rig_start();
	ck_assert_int_eq(pthread_create(&other, NULL, halt, NULL), 0);
	ck_assert_int_eq(t->ops->read(t, &c, -1), USB_ERROR_GONE);
	pthread_join(other, NULL);
	local_rig_frame(&f, 1, 32, true);
	t->ops->write(t, &f.tx);
	ck_assert_int_eq(f.done, 1);
	ck_assert_int_eq(f.error, USB_ERROR_GONE);
	local_rig_finish();
}
END_TEST

/* Frames in flight, and frames that wait for memory, at the end or when the
 * device goes: each is done once, and none that was taken back has left a hole
 * before one that was not. */
START_TEST(ends_with_frames)
{
	_Atomic int finished = 0;
	struct frame f[10];
	struct chunk *c;

	local_rig_start();
	/* What these have used is used again, in another order. */
	for (int i = 0; i < 5; i++) {
		local_rig_frame(&f[i], (uint32_t)i, 40, true);
		f[i].finished = &finished;
		t->ops->write(t, &f[i].tx);
	}
	drain(&finished, 5);
	fake_send(device, 1, 10); /* and a read that nobody takes */
	fake_hold(device, true);
	if (_i == 1)
		fake_set_memory(4 * CHUNK_SIZE + 100);
	for (int i = 0; i < 10; i++) {
		local_rig_frame(&f[i], (uint32_t)i, 40, true);
		t->ops->write(t, &f[i].tx);
	}
	if (_i == 2) {
		fake_unplug(device);
		ck_assert_int_eq(read_byte(10), 1);
		ck_assert_int_eq(t->ops->read(t, &c, 1000), USB_ERROR_GONE);
	}
	local_rig_finish();
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(f[i].done, 1);
		ck_assert_int_eq(f[i].error, USB_ERROR_GONE);
	}
}
END_TEST

/* Transfers that cannot be cancelled: stop() ends in time, says done, and frees
 * nothing that libusb still has (the fake would end the test). */
START_TEST(jammed)
{
	struct moment before;
	struct frame f;

	local_rig_start();
	fake_hold(device, true);
	fake_jam(device, true);
	local_rig_frame(&f, 1, 40, true);
	t->ops->write(t, &f.tx);
	before = clock_now();
	t->ops->stop(t);
	/* A second, and what a busy machine adds. */
	ck_assert_int_lt(moment_ms_between(before, clock_now()), 2000);
	ck_assert_int_eq(f.done, 1);
	t->ops->free(t);
	ck_assert_int_eq(fake_counts().handles, 1);
}
END_TEST

static void *
unplug_soon(void *arg)
{
	poll(NULL, 0, 100);
	fake_unplug(arg);
	return NULL;
}

/* What a device that leaves had in flight comes back by itself; that of one that
 * only seemed to leave is asked for. */
START_TEST(leaves)
{
	pthread_t other;
	struct chunk *c;
	struct frame f;

	local_rig_start();
	fake_hold(device, true);
	local_rig_frame(&f, 1, 40, false);
	t->ops->write(t, &f.tx);
	fake_send_status(device, LIBUSB_TRANSFER_NO_DEVICE);
	ck_assert_int_lt(t->ops->read(t, &c, 1000), 0);
	ck_assert_int_eq(fake_counts().in_flight, LOCAL_READS);
	if (_i == 0)
		ck_assert_int_eq(pthread_create(&other, NULL, unplug_soon,
		    device), 0);
	local_rig_finish();
	ck_assert_int_eq(fake_counts().cancels, _i == 0 ? 0 : LOCAL_READS);
	ck_assert_int_eq(f.done, 1);
	if (_i == 0)
		pthread_join(other, NULL);
}
END_TEST

START_TEST(reset)
{
	struct chunk *c;

	local_rig_start();
	ck_assert_int_eq(t->ops->reset(t), USB_OK);
	ck_assert_int_eq(fake_counts().resets, 1);
	ck_assert_int_eq(t->ops->read(t, &c, 1000), USB_ERROR_GONE);
	local_rig_finish();
}
END_TEST

static void *
change_configuration(void *arg)
{
	struct transport *slow = arg;

	ck_assert_int_eq(slow->ops->set_configuration(slow, 3, 0), USB_OK);
	return NULL;
}

/* A device that takes its time with a configuration holds up no other. */
START_TEST(slow_neighbour)
{
	struct fake_spec neighbour = local_rig_spec;
	struct usb_ident id = local_rig_ident();
	struct transport *slow;
	struct moment before;
	struct cause why;
	pthread_t other;

	neighbour.address = id.address = 9;
	neighbour.ports[1] = 4;
	snprintf(id.key, sizeof id.key, "1-2.4");
	fake_plug(&neighbour);
	ck_assert_int_eq(local_open(&budget, &id, &slow, &why), USB_OK);
	ck_assert_int_eq(slow->ops->claim(slow, 1), USB_OK);
	local_rig_start();
	fake_set_slowness(3000);
	before = clock_now();
	ck_assert_int_eq(
	    pthread_create(&other, NULL, change_configuration, slow), 0);
	for (int i = 0; i < 100; i++) {
		fake_send(device, (uint8_t)i, 10);
		ck_assert_int_eq(read_byte(10), i);
	}
	ck_assert_int_lt(moment_ms_between(before, clock_now()), 2500);
	pthread_join(other, NULL);
	slow->ops->stop(slow);
	slow->ops->free(slow);
	local_rig_finish();
}
END_TEST

static TCase *
all_tests(const char *name, void (*prepare)(void))
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, prepare, NULL);
	tcase_add_test(tc, reads_in_order);
	tcase_add_test(tc, read_waits_no_longer);
	tcase_add_test(tc, stall);
	tcase_add_test(tc, stall_of_events);
	tcase_add_loop_test(tc, read_errors, 0, 3);
	tcase_add_test(tc, short_of_memory);
	tcase_add_test(tc, zero_length_packets);
	tcase_add_test(tc, done_after_both);
	tcase_add_test(tc, write_error_is_final);
	tcase_add_test(tc, many_frames);
	tcase_add_test(tc, interrupts);
	tcase_add_test(tc, halted);
	tcase_add_loop_test(tc, ends_with_frames, 0, 3);
	tcase_add_test(tc, jammed);
	tcase_add_loop_test(tc, leaves, 0, 2);
	tcase_add_test(tc, reset);
	tcase_add_test(tc, slow_neighbour);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("usb_libusb");

	suite_add_tcase(s, all_tests("found", local_rig_setup));
	if (can_open_directly())
		suite_add_tcase(s, all_tests("direct",
		    local_rig_setup_direct));
	return unit_run(s);
}
