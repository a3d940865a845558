/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_LINK_H
#define MUXD_USBNET_LINK_H

/*
 * Where the URBs of an open device go: one link for each device, whatever
 * number of handles it has.  What stands behind a link (a server, through the
 * importer of USB/IP; or something in this process) is hidden by un_link_ops.
 *
 * Everything in a link happens under its lock, which is held for as long as
 * system calls take that do not wait.  So whoever has the lock sends, receives
 * and completes: the thread that handles events, one that waits for a request
 * of its own (exchange.c), one that submits.  What completes is put into a line
 * for the handler of events, which alone calls the program back.
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/clock.h"
#include "usbip/importer.h"
#include "usbnet/context.h"
#include "usbnet/endpoints.h"
#include "usbnet/timers.h"

struct libusb_device;
struct libusb_device_handle;
struct un_link;

/* All of these under the link's lock; none of them waits, leave() excepted. */
struct un_link_ops {
	/*
	 * Begins on a URB; its complete() comes in work() or abort().  With
	 * `more`, sending may be put off until flush().  False: not now,
	 * because so many are under way (complete() makes room), or because
	 * the connection is lost, which work() will tell.  Where there is no
	 * room for endpoint 0, there is none for others.
	 */
	bool (*submit)(struct un_link *l, struct importer_urb *urb, bool more);
	void (*flush)(struct un_link *l);
	/* Asks for a URB in flight back: it completes in any case. */
	void (*unlink)(struct un_link *l, struct importer_urb *urb);
	/* Moves what can be moved.  False: the connection is lost. */
	bool (*work)(struct un_link *l);
	/* Bytes that have come and gone, in all. */
	uint64_t (*moved)(struct un_link *l);
	/* work() is worth a call although poll() says nothing. */
	bool (*ready)(struct un_link *l);
	/* Somebody begins, or ends, to wait on un_link.fd.  Only they do: to the
	 * handler of events the context's waker tells all.  NULL: the handler
	 * polls it, too, and whoever wants to. */
	void (*attend)(struct un_link *l, bool on);
	/* What to poll un_link.fd for. */
	short (*events)(struct un_link *l);
	/* Gives the device back, and waits for a moment until it can be had
	 * again; not when the connection is lost.  Only abort() and free()
	 * follow. */
	void (*leave)(struct un_link *l);
	/* Completes all that is in flight with USBIP_ESHUTDOWN, and lets go of
	 * the device.  Only free() follows. */
	void (*abort)(struct un_link *l);
	/* After a fork, in the child: closes what the parent still uses, so
	 * that it does not notice.  Only abort() and free() follow. */
	void (*drop)(struct un_link *l);
	void (*free)(struct un_link *l);
};

struct un_link {
	const struct un_link_ops *ops;
	struct libusb_context *ctx;
	struct libusb_device *dev; /* a reference */
	int fd;                    /* -1: nothing to poll */
	struct un_link *next;      /* in the context's list */
	unsigned handles;          /* the context's lock */

	/* ---- The handler's of events ---- */
	struct un_link *next_corked;
	bool corked; /* submits put sending off */
	bool told;   /* the program has been told to poll `fd`... */
	short told_events; /* ...for these */

	/* ---- Under `lock` ---- */
	pthread_mutex_t lock;
	bool lost;    /* takes no more; what was in flight has completed */
	bool closing; /* what completes goes nowhere */
	struct moment moved_at;     /* work() has last moved something */
	struct un_transfers flying; /* handed to ops->submit() */
	struct un_transfers line;   /* there was no room for them yet;
				     * those of endpoint 0 come first */
	struct un_transfers done;   /* for the handler of events */
	struct un_timers timers;
	struct libusb_device_handle *claims[UN_INTERFACES_MAX];
	uint8_t alts[UN_INTERFACES_MAX]; /* current alternate settings */
	struct un_endpoint endpoints[UN_ENDPOINTS_MAX];
};

/* Its descriptor is one of those that the handler of events polls. */
static inline bool
un_link_is_polled(const struct un_link *l)
{
	return l->fd >= 0 && l->ops->attend == NULL;
}

/* Opens a device: that of a server, which is imported, or one of this process.
 * 0, or LIBUSB_ERROR_*.  Blocks. */
int un_link_open(struct libusb_device *dev, struct un_link **out);
int un_link_open_usbip(struct libusb_device *dev, struct un_link **out);
int un_link_open_virtual(struct libusb_device *dev, struct un_link **out);

void un_link_init(struct un_link *l, const struct un_link_ops *ops,
    struct libusb_device *dev, int fd);
/* Lets go of the device: what was in flight is no more, nothing comes after.
 * The owner of the events lock, or nobody else has ever seen the link. */
void un_link_close(struct un_link *l);

/* ---- Under the lock ---- */

/*
 * Until when an answer to what was asked at `asked` is to be waited for:
 * USBNET_TIMEOUT from then, or from when the link has last moved something,
 * since the question may stand in a long line; but `most` times that at most.
 */
enum {
	UN_PATIENCE_ANSWER = 4, /* a device may be slow, too */
	UN_PATIENCE_RETURN = 20, /* giving a URB back is the server's own */
};
struct moment un_link_patience(const struct un_link *l, struct moment asked,
    int most);

/* Works, and takes in those that wait for room.  False: it has just been found
 * to be lost; say so with un_link_tell_lost(). */
bool un_link_work(struct un_link *l);
/* The same end, because the server does not answer. */
void un_link_lose(struct un_link *l);
/* The link is lost: those who wait for room on it go, too. */
void un_link_end_line(struct un_link *l);
/* A handle is closed, and others stay: takes back its transfers.  Waits until
 * the server has let go of them.  The events lock's owner. */
void un_link_retire(struct un_link *l, struct libusb_device_handle *h);
/* The same with one transfer, whose memory is about to go. */
void un_link_take_back(struct un_link *l, struct un_transfer *t);
/* Reads the endpoints of the current settings out of the descriptors. */
void un_link_learn_endpoints(struct un_link *l);
/* A request on the control endpoint has succeeded: it may have been one that
 * changes the configuration or an alternate setting. */
void un_link_note_request(struct un_link *l, const uint8_t setup[8]);
/* Asks a transfer in flight back.  When that is not answered, un_link_expire()
 * loses the link: its timer is set anew. */
void un_link_ask_back(struct un_link *l, struct un_transfer *t);
/* Timers that have run out.  False: it has just been found to be lost. */
bool un_link_expire(struct un_link *l, struct moment now);

/* ---- Not under it ---- */

/* The device has left, as far as this context is concerned. */
void un_link_tell_lost(struct un_link *l);

/*
 * A control request of the library's own, in whatever thread, also inside event
 * handling.  Bytes moved, or LIBUSB_ERROR_*.  Waits for the link's patience; a
 * server that does not even take the request back loses the link.
 */
int un_link_control(struct un_link *l, uint8_t request_type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length);

#endif
