/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_BUS_H
#define MUXD_USBNET_BUS_H

/*
 * A bus is a server: what it has plugged in.
 *
 * A server of ours is watched over a connection that is kept, and tells of each
 * change; any other is asked when the program wants a list, and every second
 * while it wants to be told.  Which it is, has to show.  One that is away is tried again after growing
 * pauses.  Nothing here waits but un_buses_refresh(), and that not long for a
 * server that has failed before: a server that hangs costs its time once.
 */

#include <poll.h>
#include <stddef.h>

#include "usbnet/context.h"

struct sock_addr;

/* Those that USBNET_SERVERS names, and what is plugged in there.  Blocks. */
int un_buses_open(struct libusb_context *ctx);
void un_buses_close(struct libusb_context *ctx);

/* Brings the list of devices up to date.  Blocks for USBNET_TIMEOUT at most,
 * after a host's name has been looked up. */
void un_buses_refresh(struct libusb_context *ctx);

/* The program wants to be told of changes. */
void un_buses_watch(struct libusb_context *ctx);

/* What has come from the server.  The handler of events. */
void un_bus_work(struct un_bus *b);
/* What has run out; when something will next.  The same. */
struct moment un_buses_expire(struct libusb_context *ctx, struct moment now);

/* ---- Under the context's lock ---- */

struct un_bus *un_bus_at(struct libusb_context *ctx, size_t i);
struct pollfd un_bus_pollfd(const struct un_bus *b);
/* A device of it has left without the server's saying so.  Lets the lock go to
 * tell the program of its descriptors. */
void un_bus_ask_again(struct un_bus *b);

/* After a fork, in the child: gives up the inherited sockets. */
void un_buses_drop(struct libusb_context *ctx);

/* ---- Any thread ---- */

/* Whether a question about a device, which blocks, is worth its time: not while
 * the server has just left one unanswered. */
bool un_bus_may_ask(struct un_bus *b);
void un_bus_note_silence(struct un_bus *b);

/* Whether it may describe a device when asked (DEVINFO); one of another make
 * does not.  It may until it has failed to; has it ever, it does. */
bool un_bus_may_describe(struct un_bus *b);
void un_bus_note_describes(struct un_bus *b, bool does);

/* What the devices of this process are plugged into: the module says. */
void un_buses_look(struct libusb_context *ctx);

/* Never change while it has a device. */
const struct sock_addr *un_bus_server(const struct un_bus *b);
bool un_bus_is_virtual(const struct un_bus *b);

#endif
