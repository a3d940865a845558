/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "virtual/world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "phone/kinds.h"
#include "phone/pattern.h"
#include "usbnet/virtual.h"

/* A thread of them moves more than a program can take on another processor; so
 * they leave it at least as many. */
#define PROCESSORS_EACH 2
#define RUNNERS_MAX 64

struct watcher {
	struct watcher *next;
	struct waker *waker; /* a reference */
};

static struct {
	pthread_mutex_t entering; /* held while they begin and end */
	struct world *world;      /* under it; stays, once it is there */
	pthread_mutex_t lock;     /* inside it */
	struct watcher *watchers; /* under `lock`; written under both */
	uint32_t generation;      /* under `lock` */
} the = {
	.entering = PTHREAD_MUTEX_INITIALIZER,
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

/* ---- Changes ------------------------------------------------------------ */

void
world_changed(void)
{
	pthread_mutex_lock(&the.lock);
	the.generation++;
	for (struct watcher *w = the.watchers; w != NULL; w = w->next)
		waker_wake(w->waker);
	pthread_mutex_unlock(&the.lock);
}

static uint32_t
generation(void)
{
	uint32_t now;

	pthread_mutex_lock(&the.lock);
	now = the.generation;
	pthread_mutex_unlock(&the.lock);
	return now;
}

/* ---- The bus ------------------------------------------------------------ */

static struct usbip_device_entry *
list(size_t *count)
{
	struct world *w = the.world;
	struct usbip_device_entry *out =
	    calloc(w->farm.count + 1, sizeof *out);

	*count = 0;
	for (unsigned i = 0; out != NULL && i < w->farm.count; i++) {
		struct unit *u = &w->units[i];

		gadget_lock(u->gadget);
		if (u->offered)
			out[(*count)++] = u->entry;
		gadget_unlock(u->gadget);
	}
	return out;
}

static struct unit *
find(const char *busid)
{
	struct world *w = the.world;

	for (unsigned i = 0; i < w->farm.count; i++)
		if (strcmp(w->farm.gadgets[i].device->id.busid, busid) == 0)
			return &w->units[i];
	return NULL;
}

static bool
info(const char *busid, uint8_t **bytes, size_t *len)
{
	struct unit *u = find(busid);

	*bytes = NULL;
	if (u == NULL)
		return false;
	gadget_lock(u->gadget);
	*len = u->info_len;
	if (u->offered)
		*bytes = malloc(u->info_len + 1);
	if (*bytes != NULL)
		memcpy(*bytes, u->info, u->info_len);
	gadget_unlock(u->gadget);
	return *bytes != NULL;
}

static struct virtual_open *
open_unit(const struct usbip_device_entry *e, struct waker *w)
{
	struct unit *u = find(e->busid);

	return u != NULL ? open_new(u, e, w) : NULL;
}

/* ---- Begin -------------------------------------------------------------- */

static unsigned
runners_wanted(unsigned devices)
{
	const char *text = getenv("USBNET_VIRTUAL_THREADS");
	const int asked = text != NULL ? atoi(text) : 0;
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);
	long n = asked > 0 ? asked : processors / PROCESSORS_EACH;

	if (n > devices)
		n = devices;
	if (n > RUNNERS_MAX)
		n = RUNNERS_MAX;
	return n > 0 ? (unsigned)n : 1;
}

/* Neighbours are on different threads. */
static int
share_out(struct world *w, struct cause *why)
{
	const unsigned n = runners_wanted(w->farm.count);

	w->runners = calloc(n, sizeof *w->runners);
	if (w->runners == NULL)
		return cause_set(why, "out of memory");
	for (; w->runner_count < n; w->runner_count++)
		runner_init(&w->runners[w->runner_count], w->runner_count);
	for (unsigned i = 0; i < w->farm.count; i++)
		runner_add(&w->runners[i % n], &w->units[i]);
	return 0;
}

/* They are on the bus before anybody can look. */
static int
plug_all(struct world *w, struct cause *why)
{
	for (unsigned i = 0; i < w->farm.count; i++)
		if (gadget_plug_in(&w->farm.gadgets[i], why) < 0)
			return -1;
	return 0;
}

static int
start_runners(struct world *w, struct cause *why)
{
	for (unsigned i = 0; i < w->runner_count; i++) {
		const int error = runner_start(&w->runners[i]);

		if (error != 0)
			return cause_set(why, "no thread to run them: %s",
			    strerror(error));
	}
	return 0;
}

static int
take_environment(struct world *w, struct cause *why)
{
	const char *report = secure_getenv("USBNET_VIRTUAL_REPORT");
	const char *control = secure_getenv("USBNET_VIRTUAL_CONTROL");

	if (getenv("USBNET_QUIET") != NULL)
		log_set_level(LOG_LEVEL_ERROR);
	w->pid = getpid();
	if (report != NULL && *report != '\0') {
		w->report = strdup(report);
		if (w->report == NULL)
			return cause_set(why, "out of memory");
	}
	return control != NULL && *control != '\0'
	    ? tester_start(w, control, why)
	    : 0;
}

/* ---- End ---------------------------------------------------------------- */

static void
stop_runners(struct world *w)
{
	for (unsigned i = 0; i < w->runner_count; i++)
		runner_stop(&w->runners[i]);
}

void
world_free(struct world *w)
{
	tester_stop(w);
	for (unsigned i = 0; i < w->runner_count; i++)
		runner_fini(&w->runners[i]);
	for (unsigned i = 0; i < w->farm.count; i++) {
		gadget_fini(&w->farm.gadgets[i]);
		free(w->units[i].info);
	}
	free(w->farm.gadgets);
	free(w->units);
	free(w->runners);
	free(w->report);
}

void
world_look(struct world *w)
{
	pthread_mutex_lock(&the.lock);
	for (unsigned i = 0; the.watchers != NULL && i < w->runner_count; i++)
		runner_look(&w->runners[i]);
	pthread_mutex_unlock(&the.lock);
}

/* The devices stay where they are: the program's other threads may still be at
 * work with them.  Not in a child that is none of ours. */
static void
at_exit(void)
{
	struct world *w = the.world;
	struct cause why;

	if (w == NULL || w->pid != getpid())
		return;
	tester_stop(w);
	for (unsigned i = 0; i < w->runner_count; i++)
		runner_halt(&w->runners[i]);
	if (w->report != NULL && world_report(w, &why) < 0)
		log_error("%s", why.text);
}

/* ---- Coming and going --------------------------------------------------- */

static int
make(struct world *w, struct cause *why)
{
	const char *text = secure_getenv("USBNET_VIRTUAL");

	pattern_init();
	if (world_describe(w, text != NULL ? text : "", why) < 0 ||
	    share_out(w, why) < 0 || plug_all(w, why) < 0 ||
	    take_environment(w, why) < 0)
		return -1;
	return atexit(at_exit) == 0 ? 0 : cause_set(why, "out of memory");
}

/* The world, once in a process. */
static struct world *
world(struct cause *why)
{
	struct world *w = the.world;

	if (w != NULL)
		return w;
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		cause_set(why, "out of memory");
		return NULL;
	}
	if (make(w, why) < 0) {
		world_free(w);
		free(w);
		return NULL;
	}
	the.world = w;
	return w;
}

static int
add_watcher(struct waker *waker, struct cause *why)
{
	struct watcher *w = malloc(sizeof *w);

	if (w == NULL)
		return cause_set(why, "out of memory");
	w->waker = waker_get(waker);
	pthread_mutex_lock(&the.lock);
	w->next = the.watchers;
	the.watchers = w;
	pthread_mutex_unlock(&the.lock);
	return 0;
}

static int
enter(struct waker *waker, struct cause *why)
{
	struct world *w;
	int rc = -1;

	pthread_mutex_lock(&the.entering);
	w = world(why);
	if (w != NULL)
		rc = the.watchers != NULL ? 0 : start_runners(w, why);
	if (rc == 0)
		rc = add_watcher(waker, why);
	if (w != NULL && rc < 0 && the.watchers == NULL)
		stop_runners(w);
	pthread_mutex_unlock(&the.entering);
	return rc;
}

static void
remove_watcher(struct waker *waker)
{
	struct watcher **at = &the.watchers, *w;

	pthread_mutex_lock(&the.lock);
	while (*at != NULL && (*at)->waker != waker)
		at = &(*at)->next;
	w = *at;
	if (w != NULL)
		*at = w->next;
	pthread_mutex_unlock(&the.lock);
	if (w != NULL)
		waker_put(w->waker);
	free(w);
}

static void
leave(struct waker *waker)
{
	pthread_mutex_lock(&the.entering);
	remove_watcher(waker);
	if (the.watchers == NULL && the.world != NULL)
		stop_runners(the.world);
	pthread_mutex_unlock(&the.entering);
}

static void
forget(void)
{
	pthread_mutex_init(&the.entering, NULL);
	pthread_mutex_init(&the.lock, NULL);
	the.world = NULL;
	the.watchers = NULL;
}

static int
check(const char *description, struct cause *why)
{
	struct world w;
	const int rc = world_describe(&w, description, why);

	world_free(&w);
	return rc;
}

/* ---- What the library sees ---------------------------------------------- */

extern const struct virtual_ops usbnet_virtual;

const struct virtual_ops usbnet_virtual = {
	.version = PACKAGE_VERSION,
	.check = check,
	.forget = forget,
	.enter = enter,
	.leave = leave,
	.generation = generation,
	.list = list,
	.info = info,
	.open = open_unit,
	.configuration = open_configuration,
	.fd = open_fd,
	.attend = open_attend,
	.submit = open_submit,
	.unlink = open_unlink,
	.work = open_work,
	.ready = open_ready,
	.moved = open_moved,
	.abort = open_abort,
	.drop = open_drop,
	.free = open_free,
};
