/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_ROLES_H
#define MUXD_EXPORT_ROLES_H

/*
 * usbexportd's kinds of thread, beside the engine's (usbip/server.h), and what
 * they share.
 *
 *	role		how many	blocks in
 *	main		1		signals, the control socket
 *	monitor		1		libusb's events of the whole bus
 *	prober		1 per new device	control transfers of that device
 *	events		1 per import	libusb's events of that device
 *	requests	1 per import	blocking calls of libusb
 *
 * Ways of a message:
 *
 *	PROBE_DONE	prober -> monitor	its last word
 *	DEVICE_UNPLUGGED server -> monitor	the engine has let go of it
 *	EVENTS_SUBMIT	rx -> events		a URB
 *	EVENTS_CANCEL	rx -> events		a URB, with a reference
 *	EVENTS_DONE	libusb's callback -> events	a transfer's URB
 *	EVENTS_REQUEST	requests -> events	a blocking request, done
 *	EVENTS_QUIT	rx -> events		the last message
 *	REQUESTS_DO	events -> requests	a blocking request
 *	REQUESTS_QUIT	rx -> requests		the last message
 *
 * The engine's rx thread of an import opens the device, starts both threads of
 * it, and ends them again; in between it only posts.
 */

#include "actor/role.h"

extern struct role on_export_monitor, on_export_prober, on_export_events,
    on_export_requests;

enum export_msg {
	PROBE_DONE,
	DEVICE_UNPLUGGED,
	EVENTS_SUBMIT,
	EVENTS_CANCEL,
	EVENTS_DONE,
	EVENTS_REQUEST,
	EVENTS_QUIT,
	REQUESTS_DO,
	REQUESTS_QUIT,
};

#endif
