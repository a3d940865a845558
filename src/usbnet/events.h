/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_EVENTS_H
#define MUXD_USBNET_EVENTS_H

/*
 * Event handling.  A program may sleep in libusb_handle_events(), or poll by
 * itself what libusb_get_pollfds() names; so whatever there is to do shows on a
 * descriptor: a link's or bus's socket, the timer, or the waker for all else.
 */

#include <stdbool.h>

#include "usbnet/context.h"

/* 0, or -1 when memory or descriptors have run out. */
int un_events_init(struct libusb_context *ctx);
/* The context has ended: closes its descriptors.  Devices and handles that the
 * program still has may be given back later. */
void un_events_end(struct libusb_context *ctx);
void un_events_fini(struct libusb_context *ctx);

/* In the child of a fork: new locks and descriptors in place of those that it
 * shares with its parent. */
void un_events_forget_others(struct libusb_context *ctx);
void un_events_renew_fds(struct libusb_context *ctx);

/* There is something to do that shows on no socket, or the sockets to poll are
 * others.  Any thread. */
void un_wake(struct libusb_context *ctx);

/* Sends, when the handler has made its round, what the link has put off.  The
 * handler. */
void un_cork(struct un_link *l);

/* Has the timer run out at `at`, or before.  Any thread. */
void un_timer_set(struct libusb_context *ctx, struct moment at);

/* The events lock for one who takes something away that its owner may be using:
 * interrupts the owner.  False: the caller is the owner already, and keeps it.
 * To be given back with un_events_leave() if true. */
bool un_events_enter(struct libusb_context *ctx);
void un_events_leave(struct libusb_context *ctx);

/* ---- Descriptors (poll.c) ---- */

/* One round of poll(): 1 when there is something to do, 0 when the time has
 * passed, or LIBUSB_ERROR_*.  The events lock's owner. */
int un_poll_wait(struct libusb_context *ctx, int timeout_ms);
/* Works on what that has found.  The same. */
void un_poll_work(struct libusb_context *ctx);
/* The round is over: what a link without a descriptor has to do meanwhile must
 * show to a program that polls by itself.  The same. */
void un_poll_leave(struct libusb_context *ctx);
void un_poll_free(struct un_poll *p);

/* Tells a program that wants to know which descriptors it has to poll.  Not
 * under a lock. */
void un_poll_added(struct libusb_context *ctx, int fd, short events);
void un_poll_removed(struct libusb_context *ctx, int fd);

#endif
