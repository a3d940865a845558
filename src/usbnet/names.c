/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <string.h>
#include <strings.h>

#include "usbnet/device.h"

/*
 * Errors in words, as libusb's programs know them (some compare the texts).
 * English is the only language.
 */

struct name {
	int code; /* enum libusb_error */
	const char *name;
	const char *text;
};

static const struct name names[] = {
	{ LIBUSB_SUCCESS, "LIBUSB_SUCCESS", "Success" },
	{ LIBUSB_ERROR_IO, "LIBUSB_ERROR_IO", "Input/Output Error" },
	{ LIBUSB_ERROR_INVALID_PARAM, "LIBUSB_ERROR_INVALID_PARAM",
	    "Invalid parameter" },
	{ LIBUSB_ERROR_ACCESS, "LIBUSB_ERROR_ACCESS",
	    "Access denied (insufficient permissions)" },
	{ LIBUSB_ERROR_NO_DEVICE, "LIBUSB_ERROR_NO_DEVICE",
	    "No such device (it may have been disconnected)" },
	{ LIBUSB_ERROR_NOT_FOUND, "LIBUSB_ERROR_NOT_FOUND",
	    "Entity not found" },
	{ LIBUSB_ERROR_BUSY, "LIBUSB_ERROR_BUSY", "Resource busy" },
	{ LIBUSB_ERROR_TIMEOUT, "LIBUSB_ERROR_TIMEOUT",
	    "Operation timed out" },
	{ LIBUSB_ERROR_OVERFLOW, "LIBUSB_ERROR_OVERFLOW", "Overflow" },
	{ LIBUSB_ERROR_PIPE, "LIBUSB_ERROR_PIPE", "Pipe error" },
	{ LIBUSB_ERROR_INTERRUPTED, "LIBUSB_ERROR_INTERRUPTED",
	    "System call interrupted (perhaps due to signal)" },
	{ LIBUSB_ERROR_NO_MEM, "LIBUSB_ERROR_NO_MEM", "Insufficient memory" },
	{ LIBUSB_ERROR_NOT_SUPPORTED, "LIBUSB_ERROR_NOT_SUPPORTED",
	    "Operation not supported or unimplemented on this platform" },
	{ LIBUSB_ERROR_OTHER, "LIBUSB_ERROR_OTHER", "Other error" },
};
_Static_assert(sizeof names / sizeof names[0] == LIBUSB_ERROR_COUNT,
    "a name for each error");

static const struct name *
find(int code)
{
	for (size_t i = 0; i < LIBUSB_ERROR_COUNT; i++)
		if (names[i].code == code)
			return &names[i];
	return NULL;
}

const char *
libusb_error_name(int code)
{
	const struct name *n = find(code);

	return n != NULL ? n->name : "**UNKNOWN**";
}

/* What libusb does not know is "other", too. */
const char *
libusb_strerror(int code)
{
	const struct name *n = find(code);

	return (n != NULL ? n : find(LIBUSB_ERROR_OTHER))->text;
}

/* A language is two letters, alone or before '-', '_' or '.'. */
int
libusb_setlocale(const char *locale)
{
	if (locale == NULL || strlen(locale) < 2 ||
	    (locale[2] != '\0' && strchr("-_.", locale[2]) == NULL))
		return LIBUSB_ERROR_INVALID_PARAM;
	return strncasecmp(locale, "en", 2) == 0 ? LIBUSB_SUCCESS
						 : LIBUSB_ERROR_NOT_FOUND;
}

/* The version whose behaviour this library has. */
const struct libusb_version *
libusb_get_version(void)
{
	static const struct libusb_version version = {
		1, 0, 26, 0, "", "usbnet of " PACKAGE_STRING
	};

	return &version;
}
