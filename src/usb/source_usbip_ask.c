/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the interfaces of a USB/IP server's device are, when its list does not
 * say so. */

#include <stdlib.h>

#include "base/cursor.h"
#include "usb/descriptors.h"
#include "usb/usbip.h"
#include "usbip/importer.h"

/* The monitor waits for it, and with it who wants it to end. */
#define ASK_MS 150

/* Of no interface does it say that it fits, and so sees them all. */
static bool
note_class(void *arg, const struct usb_class *c)
{
	usb_ident_add_class(arg, *c);
	return false;
}

bool
usbip_ask_classes(const struct sock_addr *server, struct usb_ident *ident)
{
	struct usbip_device_entry entry;
	struct usbip_info_record record;
	struct usb_function none;
	struct cause why;
	struct reader r;
	uint32_t status;
	uint8_t *info;
	size_t len;

	if (importer_ask_info(server, ident->key, ASK_MS, &entry, &info, &len,
		&status, &why) < 0)
		return status != 0; /* it has answered: no */
	r = reader_over(info, len);
	while (usbip_info_next(&r, &record))
		if (record.type == USBIP_INFO_CONFIGURATION)
			usb_function_find(&none, record.bytes, record.length,
			    note_class, ident);
	free(info);
	return true;
}
