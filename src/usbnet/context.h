/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_CONTEXT_H
#define MUXD_USBNET_CONTEXT_H

/*
 * A context of libusb: the buses that a program sees, what it has open there,
 * and how its events are handled.
 *
 * There is no thread in this library.  What happens, happens in the program's
 * calls: callbacks inside event handling and nowhere else.
 *
 * Locks, outermost first; none is held while a callback runs, or while anything
 * is waited for, but the events lock, as libusb's interface has it:
 *	events		who handles events; who takes a link away
 *	context		buses, devices, handles, links as a list, hotplug
 *	link		one connection: its URBs, its timers (link.h)
 *	waiters		those who wait for the handler of events
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "actor/mailbox.h"
#include "base/clock.h"
#include "usbnet/api.h"

struct un_bus;
struct un_callback;
struct un_link;
struct un_message;
struct un_poll;
struct un_transfer;

TAILQ_HEAD(un_transfers, un_transfer);

struct libusb_context {
	_Atomic unsigned refs; /* the program's, and each device's and handle's */
	struct libusb_context *next; /* all contexts, under their lock */
	bool exited;                 /* under `lock` */

	/* ---- Log ---- */
	_Atomic int log_level;
	bool log_fixed; /* LIBUSB_DEBUG has said it */
	_Atomic(libusb_log_cb) log_cb;
	bool quiet; /* the library says nothing of its own */
	dev_t stderr_dev; /* what standard error was at first */
	ino_t stderr_ino;

	int timeout_ms; /* for connecting, and for one operation */

	/* ---- Under `lock` ---- */
	pthread_mutex_t lock;
	struct un_bus *buses;
	size_t bus_count;
	struct libusb_device *devices;        /* those attached */
	struct libusb_device_handle *handles; /* those open */
	struct un_link *links; /* taken away by the events lock's owner only */
	struct un_callback *callbacks;
	int next_callback;
	struct un_message *messages, **messages_end;
	libusb_pollfd_added_cb fd_added;
	libusb_pollfd_removed_cb fd_removed;
	void *fd_user_data;

	/* ---- Events ---- */
	pthread_mutex_t events;
	_Atomic uintptr_t events_owner; /* un_thread(), 0: nobody */
	_Atomic uintptr_t handler;      /* the same, inside handle_events */
	_Atomic unsigned closers;       /* want the events lock */
	_Atomic bool polled; /* by the program itself: it has asked for what */
	struct waker *waker;
	pthread_mutex_t waiters;
	pthread_cond_t event;
	_Atomic unsigned waiting; /* have, or want, the lock `waiters` */

	/* One timer for everything.  It may be early, never late. */
	pthread_mutex_t timer;
	int timer_fd;
	_Atomic int64_t timer_at; /* struct moment's ns; written under `timer` */

	/* ---- The events lock's owner's ---- */
	struct un_transfers done; /* callbacks to come */
	struct un_link *corked;   /* have put off sending */
	struct un_poll *poll;
};

/* The one meant by `ctx`, which may be NULL: the default, or else the first
 * that there is.  NULL when the library has not been initialised. */
struct libusb_context *un_context(libusb_context *ctx);

struct libusb_context *un_context_get(struct libusb_context *ctx);
void un_context_put(struct libusb_context *ctx);

/* Contexts to come see no bus (LIBUSB_OPTION_NO_DEVICE_DISCOVERY). */
void un_context_without_buses(void);

/* Names the calling thread; never 0. */
uintptr_t un_thread(void);

/* The calling thread is inside event handling, which must not nest. */
bool un_is_handler(struct libusb_context *ctx);

/* ---- Log (log.c) ---- */

void un_log_init(struct libusb_context *ctx);

/* What the person who started the program should know (a server that is away),
 * on standard error, whatever the program's log level is; unless that would make
 * the program wait, or is another file by now.  May be called under locks. */
void un_say(struct libusb_context *ctx, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
