/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef USBMUX_H
#define USBMUX_H

/*
 * Constants of the usbmux client protocol: what a client and the daemon say to
 * each other on the daemon's stream socket.
 *
 * A message is a header of four little-endian 32-bit words (length with the
 * header, version, message, tag) and a payload.  An answer carries the tag of
 * its request, a notification carries 0.  Payloads are packed structures in
 * version 0, and property lists in version 1.
 *
 * Numbers as spoken by every known daemon and client; none is ours.
 */

/* Where the daemon listens: a UNIX socket, or TCP where those are not usual. */
#define USBMUX_SOCKET_PATH "/var/run/usbmuxd"
#define USBMUX_TCP_HOST "127.0.0.1"
#define USBMUX_TCP_PORT 27015
/* Environment variable of every client: "UNIX:/path" or "host:port". */
#define USBMUX_SOCKET_VARIABLE "USBMUXD_SOCKET_ADDRESS"

#define USBMUX_HEADER_SIZE 16

enum usbmux_version {
	USBMUX_VERSION_BINARY = 0,
	USBMUX_VERSION_PLIST = 1,
};

/* The header's third word.  The payload that stands beside a name is the one
 * of version 0; all numbers in it are little-endian but the port. */
enum usbmux_message {
	USBMUX_RESULT = 1,	  /* u32 result */
	USBMUX_CONNECT = 2,	  /* u32 device, u16 port (big-endian), u16 0 */
	USBMUX_LISTEN = 3,	  /* nothing */
	USBMUX_DEVICE_ADD = 4,	  /* u32 device, u16 product, char serial[256],
				   * u16 0, u32 location */
	USBMUX_DEVICE_REMOVE = 5, /* u32 device */
	USBMUX_DEVICE_PAIRED = 6, /* u32 device */
	USBMUX_PLIST = 8,	  /* version 1: a property list */
};

#define USBMUX_CONNECT_SIZE 8	   /* bytes of that payload */
#define USBMUX_DEVICE_ADD_SIZE 268 /* bytes of that payload */
#define USBMUX_SERIAL_SIZE 256	   /* bytes of the serial in it, NUL padded */

/* The pair-record commands answer with an errno value of Linux instead. */
enum usbmux_result {
	USBMUX_OK = 0,
	USBMUX_BAD_COMMAND = 1,
	USBMUX_BAD_DEVICE = 2,
	USBMUX_CONNECTION_REFUSED = 3,
	USBMUX_BAD_VERSION = 6,
};
#define USBMUX_RECORD_MISSING 2	 /* ENOENT */
#define USBMUX_RECORD_INVALID 22 /* EINVAL */

/* The device's port on which lockdown, its directory of services, listens. */
#define USBMUX_LOCKDOWN_PORT 62078

#endif
