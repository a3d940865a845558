/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The main thread: from the command line to the last free(). */

#include "daemon/muxd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actor/poller.h"
#include "base/log.h"
#include "base/supervisor.h"
#include "config.h"
#include "daemon/logger.h"
#include "daemon/manager.h"
#include "daemon/options.h"
#include "daemon/process.h"
#include "daemon/records.h"
#include "daemon/roles.h"
#include "daemon/scm_audit.h"
#include "daemon/scm_settings.h"
#include "daemon/sockets.h"
#include "usb/transport.h"

struct muxd {
	struct options options;
	int pidfile_fd; /* -1: none */
	struct process_user user; /* name NULL: stay who we are */
	struct supervisor supervisor;
	struct sockets sockets;
	struct usb_source *sources[OPTIONS_SERVERS_MAX + 1];
	size_t source_count;
	struct records *records;
	struct scm_store scm;
	bool has_scm; /* the store is made */
	struct poller *poller;
	struct manager *manager;
};

/* ---- Start ---- */

/* The daemon's user must be able to write there. */
static void
prepare_records_dir(const struct muxd *d)
{
	const char *dir = d->options.config_dir;

	if (d->user.name == NULL)
		return;
	if (mkdir(dir, 0700) == 0 && chown(dir, d->user.uid, d->user.gid) < 0)
		log_warning("directory %s: %s", dir, strerror(errno));
}

static int
open_sources(struct muxd *d, struct cause *why)
{
	const struct options *o = &d->options;

	if (!o->no_usb) {
		struct usb_source *s =
		    usb_source_libusb_new(!o->no_hotplug, why);

		if (s != NULL)
			d->sources[d->source_count++] = s;
		else if (o->usbip_count == 0)
			return -1;
		else
			log_warning("%s; serving USB/IP servers only",
			    why->text);
	}
	for (size_t i = 0; i < o->usbip_count; i++) {
		struct usb_source *s = usb_source_usbip_new(o->usbip[i], why);

		if (s == NULL)
			return -1;
		d->sources[d->source_count++] = s;
	}
	return 0;
}

/* One that is not there yet is made when a record is first saved. */
static int
check_records_dir(const struct muxd *d, struct cause *why)
{
	const char *dir = d->options.config_dir;
	struct stat st;

	if (stat(dir, &st) < 0 && errno == ENOENT)
		return 0;
	if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	else if (access(dir, R_OK | W_OK | X_OK) == 0)
		return 0;
	return cause_set(why, "pair records cannot be kept in %s: %s; make it "
	    "the daemon user's, or choose another with --config-dir", dir,
	    strerror(errno));
}

static int
start_logger(const struct options *o, struct cause *why) RUNS_ON(on_main)
{
	const enum log_level level = (enum log_level)(LOG_LEVEL_NOTICE +
	    (o->verbosity > 3 ? 3 : o->verbosity));
	enum logger_sink sink =
	    o->foreground ? LOGGER_STDERR : LOGGER_SYSLOG;

	if (o->logfile != NULL)
		sink = LOGGER_FILE;
	log_set_level(level);
	if (scm_audit_start(o->scm_audit, SCM_AUDIT_FILE_MAX, why) < 0)
		return -1;
	if (logger_start(sink, o->logfile, why) == 0)
		return 0;
	scm_audit_stop();
	return -1;
}

static void
stop_logger(void) RUNS_ON(on_main)
{
	logger_stop();
	scm_audit_stop();
}

/* ---- Devices' sockets ---- */

/*
 * A fault in the file, or none, is no reason not to start: phones need nothing
 * of it, and other devices may connect to nothing then.  0, or -1 and a cause.
 */
static int
load_scm(struct muxd *d, struct cause *why)
{
	const struct options *o = &d->options;
	struct scm_settings *s = scm_settings_load(o->scm_conf, why);

	if (s == NULL) {
		log_error("%s; until that is mended, devices may connect to "
		    "nothing", why->text);
		s = scm_settings_empty(o->scm_conf);
	} else if (!s->has_file) {
		log_at(o->scm_conf_named ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		    "%s: there is no such file; devices may connect to "
		    "nothing", o->scm_conf);
	}
	if (s == NULL)
		return cause_set(why, "no memory to start with");
	scm_store_init(&d->scm, s);
	d->has_scm = true;
	return 0;
}

/* What cannot be read changes nothing. */
static void
reload_scm(const struct muxd *d)
{
	struct cause why;
	struct scm_settings *s =
	    scm_settings_load(d->options.scm_conf, &why);

	if (s != NULL)
		manager_scm_loaded(d->manager, s);
	else
		log_error("%s; what was in force stays so", why.text);
}

/* ---- What the manager calls, on its thread ---- */

/* The manager has ended, asked or not: main is woken as by the operator. */
static void
manager_ended(void *arg)
{
	(void)arg;
	kill(getpid(), SIGTERM);
}

/* For the watchdog: serve_signals() answers. */
static void
ask_main(void *host)
{
	(void)host;
	kill(getpid(), SIGALRM);
}

/* Main touches neither file nor sockets until the manager has ended. */
static void
leave(void *host, enum manager_leave what)
{
	struct muxd *d = host;

	if (what == MANAGER_CLOSES)
		sockets_withdraw(&d->sockets);
	else if (d->pidfile_fd >= 0)
		process_mark_pidfile(d->pidfile_fd, what == MANAGER_LEAVING);
}

/* Groups: one for each processor, but no more than can be of use to a host full of
 * phones. */
#define POLLERS_MAX 16

/* Without them each actor waits by itself. */
static void
start_pollers(struct muxd *d)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);
	const unsigned n = processors > 0 ? (unsigned)processors : 1;

	d->poller = poller_new(n < POLLERS_MAX ? n : POLLERS_MAX);
	if (d->poller == NULL)
		log_info("no shared waiting: %s", strerror(errno));
}

static int
start_manager(struct muxd *d, struct cause *why) RUNS_ON(on_main)
{
	const struct manager_config config = {
		.listeners = d->sockets.listeners,
		.listener_count = d->sockets.listener_count,
		.control = d->sockets.control,
		.sources = d->sources,
		.source_count = d->source_count,
		.records = d->records,
		.scm = &d->scm,
		.poller = d->poller,
		.wanted_mode = d->options.wanted_mode,
		.exit_if_idle = d->options.exit_if_idle,
		.idle_ms = d->options.idle_ms,
		.activated = d->sockets.activated,
		.supervisor = &d->supervisor,
		.host = d,
		.leave = leave,
		.ask_main = ask_main,
	};

	d->manager = manager_new(&config, why);
	return d->manager != NULL ? 0 : -1;
}

/* ---- Signals ---- */

static sigset_t
our_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP,
		SIGUSR1, SIGUSR2, SIGALRM };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaddset(&set, numbers[i]);
	return set;
}

static void
serve_signals(const struct muxd *d) RUNS_ON(on_main)
{
	const sigset_t set = our_signals();
	int number;

	for (;;) {
		if (sigwait(&set, &number) != 0)
			continue;
		switch (number) {
		case SIGHUP:
			logger_reopen();
			reload_scm(d);
			break;
		case SIGUSR1:
			if (d->options.exit_if_idle)
				manager_exit_if_idle(d->manager);
			else
				log_notice("asked to exit when idle, but "
				    "started without --enable-exit");
			break;
		case SIGUSR2:
			manager_rescan(d->manager);
			break;
		case SIGALRM:
			manager_main_runs(d->manager);
			break;
		default:
			return;
		}
	}
}

/* ---- End ---- */

static void
release(struct muxd *d)
{
	sockets_close(&d->sockets);
	supervisor_fini(&d->supervisor);
	if (d->poller != NULL)
		poller_free(d->poller);
	if (d->manager != NULL)
		manager_free(d->manager);
	for (size_t i = 0; i < d->source_count; i++)
		d->sources[i]->ops->free(d->sources[i]);
	if (d->records != NULL)
		records_close(d->records);
	if (d->has_scm)
		scm_store_fini(&d->scm);
	if (d->pidfile_fd >= 0)
		process_drop_pidfile(d->pidfile_fd, d->options.pidfile);
}

/* ---- In order ---- */

/* Everything up to running threads.  -1 and a cause when it cannot be. */
static int
prepare(struct muxd *d, struct cause *why)
{
	process_raise_limits();
	umask(0022);
	if (sockets_open(&d->sockets, &d->supervisor, &d->options, &d->user,
		why) < 0)
		return -1;
	prepare_records_dir(d);
	if (d->user.name != NULL && process_become(&d->user, why) < 0)
		return -1;
	if (check_records_dir(d, why) < 0)
		return -1;
	d->records = records_open(d->options.config_dir);
	if (d->records == NULL)
		return cause_set(why, "no memory to start with");
	return 0;
}

/* The exit status, or -1 and a cause. */
static int
run(struct muxd *d, struct cause *why) RUNS_ON(on_main)
{
	bool clean;
	int status;

	if (start_logger(&d->options, why) < 0)
		return -1;
	start_pollers(d);
	if (load_scm(d, why) < 0 || open_sources(d, why) < 0 ||
	    start_manager(d, why) < 0) {
		stop_logger();
		return -1;
	}
	manager_on_end(d->manager, manager_ended, NULL);
	if (manager_start(d->manager, why) < 0) {
		stop_logger();
		return -1;
	}
	log_notice("muxd %s ready", PACKAGE_VERSION);
	process_report(NULL);
	serve_signals(d);
	supervisor_notify(&d->supervisor, "STOPPING=1");
	manager_quit(d->manager);
	clean = manager_join(d->manager);
	status = manager_wants_again(d->manager) ? MANAGER_AGAIN : 0;
	log_notice("muxd ends%s",
	    clean ? "" : "; a device did not let go in time");
	stop_logger();
	if (!clean) {
		/* A thread that is stuck in the kernel still uses all this. */
		sockets_close(&d->sockets);
		if (d->pidfile_fd >= 0)
			process_drop_pidfile(d->pidfile_fd,
			    d->options.pidfile);
		_exit(status);
	}
	return status;
}

static int
fail(const char *sentence)
{
	fprintf(stderr, "muxd: %s\n", sentence);
	return 1;
}

/* Says to whoever waits for it why there will be no daemon. */
static void
report_failure(struct muxd *d, const char *sentence)
{
	char text[sizeof(struct cause) + 16];

	if (d->options.foreground)
		fail(sentence);
	process_report(sentence);
	snprintf(text, sizeof text, "STATUS=%s", sentence);
	supervisor_notify(&d->supervisor, text);
}

/*
 * Takes the process id file.  1: it is ours, or there is to be none.  0: the
 * daemon that holds it does what we were started for: as with usbmuxd, starting
 * a second one with -n makes the first look for phones.  -1 and a cause.
 */
static int
become_the_one(struct muxd *d, struct cause *why)
{
	const char *path = d->options.pidfile;
	pid_t other;
	int fd;

	if (path == NULL)
		return 1;
	while ((fd = process_take_pidfile(path, &other, why)) == 0) {
		if (!d->options.no_hotplug)
			return cause_set(why, "already running as process "
			    "%ld; stop it, or choose another --pidfile and "
			    "--socket", (long)other);
		if (process_signal_other(path, other, SIGUSR2, why) < 0)
			return -1;
		if (process_other_stays(path))
			return 0;
	}
	d->pidfile_fd = fd;
	return fd > 0 ? 1 : -1;
}

/* The daemon proper, in its final process. */
static int
serve(struct muxd *d) RUNS_ON(on_main)
{
	const sigset_t set = our_signals();
	struct cause why = { "" };
	int status;

	/* Before anybody can learn our number, so that no signal comes too
	 * early. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	status = become_the_one(d, &why);
	if (status == 0)
		process_report(NULL);
	else if (status < 0 || prepare(d, &why) < 0 ||
	    (status = run(d, &why)) < 0) {
		report_failure(d, why.text);
		status = 1;
	}
	release(d);
	return status;
}

/* -x and -X. */
static int
signal_other(const struct options *o)
{
	struct cause why;
	pid_t other;

	if (o->pidfile == NULL)
		return fail("--exit needs the running daemon's --pidfile");
	other = process_find_other(o->pidfile, &why);
	if (other < 0)
		return fail(why.text);
	if (other == 0)
		return 0; /* none is running: that is what was wanted */
	if (process_signal_other(o->pidfile, other,
		o->action == OPTIONS_ASK_EXIT ? SIGUSR1 : SIGTERM, &why) < 0)
		return fail(why.text);
	if (o->action == OPTIONS_FORCE_EXIT)
		process_await_leaving(o->pidfile);
	return 0;
}

static int
start(struct muxd *d) RUNS_ON(on_main)
{
	struct cause why;

	/* What is passed is meant for this process id. */
	if (supervisor_init(&d->supervisor, &why) < 0)
		return fail(why.text);
	if (d->options.user != NULL &&
	    process_find_user(d->options.user, &d->user, &why) < 0)
		return fail(why.text);
	if (!d->options.foreground && process_daemonise(&why) < 0)
		return fail(why.text);
	return serve(d);
}

int
muxd_main(int argc, char **argv)
{
	struct muxd d = { .pidfile_fd = -1, .sockets.control = -1,
		.supervisor.notify_fd = -1 };
	struct cause why;
	int status = 0;

	role_take(&on_main);
	if (options_parse(&d.options, argc, argv, &why) < 0) {
		status = fail(why.text);
	} else {
		switch (d.options.action) {
		case OPTIONS_HELP:
			fputs(options_usage, stdout);
			break;
		case OPTIONS_VERSION:
			puts("muxd " PACKAGE_VERSION);
			break;
		case OPTIONS_ASK_EXIT:
		case OPTIONS_FORCE_EXIT:
			status = signal_other(&d.options);
			break;
		case OPTIONS_RUN:
			status = start(&d);
			break;
		}
	}
	role_drop(&on_main);
	return status;
}
