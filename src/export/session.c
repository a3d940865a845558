/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How a session begins and ends.  Everything here is the rx thread's. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "export/session_int.h"

/* ---- Opening ------------------------------------------------------------ */

static int
refusal_of(int error)
{
	switch (error) {
	case LIBUSB_ERROR_ACCESS:
		return USBIP_ST_NA;
	case LIBUSB_ERROR_BUSY:
		return USBIP_ST_DEV_BUSY;
	case LIBUSB_ERROR_NO_DEVICE:
	case LIBUSB_ERROR_NOT_FOUND:
		return USBIP_ST_NODEV;
	case LIBUSB_ERROR_NO_MEM:
		return USBIP_ST_ERROR;
	default:
		return USBIP_ST_DEV_ERR;
	}
}

/* Who is refused may try again as often as he likes. */
static int
refuse(const struct session *s, const char *what, int error)
{
	static struct log_limit refusals;
	char trouble[BUS_TROUBLE_MAX], more[LOG_LIMIT_MAX];

	if (log_limit_pass(&refusals, more) != NULL)
		log_warning("device %s: cannot %s it: %s%s", s->ident.busid,
		    what, bus_trouble(trouble, error, &s->ident), more);
	return refusal_of(error);
}

/* 0 or libusb's error. */
static int
find_and_open(struct session *s)
{
	libusb_device *device = bus_find(s->ctx, &s->ident);
	int r;

	if (device == NULL)
		return LIBUSB_ERROR_NO_DEVICE;
	r = libusb_open(device, &s->handle);
	libusb_unref_device(device);
	return r;
}

/* Claims what the device has now; *c is NULL when it is in no configuration.
 * A status for the importer. */
static int
take_over(struct session *s, struct libusb_config_descriptor **c)
{
	int r;

	*c = NULL;
	r = libusb_get_active_config_descriptor(libusb_get_device(s->handle),
	    c);
	if (r < 0 && r != LIBUSB_ERROR_NOT_FOUND)
		return refuse(s, "read the configuration of", r);
	s->first_configuration = *c != NULL ? (*c)->bConfigurationValue : 0;
	r = interfaces_claim(s, *c);
	if (r == 0)
		return USBIP_ST_OK;
	interfaces_release(s, true);
	libusb_free_config_descriptor(*c);
	return refuse(s, "claim", r);
}

static int
start_threads(struct session *s)
{
	int error = thread_start(&s->requests_thread, "usb-requests",
	    session_requests_main, s);

	if (error != 0)
		return error;
	error = thread_start(&s->events_thread, "usb-events",
	    session_events_main, s);
	if (error != 0) {
		mailbox_post(&s->requests, &s->requests_quit);
		thread_join(&s->requests_thread);
	}
	return error;
}

static struct session *
session_new(const struct bus_ident *ident)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL || (s->requests_waker = waker_new()) == NULL) {
		free(s);
		return NULL;
	}
	s->ident = *ident;
	mailbox_init(&s->events, session_wake, s);
	mailbox_init_waker(&s->requests, s->requests_waker);
	s->events_quit.type = EVENTS_QUIT;
	s->requests_quit.type = REQUESTS_QUIT;
	return s;
}

static void
session_free(struct session *s)
{
	if (s->handle != NULL)
		libusb_close(s->handle);
	if (s->ctx != NULL)
		libusb_exit(s->ctx);
	waker_put(s->requests_waker);
	free(s);
}

/* The fields of the events thread are set while there is none yet. */
static int
open_device(struct session *s) ROLE_UNCHECKED
{
	int r = libusb_init(&s->ctx), status;

	if (r < 0) {
		s->ctx = NULL;
		return refuse(s, "start libusb for", r);
	}
	r = find_and_open(s);
	if (r < 0) {
		s->handle = NULL;
		return refuse(s, "open", r);
	}
	status = take_over(s, &s->configuration);
	if (status != USBIP_ST_OK)
		return status;
	r = start_threads(s);
	if (r == 0)
		return USBIP_ST_OK;
	log_error("device %s: cannot start a thread: %s", s->ident.busid,
	    strerror(r));
	interfaces_release(s, true);
	libusb_free_config_descriptor(s->configuration);
	return USBIP_ST_ERROR;
}

int
session_open(struct session **out, const struct bus_ident *ident,
    const struct session_ops *ops, void *arg)
{
	struct session *s = session_new(ident);
	int status;

	if (s == NULL) {
		log_error("device %s: %s", ident->busid, strerror(errno));
		return USBIP_ST_ERROR;
	}
	s->ops = ops;
	s->arg = arg;
	status = open_device(s);
	if (status == USBIP_ST_OK)
		*out = s;
	else
		session_free(s);
	return status;
}

/* ---- Closing ------------------------------------------------------------ */

static int
current_configuration(struct session *s) ROLE_UNCHECKED
{
	int value;

	if (libusb_get_configuration(s->handle, &value) == 0)
		return value;
	return s->configuration != NULL ? s->configuration->bConfigurationValue
					: 0;
}

/* 0 or libusb's error. */
static int
set_back(struct session *s)
{
	const int r = libusb_set_configuration(s->handle,
	    s->first_configuration != 0 ? s->first_configuration : -1);

	/* With another configuration come other interfaces, to which the
	 * system gives their drivers itself. */
	if (r == 0)
		s->detached = 0;
	else
		log_warning("device %s: cannot be put back into configuration "
		    "%d: %s", s->ident.busid, s->first_configuration,
		    libusb_error_name(r));
	return r;
}

/* After a reset the settings are the first ones, and toggles and halts are
 * gone.  One that comes back as another device is the monitor's affair. */
static void
restore(struct session *s)
{
	const int value = current_configuration(s);
	int r;

	interfaces_release(s, false);
	r = libusb_reset_device(s->handle);
	if (r != LIBUSB_ERROR_NO_DEVICE && r != LIBUSB_ERROR_NOT_FOUND) {
		if (r != 0)
			log_warning("device %s: cannot be reset after its "
			    "import: %s", s->ident.busid,
			    libusb_error_name(r));
		r = value != s->first_configuration ? set_back(s) : 0;
	}
	interfaces_release(s, true);
	if (r == 0)
		s->ops->configured(s->arg, libusb_get_device(s->handle));
}

/* The threads end in this order, because a request that is still being carried
 * out ends with a message to the events thread. */
static void
stop_threads(struct session *s)
{
	mailbox_post(&s->requests, &s->requests_quit);
	thread_join(&s->requests_thread);
	mailbox_post(&s->events, &s->events_quit);
	thread_join(&s->events_thread);
}

void
session_close(struct session *s) ROLE_UNCHECKED
{
	stop_threads(s);
	restore(s);
	libusb_free_config_descriptor(s->configuration);
	session_free(s);
}

/* ---- URBs --------------------------------------------------------------- */

void
session_submit(struct session *s, struct usbip_urb *urb)
{
	urb->msg.type = EVENTS_SUBMIT;
	mailbox_post(&s->events, &urb->msg);
}

void
session_cancel(struct session *s, struct usbip_urb *urb)
{
	usbip_urb_get(urb);
	urb->cancel_msg.type = EVENTS_CANCEL;
	mailbox_post(&s->events, &urb->cancel_msg);
}

void
session_forget(struct usbip_urb *urb)
{
	struct flight *f = urb->backend;

	if (f == NULL)
		return;
	libusb_free_transfer(f->x);
	free(f->bounce);
	free(f);
	urb->backend = NULL;
}
