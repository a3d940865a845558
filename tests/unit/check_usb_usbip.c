/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A device of a USB/IP server as a transport. */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit.h"
#include "usb/transport.h"
#include "usbip_rig.h"
#include "usbip_stub.h"

/* Reads are kept until the test finishes them; frames are checked at once. */
static const struct usb_pipes pipes = { .in = 0x80 | RIG_HELD,
	.out = RIG_INSTANT, .max_packet = 512 };

static struct rig rig;
static struct rig_device device;
static struct usb_source *source;
static struct chunk_pool pool;
static struct transport *t;

static const struct usb_ident ident = { .key = "3-1", .bus = 3, .address = 5 };

static void
setup(void)
{
	struct cause why;

	rig_open(&rig);
	rig_device_init(&device, "3-1", 5);
	rig_plug(&rig, &device);
	source = usb_source_usbip_new(rig.path, &why);
	HOLDS(source != NULL, "%s", why.text);
	HOLDS(source->ops->open(source, &ident, &t, &why) == USB_OK, "%s",
	    why.text);
	chunk_pool_init(&pool, 16);
}

static void
teardown(void)
{
	t->ops->stop(t);
	t->ops->interrupt(t); /* harmless to the end */
	t->ops->free(t);
	source->ops->free(source);
	chunk_pool_fini(&pool);
	rig_close(&rig);
	rig_device_fini(&device);
}

static void
start(const struct usb_pipes *p)
{
	HOLDS(t->ops->start(t, p, &pool) == USB_OK, "not started");
}

/* A read of `len` bytes of the rig's pattern. */
static void
expect_read(uint32_t len)
{
	struct chunk *c = NULL;

	RIG_EQ(t->ops->read(t, &c, UNIT_PATIENCE_MS), 1);
	RIG_EQ(c->len, len);
	RIG_EQ(c->offset, 0);
	for (uint32_t i = 0; i < len; i++)
		RIG_EQ(c->data[i], rig_pattern(CHUNK_SIZE, i));
	chunk_put(c);
}

/* ---- Frames ---- */

struct frame {
	struct tx tx;
	int done;
	int error;
	_Atomic int *finished;
	uint8_t bytes[40 + 8];
};

static void
frame_done(struct tx *tx, int error)
{
	struct frame *f = (struct frame *)tx;

	f->done++;
	f->error = error;
	if (f->finished != NULL)
		atomic_fetch_add(f->finished, 1);
}

static void
init_frame(struct frame *f, uint32_t len, bool zlp)
{
	memset(f, 0, sizeof *f);
	f->tx.done = frame_done;
	f->tx.data = f->bytes;
	f->tx.offset = 8;
	f->tx.len = len;
	f->tx.zlp = zlp;
	for (uint32_t i = 0; i < len; i++)
		f->bytes[8 + i] = rig_pattern(len, i);
}

/* ---- Requests ---- */

START_TEST(control)
{
	struct usb_setup_packet rq = { .request_type = 0x80, .request = 6,
		.value = 0x100, .length = 64 };
	uint8_t bytes[64];

	ck_assert_int_eq(t->ops->control(t, &rq, bytes, 1000), 18);
	for (uint32_t i = 0; i < 18; i++)
		ck_assert_uint_eq(bytes[i], rig_pattern(64, i));
	ck_assert_int_eq(t->ops->claim(t, 1), USB_OK);
	ck_assert_int_eq(t->ops->set_configuration(t, 4, 1), USB_OK);
	ck_assert_int_eq(t->ops->get_configuration(t), rig_pattern(1, 0));
	ck_assert_int_eq(t->ops->clear_halt(t, 0x81), USB_OK);
	rq = (struct usb_setup_packet){ .request_type = 0x40, .length = 16 };
	for (uint32_t i = 0; i < 16; i++)
		bytes[i] = rig_pattern(16, i);
	ck_assert_int_eq(t->ops->control(t, &rq, bytes, 1000), 16);
}
END_TEST

START_TEST(refused)
{
	const struct usb_ident other = { .key = "3-7" };
	struct transport *second;
	struct cause why;

	ck_assert_int_eq(source->ops->open(source, &ident, &second, &why),
	    USB_ERROR_BUSY);
	ck_assert_ptr_nonnull(strstr(why.text, "3-1"));
	ck_assert_int_eq(source->ops->open(source, &other, &second, &why),
	    USB_ERROR_GONE);
}
END_TEST

/* ---- Reading ---- */

START_TEST(reads_in_order)
{
	start(&pipes);
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight), 8);
	for (uint32_t round = 0; round < 40; round += 4) {
		for (uint32_t i = round; i < round + 4; i++)
			rig_finish(&device, 0, i % 4 == 3 ? CHUNK_SIZE : i);
		for (uint32_t i = round; i < round + 4; i++)
			expect_read(i % 4 == 3 ? CHUNK_SIZE : i);
	}
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight), 8);
}
END_TEST

/* The endless stream of a fast device. */
START_TEST(stream)
{
	static const struct usb_pipes fast = { .in = 0x80 | RIG_INSTANT,
		.out = RIG_INSTANT, .max_packet = 512 };

	start(&fast);
	for (int i = 0; i < 2000; i++)
		expect_read(CHUNK_SIZE);
}
END_TEST

START_TEST(read_waits_no_longer)
{
	const struct moment before = clock_now();
	struct chunk *c;

	start(&pipes);
	ck_assert_int_eq(t->ops->read(t, &c, 0), 0);
	ck_assert_int_eq(t->ops->read(t, &c, 50), 0);
	ck_assert_int_ge(moment_ms_between(before, clock_now()), 50);
}
END_TEST

START_TEST(stall)
{
	struct chunk *c;

	start(&pipes);
	rig_finish(&device, 0, 10);
	rig_finish(&device, USBIP_EPIPE, 0);
	expect_read(10);
	t->stalled_pipe = USB_PIPES;
	ck_assert_int_eq(t->ops->read(t, &c, 5000), USB_ERROR_STALL);
	ck_assert_int_eq(t->stalled_pipe, USB_PIPE_BULK);
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight), 8);
	rig_finish(&device, 0, 20);
	expect_read(20);
	ck_assert_int_eq(t->ops->read(t, &c, 20), 0);
}
END_TEST

/* That of the interrupt endpoint: the bulk endpoint's reads stay in flight. */
START_TEST(stall_of_events)
{
	struct usb_pipes both = pipes;
	struct chunk *c;

	both.interrupt_in = both.in;
	both.interrupt_in_packet = 64;
	both.interrupt_in_interval = 1;
	start(&both);
	for (int i = 0; i < 8; i++) {
		rig_finish(&device, 0, 10);
		expect_read(10);
	}
	/* The oldest are those of events now. */
	rig_finish(&device, USBIP_EPIPE, 0);
	ck_assert_int_eq(t->ops->read(t, &c, 5000), USB_ERROR_STALL);
	ck_assert_int_eq(t->stalled_pipe, USB_PIPE_INTERRUPT);
	ck_assert_uint_eq(atomic_load(&t->reads_in_flight), 8);
	rig_finish(&device, 0, 20);
	expect_read(20);
	ck_assert_int_eq(t->ops->read(t, &c, 20), 0);
}
END_TEST

START_TEST(read_errors)
{
	static const struct {
		int status, error;
	} cases[] = {
		{ USBIP_EPROTO, USB_ERROR_IO },
		{ USBIP_EOVERFLOW, USB_ERROR_OVERFLOW },
		{ USBIP_ESHUTDOWN, USB_ERROR_GONE },
	};
	struct chunk *c;

	start(&pipes);
	rig_finish(&device, 0, 10);
	rig_finish(&device, cases[_i].status, 0);
	expect_read(10);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(t->ops->read(t, &c, 1000), cases[_i].error);
}
END_TEST

START_TEST(unplugged)
{
	struct chunk *c;

	start(&pipes);
	rig_finish(&device, 0, 10);
	rig_unplug(&rig, &device);
	expect_read(10);
	ck_assert_int_eq(t->ops->read(t, &c, UNIT_PATIENCE_MS), USB_ERROR_GONE);
	ck_assert_int_eq(t->ops->read(t, &c, UNIT_PATIENCE_MS), USB_ERROR_GONE);
}
END_TEST

START_TEST(reset)
{
	struct chunk *c;

	start(&pipes);
	ck_assert_int_eq(t->ops->reset(t), USB_OK);
	ck_assert_int_eq(t->ops->read(t, &c, 1000), USB_ERROR_GONE);
}
END_TEST

/* ---- Writing ---- */

#define MANY 6000
#define IN_FLIGHT 64 /* the caller's affair */

static _Atomic int finished;

static void *
write_many(void *arg)
{
	struct frame *f = arg;

	for (int i = 0; i < MANY; i++) {
		while (i - atomic_load(&finished) >= IN_FLIGHT)
			sched_yield();
		t->ops->write(t, &f[i].tx);
	}
	return NULL;
}

/* A writer beside a reader.  That the data is right the device has checked,
 * that nothing is missing its count of transfers says. */
START_TEST(many_frames)
{
	const struct moment until = moment_after_ms(clock_now(), 60000);
	struct frame *f = calloc(MANY, sizeof *f);
	unsigned transfers = 8; /* the reads */
	struct chunk *c;
	pthread_t writer;

	start(&pipes);
	for (uint32_t i = 0; i < MANY; i++) {
		init_frame(&f[i], 1 + i % 40, i % 3 == 0);
		f[i].finished = &finished;
		transfers += i % 3 == 0 ? 2 : 1;
	}
	ck_assert_int_eq(pthread_create(&writer, NULL, write_many, f), 0);
	while (atomic_load(&finished) < MANY &&
	    moment_before(clock_now(), until))
		RIG_EQ(t->ops->read(t, &c, 10), 0);
	pthread_join(writer, NULL);
	rig_await(&device, &device.submits, transfers);
	RIG_EQ(device.submits, transfers);
	for (int i = 0; i < MANY; i++) {
		RIG_EQ(f[i].done, 1);
		RIG_EQ(f[i].error, USB_OK);
	}
	ck_assert_uint_eq(atomic_load(&t->writes_in_flight), 0);
	free(f);
}
END_TEST

START_TEST(write_error_is_final)
{
	static const struct usb_pipes broken = { .in = 0x80 | RIG_HELD,
		.out = 15, .max_packet = 512 };
	struct chunk *c;
	struct frame f[2];

	start(&broken);
	init_frame(&f[0], 32, true);
	t->ops->write(t, &f[0].tx);
	ck_assert_int_eq(t->ops->read(t, &c, UNIT_PATIENCE_MS), USB_ERROR_IO);
	ck_assert_int_eq(f[0].done, 1);
	ck_assert_int_eq(f[0].error, USB_ERROR_STALL);
	init_frame(&f[1], 32, false);
	t->ops->write(t, &f[1].tx);
	ck_assert_int_eq(f[1].done, 1);
	ck_assert_int_eq(f[1].error, USB_ERROR_GONE);
}
END_TEST

/* Frames that the device has not taken, at the end. */
START_TEST(ends_with_frames)
{
	static const struct usb_pipes slow = { .in = 0x80 | RIG_PARTIAL,
		.out = RIG_HELD, .max_packet = 512 };
	static struct frame f[10]; /* they live until stop() */

	start(&slow);
	for (int i = 0; i < 10; i++) {
		init_frame(&f[i], 32, true);
		t->ops->write(t, &f[i].tx);
	}
	ck_assert_uint_eq(atomic_load(&t->writes_in_flight), 10);
	rig_await(&device, &device.submits, 28);
	teardown();
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(f[i].done, 1);
		ck_assert_int_eq(f[i].error, USB_ERROR_GONE);
	}
	setup(); /* for the fixture */
}
END_TEST

/* ---- Interrupts ---- */

static _Atomic int asked, answered;

static void *
interrupt_often(void *arg)
{
	(void)arg;
	for (int i = 1; i <= 3000; i++) {
		atomic_store(&asked, i);
		t->ops->interrupt(t);
		while (atomic_load(&answered) < i)
			sched_yield();
	}
	return NULL;
}

START_TEST(interrupts)
{
	struct chunk *c;
	pthread_t other;

	start(&pipes);
	ck_assert_int_eq(pthread_create(&other, NULL, interrupt_often, NULL), 0);
	while (atomic_load(&answered) < 3000) {
		RIG_EQ(t->ops->read(t, &c, -1), 0);
		atomic_store(&answered, atomic_load(&asked));
	}
	pthread_join(other, NULL);
}
END_TEST

/* One that comes during a request is for the next read. */
START_TEST(interrupt_kept)
{
	struct chunk *c;

	start(&pipes);
	t->ops->interrupt(t);
	ck_assert_int_eq(t->ops->clear_halt(t, 0x82), USB_OK);
	ck_assert_int_eq(t->ops->read(t, &c, -1), 0);
}
END_TEST

/* ---- Servers that do nothing ---- */

static struct usbip_stub stub;
static const struct usb_ident stubbed = { .key = "1-1" };

static void
stub_setup(void)
{
	struct cause why;

	stub_open(&stub);
	stub_set(&stub, 0, "1-1", 3);
	source = usb_source_usbip_new(stub.address, &why);
	HOLDS(source != NULL, "%s", why.text);
	chunk_pool_init(&pool, 16);
}

static void
stub_teardown(void)
{
	source->ops->free(source);
	chunk_pool_fini(&pool);
	stub_close(&stub);
}

/* The server takes the next request; its seqnum. */
static uint32_t
take_pdu(int fd, uint32_t command)
{
	uint8_t bytes[USBIP_PDU_SIZE];
	struct usbip_pdu pdu;

	rig_receive(fd, bytes, sizeof bytes);
	RIG_EQ(usbip_pdu_decode(&pdu, bytes), 0);
	RIG_EQ(pdu.command, command);
	return pdu.seqnum;
}

START_TEST(requests_time_out)
{
	const struct usb_setup_packet rq = { .request_type = 0x80,
		.request = 6, .length = 18 };
	struct usbip_pdu ret = { .command = USBIP_RET_UNLINK,
		.ret_unlink = { .status = USBIP_ECONNRESET } };
	struct moment before;
	struct cause why;
	uint8_t bytes[18];
	int fd;

	ck_assert_int_eq(source->ops->open(source, &stubbed, &t, &why), USB_OK);
	fd = stub_import(&stub, 0);
	before = clock_now();
	ck_assert_int_eq(t->ops->control(t, &rq, bytes, 100),
	    USB_ERROR_TIMEOUT);
	ck_assert_int_lt(moment_ms_between(before, clock_now()), 5000);
	/* It has been asked for back, and is given back: the next may go. */
	take_pdu(fd, USBIP_CMD_SUBMIT);
	ret.seqnum = take_pdu(fd, USBIP_CMD_UNLINK);
	rig_send_pdu(fd, &ret);
	ck_assert_int_eq(t->ops->control(t, &rq, bytes, 100),
	    USB_ERROR_TIMEOUT);
	/* This one is not: that is the end of it. */
	ck_assert_int_eq(t->ops->control(t, &rq, bytes, 100), USB_ERROR_GONE);
	ck_assert_int_lt(moment_ms_between(before, clock_now()), 10000);
	t->ops->stop(t);
	t->ops->free(t);
}
END_TEST

static struct frame_big {
	struct tx tx;
	int done, error;
	uint8_t bytes[65535];
} big[64];

static void
big_done(struct tx *tx, int error)
{
	struct frame_big *f = (struct frame_big *)tx;

	f->done++;
	f->error = error;
}

static _Atomic int written;

static void *
write_big(void *arg)
{
	(void)arg;
	for (int i = 0; i < 64; i++) {
		big[i].tx.done = big_done;
		big[i].tx.data = big[i].bytes;
		big[i].tx.len = sizeof big[i].bytes;
		t->ops->write(t, &big[i].tx);
		atomic_store(&written, i + 1);
	}
	return NULL;
}

/* A server that does not read: the writer waits, the reader does not, halt()
 * ends the wait, and each frame is done once. */
START_TEST(halted)
{
	struct chunk *c;
	pthread_t writer;
	struct cause why;
	int before = -1;

	ck_assert_int_eq(source->ops->open(source, &stubbed, &t, &why), USB_OK);
	start(&pipes);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_big, NULL), 0);
	/* Until the writer makes no progress any more. */
	while (before != atomic_load(&written) || before == 0) {
		before = atomic_load(&written);
		ck_assert_int_eq(t->ops->read(t, &c, 50), 0);
	}
	ck_assert_int_lt(before, 64);
	t->ops->halt(t);
	pthread_join(writer, NULL);
	ck_assert_int_eq(t->ops->read(t, &c, -1), USB_ERROR_GONE);
	t->ops->stop(t);
	for (int i = 0; i < 64; i++) {
		ck_assert_int_eq(big[i].done, 1);
		ck_assert_int_eq(big[i].error, USB_ERROR_GONE);
	}
	t->ops->free(t);
}
END_TEST

/* An import whose answer never ends ends all the same. */
START_TEST(trickling_import)
{
	const struct moment before = clock_now();
	struct cause why;

	stub.trickle = true;
	ck_assert_int_eq(source->ops->open(source, &stubbed, &t, &why),
	    USB_ERROR_GONE);
	ck_assert_int_lt(moment_ms_between(before, clock_now()), 10000);
	ck_assert_ptr_nonnull(strstr(why.text, "1-1"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usb_usbip");
	TCase *tc = tcase_create("engine"), *tc2 = tcase_create("stub");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, control);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, reads_in_order);
	tcase_add_test(tc, stream);
	tcase_add_test(tc, read_waits_no_longer);
	tcase_add_test(tc, stall);
	tcase_add_test(tc, stall_of_events);
	tcase_add_loop_test(tc, read_errors, 0, 3);
	tcase_add_test(tc, unplugged);
	tcase_add_test(tc, reset);
	tcase_add_test(tc, many_frames);
	tcase_add_test(tc, write_error_is_final);
	tcase_add_test(tc, ends_with_frames);
	tcase_add_test(tc, interrupts);
	tcase_add_test(tc, interrupt_kept);
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc2, 60);
	tcase_add_checked_fixture(tc2, stub_setup, stub_teardown);
	tcase_add_test(tc2, requests_time_out);
	tcase_add_test(tc2, halted);
	tcase_add_test(tc2, trickling_import);
	suite_add_tcase(s, tc2);
	return unit_run(s);
}
