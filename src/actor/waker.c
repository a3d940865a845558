/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/waker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef WAKER_FUTEX
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#endif

/*
 * What a consumer does, and what has happened to it.  It announces that it
 * sleeps or polls, unless somebody has woken it already; who wakes it exchanges
 * the word and thereby learns whether anything else is to be done.  Either the
 * announcement comes first, and is seen by who wakes; or the wake-up does, and
 * the announcement fails.  So none is lost.
 */
enum word {
	WORD_AWAKE,
	WORD_WOKEN,
	WORD_ASLEEP, /* is to be roused */
	WORD_POLLS,  /* its bell is to be rung */
};

/* Without any descriptor left to lend, it looks this often whether it has been
 * woken. */
#define LOOK_MS 10

/* ---- Descriptors ---- */

/* Those that are lent block: whoever reads one knows that it has been, or is
 * just being, written to. */
static int
open_fds(int *read_fd, int *write_fd, bool blocking)
{
#ifdef WAKER_FUTEX
	*read_fd = *write_fd =
	    eventfd(0, EFD_CLOEXEC | (blocking ? 0 : EFD_NONBLOCK));
	return *read_fd;
#else
	int fds[2];

	if (pipe(fds) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		if (!blocking)
			fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	*read_fd = fds[0];
	*write_fd = fds[1];
	return 0;
#endif
}

static void
close_fds(int read_fd, int write_fd)
{
	close(read_fd);
	if (write_fd != read_fd)
		close(write_fd);
}

static void
ring(int write_fd)
{
	const uint64_t one = 1;
	const int saved_errno = errno;

	/* EAGAIN means that it is readable already, which is all we want. */
	while (write(write_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	errno = saved_errno;
}

/* ---- Bells: descriptors that are lent ---- */

struct waker_bell {
	int read_fd;
	int write_fd;
	struct waker_bell *next; /* of those that nobody has */
};

/* As many are kept for the next as there are threads that begin to poll at about
 * the same time.  The lock is no byte's: only who is about to sleep in poll()
 * passes it, and who has done that and sleeps elsewhere now. */
static struct {
	pthread_mutex_t lock;
	struct waker_bell *free;
	unsigned count;
	unsigned most;
} bells = { .lock = PTHREAD_MUTEX_INITIALIZER, .most = WAKER_KEPT_MAX };

/* NULL: descriptors or memory have run out. */
static struct waker_bell *
bell_new(void)
{
	struct waker_bell *b = malloc(sizeof *b);

	if (b != NULL && open_fds(&b->read_fd, &b->write_fd, true) < 0) {
		free(b);
		b = NULL;
	}
	return b;
}

static struct waker_bell *
bell_borrow(void)
{
	struct waker_bell *b;

	pthread_mutex_lock(&bells.lock);
	b = bells.free;
	if (b != NULL) {
		bells.free = b->next;
		bells.count--;
	}
	pthread_mutex_unlock(&bells.lock);
	return b != NULL ? b : bell_new();
}

/* Nobody rings it any more. */
static void
bell_return(struct waker_bell *b)
{
	bool keep;

	pthread_mutex_lock(&bells.lock);
	keep = bells.count < bells.most;
	if (keep) {
		b->next = bells.free;
		bells.free = b;
		bells.count++;
	}
	pthread_mutex_unlock(&bells.lock);
	if (!keep) {
		close_fds(b->read_fd, b->write_fd);
		free(b);
	}
}

/* It has been rung, or is just being. */
static void
bell_hush(struct waker_bell *b)
{
	uint64_t sink;

	while (read(b->read_fd, &sink, sizeof sink) < 0 && errno == EINTR)
		;
}

void
waker_rest(struct waker *w)
{
	if (w->bell != NULL)
		bell_return(w->bell);
	w->bell = NULL;
}

void
waker_keep(unsigned count)
{
	pthread_mutex_lock(&bells.lock);
	bells.most = count < WAKER_KEPT_MAX ? count : WAKER_KEPT_MAX;
	pthread_mutex_unlock(&bells.lock);
}

/* ---- Words ---- */

#ifdef WAKER_FUTEX

/* What the call takes, which is not what time_t is where that has outgrown
 * long; a moment fits in any case. */
#ifdef SYS_futex
#define FUTEX_CALL SYS_futex
typedef long futex_part;
#else /* a 32-bit system that is younger than that */
#define FUTEX_CALL SYS_futex_time64
typedef long long futex_part;
#endif

/* While it says that the consumer sleeps; false: it is too late. */
static bool
sleep_on_word(struct waker *w, struct moment until)
{
	const struct {
		futex_part seconds, ns;
	} at = {
		(futex_part)(until.ns / 1000000000),
		(futex_part)(until.ns % 1000000000),
	};

	/* Absolute, and of CLOCK_MONOTONIC. */
	return syscall(FUTEX_CALL, &w->word,
	    FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, WORD_ASLEEP,
	    until.ns == MOMENT_NEVER.ns ? NULL : &at, NULL,
	    FUTEX_BITSET_MATCH_ANY) == 0 || errno != ETIMEDOUT;
}

static void
rouse(struct waker *w)
{
	syscall(FUTEX_CALL, &w->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL,
	    NULL, 0);
}

static void
init_word(struct waker *w)
{
	atomic_init(&w->word, WORD_AWAKE);
}

static void
fini_word(struct waker *w)
{
	(void)w;
}

#else

static bool
sleep_on_word(struct waker *w, struct moment until)
{
	const struct timespec at = {
		.tv_sec = (time_t)(until.ns / 1000000000),
		.tv_nsec = (long)(until.ns % 1000000000),
	};
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	if (atomic_load_explicit(&w->word, memory_order_relaxed) ==
	    WORD_ASLEEP)
		rc = until.ns == MOMENT_NEVER.ns
		    ? pthread_cond_wait(&w->changed, &w->lock)
		    : pthread_cond_timedwait(&w->changed, &w->lock, &at);
	pthread_mutex_unlock(&w->lock);
	return rc == 0;
}

static void
rouse(struct waker *w)
{
	/* Who has looked at the word before it changed waits now. */
	pthread_mutex_lock(&w->lock);
	pthread_mutex_unlock(&w->lock);
	pthread_cond_signal(&w->changed);
}

static void
init_word(struct waker *w)
{
	pthread_condattr_t attr;

	atomic_init(&w->word, WORD_AWAKE);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static void
fini_word(struct waker *w)
{
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
}

#endif

/* False: it has been woken already. */
static bool
announce(struct waker *w, enum word what)
{
	uint32_t awake = WORD_AWAKE;

	/* Release: pairs with the acquire in wake_by_word(), which reads the
	 * bell. */
	return atomic_compare_exchange_strong_explicit(&w->word, &awake, what,
	    memory_order_release, memory_order_relaxed);
}

/* The consumer goes on.  True: it has been woken. */
static bool
get_up(struct waker *w)
{
	/* Acquire: pairs with the release of everybody who has woken it. */
	return atomic_exchange_explicit(&w->word, WORD_AWAKE,
	    memory_order_acquire) == WORD_WOKEN;
}

static void
wake_by_word(struct waker *w)
{
	const int saved_errno = errno;

	/* Release: pairs with the acquire in get_up(); acquire: with the release
	 * in announce().  The bell is the waker's until it has been rung. */
	switch (atomic_exchange_explicit(&w->word, WORD_WOKEN,
	    memory_order_acq_rel)) {
	case WORD_ASLEEP:
		rouse(w);
		break;
	case WORD_POLLS:
		ring(w->bell->write_fd);
		break;
	default:
		break;
	}
	errno = saved_errno;
}

static bool
wait_for_word(struct waker *w, struct moment until)
{
	bool late = until.ns <= 0; /* it is just a look */

	waker_rest(w);
	if (announce(w, WORD_ASLEEP))
		while (!late && atomic_load_explicit(&w->word,
			memory_order_relaxed) == WORD_ASLEEP)
			late = !sleep_on_word(w, until);
	return get_up(w);
}

/* When it has been woken, is to look only, or has no bell: polls the others. */
static void
poll_others(struct waker *w, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	fds[0] = (struct pollfd){ .fd = -1 };
	if (atomic_load_explicit(&w->word, memory_order_relaxed) == WORD_WOKEN)
		timeout_ms = 0;
	else if (timeout_ms < 0 || timeout_ms > LOOK_MS)
		timeout_ms = LOOK_MS;
	poll(fds, n, timeout_ms);
}

static bool
poll_by_word(struct waker *w, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	bool woken;

	if (w->bell == NULL && timeout_ms != 0)
		w->bell = bell_borrow();
	if (w->bell == NULL || !announce(w, WORD_POLLS)) {
		poll_others(w, fds, n, timeout_ms);
		return get_up(w);
	}
	fds[0] = (struct pollfd){ .fd = w->bell->read_fd, .events = POLLIN };
	poll(fds, n, timeout_ms);
	woken = get_up(w);
	if (woken)
		bell_hush(w->bell);
	return woken;
}

/* ---- Life ---- */

static struct waker *
make(bool polled)
{
	struct waker *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->read_fd = w->write_fd = -1;
	if (polled && open_fds(&w->read_fd, &w->write_fd, false) < 0) {
		const int error = errno;

		free(w);
		errno = error;
		return NULL;
	}
	atomic_init(&w->refs, 1);
	init_word(w);
	return w;
}

struct waker *
waker_new(void)
{
	return make(false);
}

struct waker *
waker_new_polled(void)
{
	return make(true);
}

struct waker *
waker_get(struct waker *w)
{
	/* Relaxed: who can copy a reference already holds one. */
	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return w;
}

void
waker_put(struct waker *w)
{
	/* Release and acquire pair among the puts: the last one sees all uses. */
	if (atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (w->read_fd >= 0)
		close_fds(w->read_fd, w->write_fd);
	waker_rest(w);
	fini_word(w);
	free(w);
}

/* ---- Both kinds ---- */

void
waker_wake(struct waker *w)
{
	if (w->write_fd >= 0)
		ring(w->write_fd);
	else
		wake_by_word(w);
}

void
waker_clear(struct waker *w)
{
	uint64_t sink[16];
	const int saved_errno = errno;

#ifdef WAKER_FUTEX
	(void)!read(w->read_fd, sink, sizeof sink[0]);
#else
	while (read(w->read_fd, sink, sizeof sink) == sizeof sink)
		;
#endif
	errno = saved_errno;
}

bool
waker_wait_until(struct waker *w, struct moment until)
{
	struct pollfd pfd = { .fd = w->read_fd, .events = POLLIN };
	int n;

	if (w->read_fd < 0)
		return wait_for_word(w, until);
	do
		n = poll(&pfd, 1, moment_poll_timeout(clock_now(), until));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		waker_clear(w);
	return n > 0;
}

bool
waker_wait(struct waker *w, int timeout_ms)
{
	return waker_wait_until(w, timeout_ms < 0
	    ? MOMENT_NEVER
	    : moment_after_ms(clock_now(), timeout_ms));
}

bool
waker_poll(struct waker *w, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	bool woken;

	if (w->read_fd < 0)
		return poll_by_word(w, fds, n, timeout_ms);
	fds[0] = (struct pollfd){ .fd = w->read_fd, .events = POLLIN };
	woken = poll(fds, n, timeout_ms) > 0 && fds[0].revents != 0;
	if (woken)
		waker_clear(w);
	return woken;
}
