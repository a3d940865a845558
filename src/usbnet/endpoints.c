/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbnet/endpoints.h"

#include <string.h>

#include "usbnet/api.h"
#include "usbnet/walk.h"

/* USB/IP wants it decoded, as Linux has it in its URBs. */
static int32_t
interval_of(bool microframes, uint8_t attributes, uint8_t interval)
{
	const int type = attributes & LIBUSB_TRANSFER_TYPE_MASK;

	if (type == LIBUSB_TRANSFER_TYPE_CONTROL ||
	    type == LIBUSB_TRANSFER_TYPE_BULK)
		return 0;
	if (interval == 0)
		interval = 1;
	if (type == LIBUSB_TRANSFER_TYPE_INTERRUPT && !microframes)
		return interval;
	return 1 << ((interval > 16 ? 16 : interval) - 1);
}

static void
read_endpoint(struct un_endpoint out[UN_ENDPOINTS_MAX], bool microframes,
    struct reader d)
{
	uint8_t address, attributes, interval;

	read_bytes(&d, 2);
	address = read_u8(&d);
	attributes = read_u8(&d);
	read_le16(&d); /* wMaxPacketSize */
	interval = read_u8(&d);
	if (!d.bad)
		out[un_endpoint_index(address)] = (struct un_endpoint){
			attributes,
			interval_of(microframes, attributes, interval),
		};
}

/* The number and alternate setting of an interface descriptor.  False: it is
 * none. */
static bool
read_interface(struct reader d, uint8_t *number, uint8_t *alt)
{
	read_u8(&d);
	if (read_u8(&d) != LIBUSB_DT_INTERFACE)
		return false;
	*number = read_u8(&d);
	*alt = read_u8(&d);
	return !d.bad;
}

void
un_endpoints_read(struct un_endpoint out[UN_ENDPOINTS_MAX],
    const uint8_t alts[UN_INTERFACES_MAX], bool microframes,
    const uint8_t *configuration, size_t len)
{
	struct reader r = reader_over(configuration, len);
	struct descriptor_head head;
	bool is_current = false;

	memset(out, 0, UN_ENDPOINTS_MAX * sizeof *out);
	while (look(&r, &head) == LOOK_OK) {
		const struct reader d = take(&r, &head);
		uint8_t number, alt;

		if (read_interface(d, &number, &alt))
			is_current = number < UN_INTERFACES_MAX &&
			    alts[number] == alt;
		else if (head.type == LIBUSB_DT_ENDPOINT && is_current)
			read_endpoint(out, microframes, d);
	}
}

bool
un_has_interface(const uint8_t *configuration, size_t len, uint8_t wanted)
{
	struct reader r = reader_over(configuration, len);
	struct descriptor_head head;
	uint8_t number, alt;

	while (look(&r, &head) == LOOK_OK)
		if (read_interface(take(&r, &head), &number, &alt) &&
		    number == wanted)
			return true;
	return false;
}
