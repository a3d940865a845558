/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How bytes move through a connection: windows, credit, acknowledgements, and
 * what is held for a client that does not read. */

#include <sched.h>
#include <sys/socket.h>

#include "actor/poller.h"
#include "base/clock.h"
#include "conn_rig.h"
#include "daemon/reader_int.h"
#include "unit.h"

#define WINDOW 131072
#define FRAMES 4 /* of one connection, at the writer at a time */
#define FRAME_MAX 49116 /* payload bytes of a frame */

static struct conn k;

static void
init(void)
{
	conn_init(&k, 0);
}

/* Its socket takes a few kilobytes only. */
static void
init_small(void)
{
	conn_init(&k, 4096);
}

static void
fini(void)
{
	conn_fini(&k);
}

static void
end(void)
{
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_end(&k);
}

/* ---- To the phone ---- */

/* The client writes all of it in a thread of its own, as it may block. */
struct flood {
	struct thread thread;
	uint32_t len;
};

static void *
flood_main(void *arg)
{
	const struct flood *f = arg;

	conn_send_pattern(&k, 0, f->len);
	return NULL;
}

static void
flood_start(struct flood *f, uint32_t len)
{
	f->len = len;
	HOLDS(thread_start(&f->thread, "client", flood_main, f) == 0,
	    "no thread");
}

/* The next data frame, which continues the pattern; its length. */
static uint32_t
hear_data(uint32_t at)
{
	const struct phone_words w = conn_hear(&k);

	HOLDS(w.flags == PHONE_ACK && w.seq == at + 1, "flags 0x%02x, seq %u",
	    w.flags, w.seq);
	HOLDS(w.payload_len > 0, "an acknowledgement of nothing");
	for (uint32_t i = 0; i < w.payload_len; i++)
		HOLDS(w.payload[i] == (at + i) % 251, "byte %u", at + i);
	return w.payload_len;
}

START_TEST(a_stream_arrives_whole_and_in_frames_that_fit)
{
	const uint32_t total = 5000000;
	struct flood f;
	uint32_t got = 0, longest = 0;

	conn_open(&k, WINDOW, 0);
	flood_start(&f, total);
	while (got < total) {
		const uint32_t n = hear_data(got);

		HOLDS(n <= FRAME_MAX, "%u bytes in a frame", n);
		longest = n > longest ? n : longest;
		got += n;
		k.ack += n;
		conn_say(&k, PHONE_ACK, 0, 0);
	}
	thread_join(&f.thread);
	ck_assert_uint_eq(got, total);
	/* Small frames would be many; how many bytes a socket holds decides. */
	ck_assert_uint_ge(longest, 4096);
	ck_assert(counter_read(&k.c->conn.stats.tx_bytes) == total);
	end();
}
END_TEST

/* Something that keeps a poller's thread until it is let go. */
struct hold {
	struct waker *bell, *seen, *let_go;
	struct poller_watch *watch;
};

static void
hold_poller(void *arg, short events)
{
	struct hold *h = arg;

	(void)events;
	waker_wake(h->seen);
	waker_wait(h->let_go, -1);
}

static void
end_hold(void *arg)
{
	struct hold *h = arg;

	waker_put(h->bell);
	waker_put(h->seen);
	waker_put(h->let_go);
}

static void
hold(struct hold *h, struct poller *p)
{
	*h = (struct hold){ waker_new_polled(), waker_new(), waker_new(),
		NULL };
	h->watch = poller_watch(p, 0, h->bell->read_fd, POLLIN, hold_poller,
	    end_hold, h);
	waker_wake(h->bell);
	HOLDS(waker_wait(h->seen, UNIT_PATIENCE_MS), "no poller");
}

/* It has ended. */
static bool
client_has_ended_sending(void) ROLE_UNCHECKED
{
	return k.c->conn.client_eof;
}

/* Told of together, as they are when the poller comes too late for the first:
 * bytes, and that they were the last. */
START_TEST(the_end_behind_the_last_bytes_is_seen)
{
	struct poller *p = poller_new(1);
	struct hold leader, stand_in;

	if (p == NULL)
		return; /* the worker polls, and is told for ever */
	k.c->poller = p;
	conn_open(&k, WINDOW, 0);
	conn_send_pattern(&k, 0, 10);
	ck_assert_uint_eq(hear_data(0), 10);
	hold(&leader, p);
	hold(&stand_in, p);
	conn_send_pattern(&k, 10, 10);
	shutdown(k.fd, SHUT_WR);
	waker_wake(stand_in.let_go);
	ck_assert_uint_eq(hear_data(10), 10);
	k.ack += 20;
	end();
	ck_assert(client_has_ended_sending());
	waker_wake(leader.let_go);
	poller_unwatch(leader.watch);
	poller_unwatch(stand_in.watch);
	poller_free(p);
}
END_TEST

/* Never past ack + window, whatever the window does. */
START_TEST(the_phones_window_is_kept)
{
	static const uint32_t windows[] = { 256, 4096, 0, 768, 65536, 512 };
	const uint32_t total = 400000;
	uint32_t got = 0, edge = 1000 / 256 * 256;
	struct flood f;

	conn_open(&k, edge, 0);
	flood_start(&f, total);
	for (unsigned i = 0; got < total; i++) {
		const uint32_t room =
		    edge - got < total - got ? edge - got : total - got;

		/* All that it allows comes, however cut, and no more. */
		for (uint32_t n = 0; n < room;)
			n += hear_data(got + n);
		got += room;
		k.ack = 1 + got;
		k.window = windows[i % UNIT_COUNT(windows)];
		edge = got + k.window;
		conn_say(&k, PHONE_ACK, 0, 0);
	}
	thread_join(&f.thread);
	end();
}
END_TEST

START_TEST(a_window_that_shrinks_stops_what_would_follow)
{
	conn_open(&k, 10240, 0);
	conn_send_pattern(&k, 0, 4096);
	ck_assert_uint_eq(hear_data(0), 4096);
	k.ack = 1 + 1024;
	k.window = 2048; /* up to byte 3072, which is behind us */
	conn_say(&k, PHONE_ACK, 7, 3);
	conn_await_pattern(&k, 7, 3);
	conn_send_pattern(&k, 4096, 4096);
	conn_hear_ack(&k, 1004);
	k.ack = 1 + 4096;
	k.window = 512;
	conn_say(&k, PHONE_ACK, 0, 0);
	ck_assert_uint_eq(hear_data(4096), 512);
	k.window = 65536;
	conn_say(&k, PHONE_ACK, 0, 0);
	ck_assert_uint_eq(hear_data(4608), 4096 - 512);
	end();
}
END_TEST

/* What its transport is like. */
static const struct transport_ops ways[] = {
	{ .write_blocks = false }, { .write_blocks = true },
};

/* Frames have left; when the transport does not block, its read() returns. */
static void
frames_have_left(const struct transport *t) ROLE_UNCHECKED
{
	conn_complete(&k);
	if (!t->ops->write_blocks)
		reader_attend(k.d);
}

/* The writer has so many of this connection's frames and no more; when they have
 * left there is nothing that tells of it but they. */
START_TEST(frames_wait_for_those_before_them)
{
	const uint32_t total = 2000000;
	struct transport way = { .ops = &ways[_i % 2] };
	/* Acts for the worker, or the worker polls. */
	struct poller *p = _i < 2 ? poller_new(1) : NULL;
	struct flood f;
	uint32_t got = 0;

	k.c->poller = p;
	atomic_store(&k.d->transport, &way);
	conn_open(&k, TCP_WINDOW_MAX, 0);
	k.hold = true;
	flood_start(&f, total);
	while (got < total) {
		const struct moment until =
		    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

		for (int i = 0; i < FRAMES && got < total; i++)
			got += hear_data(got);
		/* The worker has found no credit, and sleeps over it. */
		while (got < total && atomic_load(&k.c->conn.upload.state) !=
		    CREDIT_WANTED)
			HOLDS(moment_before(clock_now(), until),
			    "the worker runs on");
		HOLDS(conn_silent(&k), "a frame too many");
		frames_have_left(&way);
	}
	thread_join(&f.thread);
	end();
	atomic_store(&k.d->transport, NULL);
	if (p != NULL)
		poller_free(p);
}
END_TEST

/* ---- To the client ---- */

START_TEST(a_stream_reaches_a_client_that_reads)
{
	const uint32_t total = 8000000;
	uint32_t said = 0, heard = 0, acked = 0;

	conn_open(&k, WINDOW, 0);
	while (heard < total) {
		uint32_t n = said - acked;

		/* As much as our window takes. */
		for (; n <= CONN_WINDOW - 60000 && said < total; n += 60000) {
			conn_say(&k, PHONE_ACK, said, 60000 < total - said
				? 60000 : total - said);
			said += 60000 < total - said ? 60000 : total - said;
		}
		conn_await_pattern(&k, heard, said - heard);
		heard = said;
		while (acked < said) {
			const struct phone_words w = conn_hear(&k);

			HOLDS(w.ack - 1001 > acked && w.ack - 1001 <= said,
			    "ack %u of %u, before %u", w.ack - 1001, said,
			    acked);
			acked = w.ack - 1001;
		}
	}
	ck_assert(counter_read(&k.c->conn.stats.rx_bytes) == total);
	end();
}
END_TEST

/* What the client has not taken is not acknowledged. */
START_TEST(acknowledgements_wait_for_the_client)
{
	uint32_t acked = 0;

	conn_open(&k, WINDOW, 0);
	for (uint32_t at = 0; at < CONN_WINDOW; at += 32768)
		conn_say(&k, PHONE_ACK, at, 32768);
	conn_await_held(&k, CONN_WINDOW - 262144);
	while (!conn_silent(&k)) {
		const struct phone_words w = conn_hear(&k);

		ck_assert_uint_eq(w.payload_len, 0);
		acked = w.ack - 1001;
	}
	ck_assert_uint_le(acked +
		counter_read(&k.c->conn.stats.held), CONN_WINDOW);
	/* And then they come, without more from the phone. */
	conn_await_pattern(&k, 0, CONN_WINDOW);
	while (acked < CONN_WINDOW)
		acked = conn_hear(&k).ack - 1001;
	ck_assert_uint_eq(acked, CONN_WINDOW);
	end();
}
END_TEST

/* Until the worker has seen all that was said. */
static void
await_seen(uint64_t bytes)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);
	const struct connection_stats *s = &k.c->conn.stats;

	while (counter_read(&s->held) + counter_read(&s->rx_bytes) != bytes)
		HOLDS(moment_before(clock_now(), until), "%llu + %llu bytes",
		    (unsigned long long)counter_read(&s->held),
		    (unsigned long long)counter_read(&s->rx_bytes));
}

/* Otherwise each byte of a full window would hold 16 KiB. */
START_TEST(small_packets_are_packed_for_a_client_that_does_not_read)
{
	uint32_t at = 0;

	conn_open(&k, WINDOW, 0);
	/* Until its socket is full; then the worker knows. */
	for (; at < 65536; at += 16384)
		conn_say(&k, PHONE_ACK, at, 16384);
	conn_await_held(&k, 1);
	conn_say_bytes(&k, at, 100000);
	at += 100000;
	await_seen(at);
	HOLDS(conn_chunks_out(&k) <= 8 + 100000 / CHUNK_SIZE + 1,
	    "%u chunks are held", conn_chunks_out(&k));
	conn_await_pattern(&k, 0, at);
	end();
}
END_TEST

START_TEST(packed_and_whole_packets_stay_in_order)
{
	static const uint32_t sizes[] = { 1, 16348, 3, 40000, 16000, 700, 700, 0,
		16348, 16384, 1 };
	uint32_t at = 0;

	conn_open(&k, WINDOW, 0);
	for (; at < 65536; at += 16384)
		conn_say(&k, PHONE_ACK, at, 16384);
	conn_await_held(&k, 1);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < UNIT_COUNT(sizes); i++) {
			conn_say(&k, PHONE_ACK, at, sizes[i]);
			at += sizes[i];
		}
	/* The client takes it in small bits. */
	conn_await_pattern(&k, 0, at);
	end();
}
END_TEST

/* ---- Acknowledgements ---- */

/* Those that are too few wait a moment for data to ride on. */
START_TEST(a_few_bytes_are_acknowledged_by_themselves_later)
{
	uint32_t seq = 1001;

	conn_open(&k, WINDOW, 0);
	for (int i = 0; i < 3; i++) {
		const struct moment begun = clock_now();
		int64_t ms;

		conn_say(&k, PHONE_ACK, 0, 100);
		seq += 100;
		conn_await_pattern(&k, 0, 100);
		conn_hear_ack(&k, seq);
		ms = moment_ms_between(begun, clock_now());
		HOLDS(ms >= 15, "after %lld ms", (long long)ms);
	}
	end();
}
END_TEST

/* How long the worker sleeps; it does. */
static struct moment
sleeps_until(void) ROLE_UNCHECKED
{
	struct moment until;

	while (!baton_borrow(&k.c->baton))
		sched_yield();
	until = k.c->conn.waits_until;
	baton_return(&k.c->baton, k.workers_waker);
	return until;
}

/* Who watches its socket tells of the time as well, again and again; and is not
 * before it. */
START_TEST(an_acknowledgement_wakes_no_worker)
{
	struct poller *p = poller_new(1);
	uint32_t seq = 1001;

	if (p == NULL)
		return; /* the worker polls */
	k.c->poller = p;
	conn_open(&k, WINDOW, 0);
	for (int i = 0; i < 3; i++) {
		const struct moment begun = clock_now();
		int64_t ms;

		conn_say(&k, PHONE_ACK, 0, 100);
		seq += 100;
		conn_await_pattern(&k, 0, 100);
		conn_hear_ack(&k, seq);
		ms = moment_ms_between(begun, clock_now());
		HOLDS(ms >= 15, "after %lld ms", (long long)ms);
		/* Woken, it would sleep for less. */
		ck_assert(sleeps_until().ns == MOMENT_NEVER.ns);
	}
	end();
	poller_free(p);
}
END_TEST

/* There is time for that; only on a machine that stands still is it too late,
 * and then it is tried again. */
START_TEST(an_acknowledgement_rides_on_data)
{
	uint32_t seq = 1001, at = 0;
	bool rode = false;

	conn_open(&k, WINDOW, 0);
	for (int attempt = 0; attempt < 50 && !rode; attempt++) {
		struct phone_words w;

		conn_say(&k, PHONE_ACK, 0, 100);
		seq += 100;
		conn_await_pattern(&k, 0, 100);
		conn_send_pattern(&k, at, 10);
		w = conn_hear(&k);
		rode = w.payload_len == 10 && w.ack == seq;
		if (w.payload_len == 0)
			w = conn_hear(&k);
		ck_assert_uint_eq(w.payload_len, 10);
		ck_assert_uint_eq(w.ack, seq);
		at += 10;
		k.ack += 10;
	}
	ck_assert(rode);
	/* Nothing is said twice: the next frame is about something new. */
	conn_say(&k, PHONE_ACK, 0, 50);
	conn_await_pattern(&k, 0, 50);
	conn_hear_ack(&k, seq + 50);
	end();
}
END_TEST

START_TEST(a_quarter_of_the_window_is_acknowledged_whatever_comes)
{
	uint32_t acked = 0;

	conn_open(&k, WINDOW, 0);
	for (uint32_t at = 0; at < CONN_WINDOW; at += 32768)
		conn_say(&k, PHONE_ACK, at, 32768);
	conn_await_pattern(&k, 0, CONN_WINDOW);
	while (acked < CONN_WINDOW) {
		const uint32_t now = conn_hear(&k).ack - 1001;

		/* A packet more may have been taken before it was looked at. */
		HOLDS(now > acked, "ack %u after %u", now, acked);
		acked = now;
	}
	end();
}
END_TEST

static TCase *
case_of_uploads(void)
{
	TCase *tc = tcase_create("to the phone");

	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, init, fini);
	tcase_add_test(tc, a_stream_arrives_whole_and_in_frames_that_fit);
	tcase_add_test(tc, the_end_behind_the_last_bytes_is_seen);
	tcase_add_test(tc, the_phones_window_is_kept);
	tcase_add_test(tc, a_window_that_shrinks_stops_what_would_follow);
	tcase_add_loop_test(tc, frames_wait_for_those_before_them, 0, 4);
	tcase_add_test(tc, a_few_bytes_are_acknowledged_by_themselves_later);
	tcase_add_test(tc, an_acknowledgement_wakes_no_worker);
	tcase_add_test(tc, an_acknowledgement_rides_on_data);
	tcase_add_test(tc, a_quarter_of_the_window_is_acknowledged_whatever_comes);
	tcase_add_test(tc, a_stream_reaches_a_client_that_reads);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("daemon: bytes of a connection");
	TCase *tc = tcase_create("to a slow client");

	suite_add_tcase(s, case_of_uploads());
	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, init_small, fini);
	tcase_add_test(tc, acknowledgements_wait_for_the_client);
	tcase_add_test(tc,
	    small_packets_are_packed_for_a_client_that_does_not_read);
	tcase_add_test(tc, packed_and_whole_packets_stay_in_order);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
