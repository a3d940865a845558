/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "export/usbexportd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actor/mailbox.h"
#include "base/clock.h"
#include "base/log.h"
#include "export/control.h"
#include "export/monitor.h"
#include "export/options.h"
#include "export/stdio.h"
#include "usbip/server.h"

#define EXIT_USAGE 2

#define LISTEN_BACKLOG 64
/* --stdio: what the import left to be written gets this long to be read. */
#define RELAY_MS 5000

struct listener {
	int fd; /* -1: the server's */
	/* The file of a UNIX socket, as long as it listens. */
	dev_t dev;
	ino_t ino;
};

struct exporter {
	const struct options *options;
	struct waker *waker;
	struct usbip_server *server;
	struct monitor *monitor;
	struct control control;
	struct responder *responder; /* the control socket's; NULL: none */
	/* Bound, and handed to the server when it serves. */
	struct listener listeners[OPTIONS_LISTEN_MAX];
	unsigned listener_count;
	bool serving;
	/* --stdio: the engine's import, and the relay, have come to their ends. */
	_Atomic bool engine_ended, relay_ended;
	volatile sig_atomic_t quitting;
};

/* For the handler, which has nothing else to go by. */
static struct exporter *the_exporter;

static void
on_signal(int number)
{
	(void)number;
	the_exporter->quitting = true;
	waker_wake(the_exporter->waker);
}

static void
catch_signals(struct exporter *x)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	the_exporter = x;
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = on_signal;
	/* The second one ends the program as it is, for a device that does not
	 * let go of its transfers. */
	sa.sa_flags = SA_RESETHAND;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sa.sa_flags = 0;
	sigaction(SIGPIPE, &sa, NULL);
}

/* ---- Start --------------------------------------------------------------
 * In an order that can stop anywhere: stop() looks at what is there. */

/* Adds a remedy to what sock_listen() says, where it has none. */
static int
listen_error(const struct sock_addr *addr, struct cause *why,
    const struct cause *plain)
{
	const char *remedy = "";

	if (addr->is_unix && errno != EADDRINUSE)
		remedy = "; name a file in a folder that this user may write "
			 "to, with -l unix:PATH";
	else if (errno == EADDRINUSE)
		remedy = "; end the server that has it, or choose another "
			 "with -l";
	else if (errno == EACCES)
		remedy = "; choose a port above 1023 with -l";
	else if (errno == EADDRNOTAVAIL)
		remedy = "; name an address of this host with -l";
	return cause_set(why, "%s%s", plain->text,
	    addr->is_unix && errno == EADDRINUSE ? "" : remedy);
}

static int
bind_sockets(struct exporter *x, struct cause *why)
{
	for (unsigned i = 0; i < x->options->listen_count; i++) {
		const struct sock_addr *addr = &x->options->listen[i];
		struct listener *l = &x->listeners[i];
		struct cause plain;
		struct stat st;

		errno = 0;
		l->fd = sock_listen(addr, 0600, LISTEN_BACKLOG, &plain);
		if (l->fd < 0)
			return listen_error(addr, why, &plain);
		x->listener_count++;
		if (addr->is_unix && stat(addr->path, &st) == 0) {
			l->dev = st.st_dev;
			l->ino = st.st_ino;
		}
	}
	return 0;
}

/* A control socket that nobody asked for is a convenience: without it the
 * devices are exported all the same. */
static int
open_control(struct exporter *x, struct cause *why)
{
	struct cause plain;

	if (x->options->control == NULL)
		return 0;
	x->control = (struct control){ x->server, x->monitor };
	x->responder = control_open(&x->control, x->options->control, &plain);
	if (x->responder != NULL)
		return 0;
	if (x->options->control_wanted)
		return cause_set(why, "--control: %s", plain.text);
	log_notice("muxctl cannot reach this server: %s; name another place "
	    "with --control", plain.text);
	return 0;
}

static bool
admit(void *arg, const struct sockaddr *peer, socklen_t len)
{
	const struct options *o = arg;

	/* Of a UNIX socket, the file's mode decides. */
	if (o->allow_count == 0 || peer->sa_family == AF_UNIX)
		return true;
	for (unsigned i = 0; i < o->allow_count; i++)
		if (cidr_holds(&o->allow[i], peer, len))
			return true;
	return false;
}

static int
start(struct exporter *x, struct cause *why)
{
	x->waker = waker_new_polled();
	if (x->waker == NULL)
		return cause_set(why, "cannot wait for events: %s",
		    strerror(errno));
	if (bind_sockets(x, why) < 0)
		return -1;
	x->server = usbip_server_new(why);
	if (x->server == NULL)
		return -1;
	usbip_server_set_gate(x->server, admit, (void *)x->options);
	x->monitor = monitor_start(&x->options->policy, x->server, x->waker,
	    why);
	return x->monitor == NULL ? -1 : open_control(x, why);
}

/* ---- Serving ------------------------------------------------------------ */

static bool
is_local(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    cidr_is_local((struct sockaddr *)&ss, len);
}

static void
say_where(const struct exporter *x, unsigned i, int fd)
{
	struct sock_addr addr = x->options->listen[i];
	char text[SOCK_ADDR_TEXT_MAX];

	if (!addr.is_unix)
		snprintf(addr.port, sizeof addr.port, "%u",
		    sock_local_port(fd));
	log_notice("listening on %s", sock_addr_text(text, &addr));
	if (!is_local(fd) && x->options->allow_count == 0)
		log_warning("whoever reaches %s can use these devices, without "
		    "any password; limit that with --allow-from", text);
}

static int
serve_sockets(struct exporter *x, struct cause *why)
{
	for (unsigned i = 0; i < x->listener_count; i++) {
		const int fd = x->listeners[i].fd;

		say_where(x, i, fd);
		x->listeners[i].fd = -1;
		if (usbip_server_listen(x->server, fd, why) < 0)
			return -1;
	}
	return 0;
}

/* Any thread, as the next. */
static void
on_engine_ended(void *arg)
{
	struct exporter *x = arg;

	atomic_store(&x->engine_ended, true);
	waker_wake(x->waker);
}

static void
on_relay_ended(void *arg)
{
	struct exporter *x = arg;

	atomic_store(&x->relay_ended, true);
	waker_wake(x->waker);
}

static int
serve_stdio(struct exporter *x, struct cause *why)
{
	bool relayed;
	const int fd = stdio_open(on_relay_ended, x, &relayed, why);

	if (fd < 0)
		return -1;
	if (!relayed)
		atomic_store(&x->relay_ended, true);
	return usbip_server_adopt(x->server, fd, on_engine_ended, x, why);
}

static int
serve(struct exporter *x, struct cause *why)
{
	x->serving = true;
	if (x->options->stdio)
		return serve_stdio(x, why);
	return serve_sockets(x, why);
}

static bool
is_over(struct exporter *x, struct moment relay_until)
{
	return x->quitting ||
	    (atomic_load(&x->engine_ended) &&
		(atomic_load(&x->relay_ended) ||
		    !moment_before(clock_now(), relay_until)));
}

/* The waker is cleared before anything is looked at, so that what happens
 * meanwhile wakes again. */
static void
wait_and_answer(struct exporter *x, struct moment until)
{
	struct pollfd pfd[2 + CONTROL_CLIENTS_MAX];
	int n = 1;

	pfd[0] = (struct pollfd){ .fd = x->waker->read_fd, .events = POLLIN };
	if (x->responder != NULL)
		n += responder_pollfds(x->responder, pfd + 1);
	if (poll(pfd, (nfds_t)n, moment_poll_timeout(clock_now(), until)) < 0)
		return; /* a signal; its handler has woken the waker */
	if (pfd[0].revents != 0)
		waker_clear(x->waker);
	if (x->responder != NULL)
		responder_serve(x->responder, pfd + 1);
}

static int
run(struct exporter *x, struct cause *why)
{
	struct moment relay_until = MOMENT_NEVER;

	while (!is_over(x, relay_until)) {
		/* The first list is to be whole. */
		if (!x->serving && monitor_settled(x->monitor) &&
		    serve(x, why) < 0)
			return -1;
		if (relay_until.ns == MOMENT_NEVER.ns &&
		    atomic_load(&x->engine_ended))
			relay_until = moment_after_ms(clock_now(), RELAY_MS);
		wait_and_answer(x, relay_until);
	}
	return 0;
}

/* ---- End ---------------------------------------------------------------- */

/* The files of UNIX sockets go while the sockets still listen: afterwards
 * another server may put its own there, while this one waits for its devices.
 * Those only that are ours, in case somebody removed ours by hand before. */
static void
unlink_listeners(const struct exporter *x)
{
	for (unsigned i = 0; i < x->listener_count; i++) {
		const struct sock_addr *addr = &x->options->listen[i];
		const struct listener *l = &x->listeners[i];
		struct stat st;

		if (addr->is_unix && stat(addr->path, &st) == 0 &&
		    st.st_dev == l->dev && st.st_ino == l->ino)
			unlink(addr->path);
	}
}

/* First nothing new comes, then every import ends and gives its device back,
 * then what they stood on goes. */
static void
stop(struct exporter *x)
{
	unlink_listeners(x);
	responder_close(x->responder);
	if (x->monitor != NULL)
		monitor_stop(x->monitor);
	if (x->server != NULL)
		usbip_server_free(x->server);
	if (x->monitor != NULL)
		monitor_free(x->monitor);
	for (unsigned i = 0; i < x->listener_count; i++)
		if (x->listeners[i].fd >= 0)
			close(x->listeners[i].fd);
	/* The relay of --stdio may still hold the waker; it ends with the
	 * process. */
	if (x->waker != NULL && !x->options->stdio)
		waker_put(x->waker);
}

/* ---- The program -------------------------------------------------------- */

static void
set_log_level(const struct options *o)
{
	static const enum log_level levels[] = { LOG_LEVEL_NOTICE,
		LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_PACKET };
	const unsigned last = sizeof levels / sizeof levels[0] - 1;

	if (o->quiet)
		log_set_level(LOG_LEVEL_ERROR);
	else
		log_set_level(
		    levels[o->verbosity < last ? o->verbosity : last]);
}

static int
fail(const struct cause *why, int status)
{
	fprintf(stderr, "usbexportd: %s\n", why->text);
	return status;
}

int
usbexportd_main(int argc, char **argv)
{
	static struct options options;
	static struct exporter x;
	struct cause why;
	int rc;

	if (options_parse(&options, argc, argv, &why) < 0)
		return fail(&why, EXIT_USAGE);
	if (options.action != OPTIONS_RUN) {
		fputs(options.action == OPTIONS_HELP
			? options_usage
			: "usbexportd " PACKAGE_VERSION "\n", stdout);
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	set_log_level(&options);
	x.options = &options;
	rc = start(&x, &why);
	if (rc == 0) {
		catch_signals(&x);
		rc = run(&x, &why);
	}
	stop(&x);
	return rc < 0 ? fail(&why, EXIT_FAILURE) : EXIT_SUCCESS;
}
