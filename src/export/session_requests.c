/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Requests that libusb carries out itself, and who has which interface. */

#include "base/log.h"
#include "export/session_int.h"

struct role on_export_requests;

/* USB 2.0, 9.4 and 11.24.2. */
#define TYPE_DEVICE 0x00
#define TYPE_INTERFACE 0x01
#define TYPE_ENDPOINT 0x02
#define TYPE_PORT 0x23
#define FEATURE_ENDPOINT_HALT 0
#define FEATURE_PORT_RESET 4

/* Without data, the direction means nothing (9.3.5), and few devices look. */
enum request_kind
request_kind_of(const uint8_t setup[8], struct request *r)
{
	const bool has_data = (setup[6] | setup[7]) != 0;
	const uint8_t type = setup[0] & (has_data ? 0xff : 0x7f);
	const uint8_t request = setup[1];

	r->value = (uint16_t)(setup[2] | setup[3] << 8);
	r->index = (uint16_t)(setup[4] | setup[5] << 8);
	if (type == TYPE_DEVICE && request == LIBUSB_REQUEST_SET_ADDRESS)
		return REQUEST_ADDRESS;
	if (type == TYPE_DEVICE && request == LIBUSB_REQUEST_SET_CONFIGURATION)
		return REQUEST_CONFIGURATION;
	if (type == TYPE_INTERFACE && request == LIBUSB_REQUEST_SET_INTERFACE)
		return REQUEST_INTERFACE;
	if (type == TYPE_ENDPOINT && request == LIBUSB_REQUEST_CLEAR_FEATURE &&
	    r->value == FEATURE_ENDPOINT_HALT)
		return REQUEST_CLEAR_HALT;
	if (type == TYPE_PORT && request == LIBUSB_REQUEST_SET_FEATURE &&
	    r->value == FEATURE_PORT_RESET)
		return REQUEST_RESET;
	return REQUEST_NONE;
}

/* ---- Interfaces --------------------------------------------------------- */

/* Systems without drivers in the way say that they cannot; that is fine. */
static int
claim_one(struct session *s, unsigned number)
{
	const uint32_t bit = (uint32_t)1 << number;

	if (libusb_kernel_driver_active(s->handle, (int)number) == 1 &&
	    libusb_detach_kernel_driver(s->handle, (int)number) == 0)
		s->detached |= bit;
	return libusb_claim_interface(s->handle, (int)number);
}

int
interfaces_claim(struct session *s, const struct libusb_config_descriptor *c)
{
	int error = 0;

	for (int i = 0; c != NULL && i < c->bNumInterfaces; i++) {
		unsigned number;
		int r;

		if (c->interface[i].num_altsetting == 0)
			continue;
		number = c->interface[i].altsetting->bInterfaceNumber;
		if (number >= INTERFACES_MAX)
			continue;
		r = claim_one(s, number);
		if (r == 0)
			s->claimed |= (uint32_t)1 << number;
		else if (error == 0)
			error = r;
	}
	return error;
}

static void
give_back(struct session *s, unsigned number)
{
	const int r = libusb_attach_kernel_driver(s->handle, (int)number);

	if (r < 0 && r != LIBUSB_ERROR_NO_DEVICE && r != LIBUSB_ERROR_NOT_FOUND)
		log_warning("device %s: its interface %u does not get its "
		    "driver back: %s", s->ident.busid, number,
		    libusb_error_name(r));
}

/* A driver may want several interfaces, so none is claimed any more when the
 * first is given back. */
void
interfaces_release(struct session *s, bool attach)
{
	for (unsigned i = 0; i < INTERFACES_MAX; i++)
		if ((s->claimed & (uint32_t)1 << i) != 0)
			libusb_release_interface(s->handle, (int)i);
	s->claimed = 0;
	if (!attach)
		return;
	for (unsigned i = 0; i < INTERFACES_MAX; i++)
		if ((s->detached & (uint32_t)1 << i) != 0)
			give_back(s, i);
	s->detached = 0;
}

/* ---- Carrying out ------------------------------------------------------- */

/* With the configuration all interfaces change, so none may be claimed, and
 * those that are there afterwards have drivers again.  When it fails, those of
 * the old one are there still. */
static int
set_configuration(struct session *s, struct request *r)
    RUNS_ON(on_export_requests)
{
	libusb_device *device = libusb_get_device(s->handle);
	int error, claimed;

	interfaces_release(s, false);
	error = libusb_set_configuration(s->handle,
	    r->value != 0 ? r->value : -1);
	if (error == 0)
		s->detached = 0;
	if (libusb_get_active_config_descriptor(device, &r->configuration) < 0)
		r->configuration = NULL;
	claimed = interfaces_claim(s, r->configuration);
	if (error == 0)
		s->ops->configured(s->arg, device);
	if (error == 0 && claimed != 0)
		log_warning("device %s: not all interfaces of configuration %u "
		    "can be claimed: %s", s->ident.busid, r->value,
		    libusb_error_name(claimed));
	return error;
}

/* Leaves those in `r->settings` that are back in their first.  The first
 * error. */
static int
first_settings(struct session *s, struct request *r)
    RUNS_ON(on_export_requests)
{
	int error = 0;

	for (unsigned i = 0; i < INTERFACES_MAX; i++) {
		const uint32_t bit = (uint32_t)1 << i;
		const int e = (r->settings & bit) == 0 ? 0
		    : libusb_set_interface_alt_setting(s->handle, (int)i, 0);

		if (e != 0)
			r->settings &= ~bit;
		if (error == 0)
			error = e;
	}
	return error;
}

static int
carry_out(struct session *s, struct request *r) RUNS_ON(on_export_requests)
{
	switch (r->kind) {
	case REQUEST_CONFIGURATION:
		return set_configuration(s, r);
	case REQUEST_INTERFACE:
		return libusb_set_interface_alt_setting(s->handle, r->index,
		    r->value);
	case REQUEST_CLEAR_HALT:
		return libusb_clear_halt(s->handle, (uint8_t)r->index);
	case REQUEST_RESET:
		return libusb_reset_device(s->handle);
	case REQUEST_FIRST_SETTINGS:
		return first_settings(s, r);
	case REQUEST_ADDRESS:
	case REQUEST_NONE:
		break;
	}
	return LIBUSB_ERROR_INVALID_PARAM;
}

void *
session_requests_main(void *arg)
{
	struct session *s = arg;
	bool more = true;

	role_take(&on_export_requests);
	while (more) {
		struct msg *m = mailbox_wait(&s->requests, s->requests_waker);

		while (m != NULL) {
			struct msg *next = msg_next(m);

			if (m->type == REQUESTS_DO) {
				struct request *r = (struct request *)m;

				r->result = carry_out(s, r);
				r->msg.type = EVENTS_REQUEST;
				mailbox_post(&s->events, &r->msg);
			} else {
				more = false;
			}
			m = next;
		}
	}
	role_drop(&on_export_requests);
	return NULL;
}
