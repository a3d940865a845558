/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The synchronous calls: a transfer, and handling events until it is over. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "usbnet/context.h"
#include "usbnet/devices.h"
#include "usbnet/handle.h"
#include "usbnet/transfer.h"

#define STRING_TIMEOUT_MS 1000

static void
on_end(struct libusb_transfer *transfer)
{
	int *completed = transfer->user_data;

	/* Release: pairs with the acquire in whoever waits. */
	__atomic_store_n(completed, 1, __ATOMIC_RELEASE);
}

/* Whoever handles events sees to it, if it is not this thread. */
static void
wait_for_end(struct libusb_transfer *transfer, int *completed)
{
	libusb_context *ctx = transfer->dev_handle->ctx;

	while (!__atomic_load_n(completed, __ATOMIC_ACQUIRE)) {
		const int rc = libusb_handle_events_completed(ctx, completed);

		if (rc >= 0 || rc == LIBUSB_ERROR_INTERRUPTED)
			continue;
		libusb_cancel_transfer(transfer);
	}
}

static int
error_of(enum libusb_transfer_status status)
{
	switch (status) {
	case LIBUSB_TRANSFER_COMPLETED:
		return 0;
	case LIBUSB_TRANSFER_TIMED_OUT:
		return LIBUSB_ERROR_TIMEOUT;
	case LIBUSB_TRANSFER_STALL:
		return LIBUSB_ERROR_PIPE;
	case LIBUSB_TRANSFER_NO_DEVICE:
		return LIBUSB_ERROR_NO_DEVICE;
	case LIBUSB_TRANSFER_OVERFLOW:
		return LIBUSB_ERROR_OVERFLOW;
	default:
		return LIBUSB_ERROR_IO;
	}
}

/* libusb promises nothing of errno, but programs look there for what usbfs has
 * said: lsusb for the EPIPE of a request that the device does not know. */
static int
errno_of(int error)
{
	switch (error) {
	case LIBUSB_ERROR_TIMEOUT:
		return ETIMEDOUT;
	case LIBUSB_ERROR_PIPE:
		return EPIPE;
	case LIBUSB_ERROR_NO_DEVICE:
		return ENODEV;
	case LIBUSB_ERROR_OVERFLOW:
		return EOVERFLOW;
	default:
		return EIO;
	}
}

/* Runs a transfer that has been filled.  0, or LIBUSB_ERROR_* and errno. */
static int
run(struct libusb_transfer *transfer)
{
	int completed = 0, rc;

	transfer->callback = on_end;
	transfer->user_data = &completed;
	rc = libusb_submit_transfer(transfer);
	if (rc != 0)
		return rc;
	wait_for_end(transfer, &completed);
	rc = error_of(transfer->status);
	if (rc != 0)
		errno = errno_of(rc);
	return rc;
}

int
libusb_control_transfer(libusb_device_handle *dev_handle,
    uint8_t request_type, uint8_t bRequest, uint16_t wValue, uint16_t wIndex,
    unsigned char *data, uint16_t wLength, unsigned int timeout)
{
	const bool in = (request_type & LIBUSB_ENDPOINT_IN) != 0;
	struct libusb_transfer *transfer;
	unsigned char *buffer;
	int rc;

	if (un_is_handler(dev_handle->ctx))
		return LIBUSB_ERROR_BUSY;
	transfer = libusb_alloc_transfer(0);
	buffer = malloc(LIBUSB_CONTROL_SETUP_SIZE + (size_t)wLength);
	if (transfer == NULL || buffer == NULL) {
		free(buffer);
		libusb_free_transfer(transfer);
		return LIBUSB_ERROR_NO_MEM;
	}
	libusb_fill_control_setup(buffer, request_type, bRequest, wValue,
	    wIndex, wLength);
	if (!in && wLength > 0)
		memcpy(buffer + LIBUSB_CONTROL_SETUP_SIZE, data, wLength);
	libusb_fill_control_transfer(transfer, dev_handle, buffer, NULL, NULL,
	    timeout);
	rc = run(transfer);
	if (rc == 0) {
		rc = transfer->actual_length;
		if (in && rc > 0)
			memcpy(data, buffer + LIBUSB_CONTROL_SETUP_SIZE,
			    (size_t)rc);
	}
	free(buffer);
	libusb_free_transfer(transfer);
	return rc;
}

static int
data_transfer(libusb_device_handle *h, unsigned char endpoint,
    unsigned char *data, int length, int *actual, unsigned timeout,
    unsigned char type)
{
	struct libusb_transfer *transfer;
	int rc;

	if (un_is_handler(h->ctx))
		return LIBUSB_ERROR_BUSY;
	transfer = libusb_alloc_transfer(0);
	if (transfer == NULL)
		return LIBUSB_ERROR_NO_MEM;
	libusb_fill_bulk_transfer(transfer, h, endpoint, data, length, NULL,
	    NULL, timeout);
	transfer->type = type;
	rc = run(transfer);
	if (actual != NULL)
		*actual = transfer->actual_length;
	libusb_free_transfer(transfer);
	return rc;
}

int
libusb_bulk_transfer(libusb_device_handle *dev_handle, unsigned char endpoint,
    unsigned char *data, int length, int *actual_length, unsigned int timeout)
{
	return data_transfer(dev_handle, endpoint, data, length, actual_length,
	    timeout, LIBUSB_TRANSFER_TYPE_BULK);
}

int
libusb_interrupt_transfer(libusb_device_handle *dev_handle,
    unsigned char endpoint, unsigned char *data, int length,
    int *actual_length, unsigned int timeout)
{
	return data_transfer(dev_handle, endpoint, data, length, actual_length,
	    timeout, LIBUSB_TRANSFER_TYPE_INTERRUPT);
}

/* ---- Strings ---- */

/* UTF-16 to ASCII, with '?' for all that is none.  Its length. */
static int
to_ascii(char *out, int size, const uint8_t *string, size_t len)
{
	struct reader r = reader_over(string + 2, len - 2);
	int n = 0;

	while (reader_left(&r) >= 2 && n < size - 1) {
		const uint16_t c = read_le16(&r);

		out[n++] = c < 0x80 ? (char)c : '?';
	}
	out[n] = '\0';
	return n;
}

/* One string descriptor; its length, or LIBUSB_ERROR_*. */
static int
get_string(libusb_device_handle *h, uint8_t index, uint16_t langid,
    uint8_t into[255])
{
	const int n = libusb_control_transfer(h, LIBUSB_ENDPOINT_IN,
	    LIBUSB_REQUEST_GET_DESCRIPTOR,
	    (uint16_t)(LIBUSB_DT_STRING << 8 | index), langid, into, 255,
	    STRING_TIMEOUT_MS);

	if (n < 0)
		return n;
	if (n < 2 || into[1] != LIBUSB_DT_STRING || into[0] < 2 ||
	    into[0] > n)
		return LIBUSB_ERROR_IO;
	return into[0];
}

int
libusb_get_string_descriptor_ascii(libusb_device_handle *dev_handle,
    uint8_t desc_index, unsigned char *data, int length)
{
	uint8_t string[255];
	struct reader r = reader_over(string + 2, 2);
	int n;

	/* Index 0 is the list of languages. */
	if (desc_index == 0 || data == NULL || length <= 0)
		return LIBUSB_ERROR_INVALID_PARAM;
	n = get_string(dev_handle, 0, 0, string);
	if (n >= 0 && n < 4)
		n = LIBUSB_ERROR_IO;
	if (n >= 0)
		n = get_string(dev_handle, desc_index, read_le16(&r), string);
	if (n < 0)
		return n;
	return to_ascii((char *)data, length, string, (size_t)n);
}

/* Which byte of the device descriptor has the string's index; 0: none. */
static unsigned
place_of(enum libusb_device_string_type type)
{
	switch (type) {
	case LIBUSB_DEVICE_STRING_MANUFACTURER:
		return 14;
	case LIBUSB_DEVICE_STRING_PRODUCT:
		return 15;
	case LIBUSB_DEVICE_STRING_SERIAL_NUMBER:
		return 16;
	default:
		return 0;
	}
}

/* Without opening the device, as far as its server has told. */
int
libusb_get_device_string(libusb_device *dev,
    enum libusb_device_string_type type, char *data, int length)
{
	const unsigned place = place_of(type);
	const uint8_t *bytes;
	struct reader r;
	uint8_t index;
	size_t len;
	int rc;

	if (place == 0 || data == NULL || length <= 0)
		return LIBUSB_ERROR_INVALID_PARAM;
	rc = un_device_descriptor_bytes(dev, LIBUSB_DT_DEVICE, 0, 0, &bytes,
	    &len);
	if (rc != 0)
		return rc;
	index = len > place ? bytes[place] : 0;
	rc = un_device_descriptor_bytes(dev, LIBUSB_DT_STRING, 0, 0, &bytes,
	    &len);
	if (index == 0 || rc != 0 || len < 4)
		return LIBUSB_ERROR_NOT_FOUND;
	r = reader_over(bytes + 2, 2);
	rc = un_device_descriptor_bytes(dev, LIBUSB_DT_STRING, index,
	    read_le16(&r), &bytes, &len);
	if (rc != 0 || len < 2)
		return LIBUSB_ERROR_NOT_FOUND;
	return to_ascii(data, length, bytes, len);
}

/* Names a device among those of this process, as long as it is attached. */
unsigned long
libusb_get_session_data(libusb_device *dev)
{
	return (unsigned long)dev->bus_number << 8 | dev->address;
}
