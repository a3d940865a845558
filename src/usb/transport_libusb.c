/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A local device as a transport: bring-up, end, and what its parts share. */

#include "usb/transport_libusb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "usb/sysfs.h"

/* How long transfers may take to come back: by themselves, then cancelled.
 * stop() promises a second in all. */
#define RETURN_MS 400
#define REAP_MS 400

int
local_error(int libusb_error)
{
	switch (libusb_error) {
	case LIBUSB_SUCCESS:
		return USB_OK;
	case LIBUSB_ERROR_TIMEOUT:
		return USB_ERROR_TIMEOUT;
	case LIBUSB_ERROR_PIPE:
		return USB_ERROR_STALL;
	case LIBUSB_ERROR_NO_DEVICE:
	case LIBUSB_ERROR_NOT_FOUND:
		return USB_ERROR_GONE;
	case LIBUSB_ERROR_BUSY:
		return USB_ERROR_BUSY;
	case LIBUSB_ERROR_ACCESS:
		return USB_ERROR_ACCESS;
	case LIBUSB_ERROR_NO_MEM:
		return USB_ERROR_NO_MEM;
	case LIBUSB_ERROR_NOT_SUPPORTED:
		return USB_ERROR_UNSUPPORTED;
	case LIBUSB_ERROR_OVERFLOW:
		return USB_ERROR_OVERFLOW;
	default:
		return USB_ERROR_IO;
	}
}

void
local_fail(struct local_transport *t, int error)
{
	int ok = USB_OK;

	atomic_compare_exchange_strong_explicit(&t->failure, &ok, error,
	    memory_order_relaxed, memory_order_relaxed);
	/* It may be the writer that fails while the reader waits. */
	libusb_interrupt_event_handler(t->ctx);
}

/* ---- Other programs ---- */

/*
 * The current configuration, or a usb_error.  Of a device that it did not find
 * itself libusb would ask the device, which may take a second to answer and which
 * does not know what the kernel takes it for.
 */
static int
ask_configuration(struct local_transport *t)
{
	int value, r;

	if (t->fd >= 0)
		return sysfs_configuration(t->key);
	r = libusb_get_configuration(t->handle, &value);
	return r < 0 ? local_error(r) : value;
}

int
local_verify(struct local_transport *t)
{
	const int value =
	    t->configuration >= 0 ? ask_configuration(t) : USB_ERROR_GONE;

	if (value >= 0 && value != t->configuration)
		return USB_ERROR_TAKEN;
	return claim_mark_holds(&t->mark) ? USB_OK : USB_ERROR_TAKEN;
}

/*
 * Transfers in flight end as if the device were gone when it is reset or
 * configured, new ones fail for want of their endpoint, and so does the claim
 * of an interface that is not there now.  A question that goes to the kernel
 * only tells whether it really is gone.
 */
int
local_explain(struct local_transport *t, int error)
{
	int r;

	if (error == USB_ERROR_IO)
		return local_verify(t) == USB_OK ? error : USB_ERROR_TAKEN;
	if (error != USB_ERROR_GONE)
		return error;
	r = libusb_kernel_driver_active(t->handle,
	    t->claimed >= 0 ? t->claimed : 0);
	return r == LIBUSB_ERROR_NO_DEVICE || r == LIBUSB_ERROR_NOT_SUPPORTED
	    ? error : USB_ERROR_TAKEN;
}

/* ---- Transfers ---- */

int
local_submit(struct local_transport *t, struct libusb_transfer *x)
{
	int r;

	/* Counted before, because it may be done before submit returns. */
	atomic_fetch_add_explicit(&t->flying, 1, memory_order_relaxed);
	r = libusb_submit_transfer(x);
	if (r < 0)
		atomic_fetch_sub_explicit(&t->flying, 1, memory_order_relaxed);
	return r;
}

int
local_reap(struct local_transport *t, const struct libusb_transfer *x)
{
	atomic_fetch_sub_explicit(&t->flying, 1, memory_order_relaxed);
	t->reaped++;
	switch (x->status) {
	case LIBUSB_TRANSFER_COMPLETED:
		return USB_OK;
	case LIBUSB_TRANSFER_STALL:
		return USB_ERROR_STALL;
	case LIBUSB_TRANSFER_CANCELLED:
	case LIBUSB_TRANSFER_NO_DEVICE:
		return USB_ERROR_GONE;
	case LIBUSB_TRANSFER_OVERFLOW:
		return USB_ERROR_OVERFLOW;
	case LIBUSB_TRANSFER_TIMED_OUT:
		return USB_ERROR_TIMEOUT;
	case LIBUSB_TRANSFER_ERROR:
		break;
	}
	return USB_ERROR_IO;
}

/* ---- Bring-up ---- */

static int
control(struct transport *base, const struct usb_setup_packet *setup,
    void *data, unsigned timeout_ms)
{
	/* To libusb 0 means for ever. */
	const int r = libusb_control_transfer(local_of(base)->handle,
	    setup->request_type, setup->request, setup->value, setup->index,
	    data, setup->length, timeout_ms > 0 ? timeout_ms : 1);

	return r < 0 ? local_explain(local_of(base), local_error(r)) : r;
}

static int
get_configuration(struct transport *base)
{
	struct local_transport *t = local_of(base);
	const int value = ask_configuration(t);

	if (value < 0)
		return local_explain(t, value);
	t->configuration = value;
	return value;
}

/* Systems without drivers in the way say that they cannot; that is fine. */
static void
detach_driver(struct local_transport *t, int interface)
{
	if (libusb_kernel_driver_active(t->handle, interface) == 1)
		libusb_detach_kernel_driver(t->handle, interface);
}

static int
set_configuration(struct transport *base, int value, int interfaces)
{
	struct local_transport *t = local_of(base);
	int r;

	for (int i = 0; i < interfaces; i++)
		detach_driver(t, i);
	r = libusb_set_configuration(t->handle, value);
	if (r < 0)
		return local_explain(t, local_error(r));
	t->configuration = value;
	return USB_OK;
}

static int
claim(struct transport *base, int interface)
{
	struct local_transport *t = local_of(base);
	int r;

	detach_driver(t, interface);
	r = libusb_claim_interface(t->handle, interface);
	if (r < 0)
		return local_explain(t, local_error(r));
	t->claimed = interface;
	/* In another configuration it may be another one with that number. */
	return local_verify(t);
}

static int
clear_halt(struct transport *base, uint8_t endpoint)
{
	return local_error(
	    libusb_clear_halt(local_of(base)->handle, endpoint));
}

static int
reset(struct transport *base)
{
	struct local_transport *t = local_of(base);
	const int r = libusb_reset_device(t->handle);

	t->explained = true; /* it was us */
	local_fail(t, USB_ERROR_GONE);
	/* "Not found": it is back already, as another device. */
	return r == LIBUSB_ERROR_NOT_FOUND ? USB_OK : local_error(r);
}

/* ---- End ---- */

static void
interrupt(struct transport *base)
{
	struct local_transport *t = local_of(base);

	/* Release: pairs with the acquire in local_read().  The wake-up stays
	 * with libusb until its events are handled next. */
	if (atomic_exchange_explicit(&t->interrupted, true,
		memory_order_release))
		return;
	pthread_mutex_lock(&t->wake_lock);
	if (t->ctx != NULL)
		libusb_interrupt_event_handler(t->ctx);
	pthread_mutex_unlock(&t->wake_lock);
}

static void
halt(struct transport *base)
{
	struct local_transport *t = local_of(base);

	/* Release: pairs with the acquires in local_read() and local_write(),
	 * neither of which ever waits inside a submit. */
	atomic_store_explicit(&t->halted, true, memory_order_release);
	libusb_interrupt_event_handler(t->ctx);
}

static bool
any_flying(struct local_transport *t)
{
	return atomic_load_explicit(&t->flying, memory_order_acquire) > 0;
}

/* Waits until all transfers have come back.  False: some do not. */
static bool
await_transfers(struct local_transport *t, int ms)
{
	const struct moment deadline = moment_after_ms(clock_now(), ms);
	int left = ms;

	while (any_flying(t) && left > 0 && local_handle_events(t, left))
		left = moment_poll_timeout(clock_now(), deadline);
	return !any_flying(t);
}

/*
 * What a device had in flight comes back by itself when it leaves or is reset.
 * To ask for it just then can wait for ever: when a USB/IP server closes, Linux's
 * vhci_hcd forgets a transfer that it has not sent yet, if that was cancelled
 * before (6.1, vhci_cleanup_unlink_list()).  The kernel then waits for it with
 * the device's lock, and whoever wants that lock with it: the hub, udev.
 */
static bool
reap_all(struct local_transport *t)
{
	const int error = local_failure(t);

	if ((error == USB_ERROR_GONE || error == USB_ERROR_TAKEN) &&
	    await_transfers(t, RETURN_MS))
		return true;
	local_reads_cancel(t, USB_PIPE_BULK);
	local_reads_cancel(t, USB_PIPE_INTERRUPT);
	local_writes_cancel(t);
	return await_transfers(t, REAP_MS);
}

/*
 * Closing a device whose transfers have not come back can block for as long as
 * the host controller is stuck, and would free what it writes into.  So all of
 * it stays: context, handle, transfers, and the chunks of its reads.  Frames are
 * only read from; their owners get them back, as always.
 */
static void
leak(struct local_transport *t)
{
	t->leaked = true;
	log_error("USB device %s: %d cancelled transfers do not end within "
	    "%d ms; their memory is given up", t->key,
	    atomic_load_explicit(&t->flying, memory_order_relaxed), REAP_MS);
}

/*
 * Waits for whoever makes or ends a context, anywhere in this process; and who
 * makes one that enumerates looks at every device of the host, also at those
 * that another program resets right now, which takes as long as the reset.  So
 * it is nothing for free(), which any thread may call.
 */
static void
end_context(struct local_transport *t)
{
	libusb_context *ctx = t->ctx;

	pthread_mutex_lock(&t->wake_lock);
	t->ctx = NULL;
	pthread_mutex_unlock(&t->wake_lock);
	libusb_exit(ctx);
}

static void
stop(struct transport *base)
{
	struct local_transport *t = local_of(base);
	bool reaped;

	t->reading.stopping = true;
	atomic_store_explicit(&t->halted, true, memory_order_relaxed);
	claim_mark_fini(&t->mark);
	reaped = reap_all(t);
	local_writes_abandon(t);
	local_reads_drop(t);
	if (!reaped) {
		leak(t);
		return;
	}
	local_writes_fini(t);
	local_reads_fini(t);
	if (t->claimed >= 0)
		libusb_release_interface(t->handle, t->claimed);
	local_close(t);
	end_context(t);
}

static void
do_free(struct transport *base)
{
	struct local_transport *t = local_of(base);

	if (t->leaked)
		return;
	pthread_mutex_destroy(&t->wake_lock);
	free(t);
}

static const struct transport_ops ops = {
	.name = "libusb",
	.control = control,
	.get_configuration = get_configuration,
	.set_configuration = set_configuration,
	.claim = claim,
	.clear_halt = clear_halt,
	.reset = reset,
	.start = local_start,
	.read = local_read,
	.watched = local_watched,
	.look = local_look,
	.patience = local_patience,
	.write = local_write,
	.interrupt = interrupt,
	.halt = halt,
	.stop = stop,
	.free = do_free,
};

/* ---- Opening ---- */

static int
open_failed(int error, const struct usb_ident *ident, struct cause *why)
{
	const char *remedy = "";

	if (error == USB_ERROR_ACCESS)
		remedy = "; run the daemon as root, or let a udev rule give "
			 "the device to its user";
	else if (error == USB_ERROR_BUSY)
		remedy = "; end the program that uses it";
	cause_set(why, "device %s: cannot open it: %s%s", ident->key,
	    usb_error_text(error), remedy);
	return error;
}

static struct local_transport *
new_transport(struct read_budget *budget, const struct usb_ident *ident)
{
	struct local_transport *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->base.ops = &ops;
	snprintf(t->key, sizeof t->key, "%s", ident->key);
	t->budget = budget;
	claim_mark_init(&t->mark);
	t->fd = t->claimed = t->configuration = -1;
	reading_init(&t->reading);
	t->starved_since = MOMENT_NEVER;
	queue_init(&t->parked);
	recycler_init(&t->frames);
	return t;
}

int
local_open(struct read_budget *budget, const struct usb_ident *ident,
    struct transport **out, struct cause *why)
{
	struct local_transport *t = new_transport(budget, ident);
	int error;

	if (t == NULL)
		return open_failed(USB_ERROR_NO_MEM, ident, why);
	error = local_attach(t, ident);
	if (error != USB_OK) {
		free(t);
		return open_failed(error, ident, why);
	}
	pthread_mutex_init(&t->wake_lock, NULL);
	*out = &t->base;
	return USB_OK;
}
