/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every transport and source shares: names, numbers, words. */
#include "usb/bringup.h"
#include "usb/transport.h"

#define VENDOR_APPLE 0x05ac

/* Inclusive ranges (reference: usbmux facts, section 1). */
static const struct {
	uint16_t first, last;
} phone_products[] = {
	{ 0x1290, 0x12af }, /* phones, tablets, watches, TVs */
	{ 0x1901, 0x1905 }, /* restore mode of Apple-silicon machines */
	{ 0x8600, 0x8600 }, /* T2 / iBridge */
};

bool
usb_is_phone(uint16_t vendor, uint16_t product)
{
	if (vendor != VENDOR_APPLE)
		return false;
	for (size_t i = 0;
	     i < sizeof phone_products / sizeof phone_products[0]; i++)
		if (product >= phone_products[i].first &&
		    product <= phone_products[i].last)
			return true;
	return false;
}

bool
usb_is_wanted(struct usb_listener *l, const struct usb_ident *ident)
{
	return usb_is_phone(ident->vendor, ident->product) ||
	    (l->wanted != NULL && l->wanted(l, ident));
}

void
usb_ident_add_class(struct usb_ident *ident, struct usb_class c)
{
	if (ident->class_count < USB_CLASSES_MAX)
		ident->classes[ident->class_count++] = c;
}

uint32_t
usb_location(const struct usb_ident *ident)
{
	uint32_t location = (uint32_t)ident->bus << 24;

	/* Six nibbles fit below the bus; USB allows five hubs in a row, so a
	 * seventh port cannot be. */
	for (unsigned i = 0; i < ident->port_count && i < 6; i++)
		location |= (uint32_t)(ident->ports[i] & 0xf) << (20 - 4 * i);
	return location;
}

const char *
usb_error_text(int error)
{
	if (error >= 0)
		return "no error";
	switch ((enum usb_error)error) {
	case USB_OK:
		return "no error";
	case USB_ERROR_TIMEOUT:
		return "the device did not answer in time";
	case USB_ERROR_STALL:
		return "the device refused (stall)";
	case USB_ERROR_GONE:
		return "the device is gone";
	case USB_ERROR_IO:
		return "an error on the bus";
	case USB_ERROR_BUSY:
		return "another program holds the device";
	case USB_ERROR_ACCESS:
		return "no permission";
	case USB_ERROR_NO_MEM:
		return "out of memory";
	case USB_ERROR_UNSUPPORTED:
		return "not supported";
	case USB_ERROR_OVERFLOW:
		return "the device sent more than was asked for";
	case USB_ERROR_TAKEN:
		return "it was reset or configured by another program";
	}
	return "an unknown error";
}

uint64_t
usb_speed_bits(enum usb_speed speed)
{
	switch (speed) {
	case USB_SPEED_LOW:
		return 1500000;
	case USB_SPEED_FULL:
		return 12000000;
	case USB_SPEED_UNKNOWN: /* what the least of phones has */
	case USB_SPEED_HIGH:
		return 480000000;
	case USB_SPEED_SUPER:
		return 5000000000;
	case USB_SPEED_SUPER_PLUS:
		return 10000000000;
	}
	return 480000000;
}

const char *
usb_step_name(enum usb_step step)
{
	switch (step) {
	case USB_STEP_OPEN:
		return "open";
	case USB_STEP_MODE:
		return "mode";
	case USB_STEP_CONFIGURATION:
		return "configuration";
	case USB_STEP_CLAIM:
		return "claim";
	case USB_STEP_SERIAL:
		return "serial";
	case USB_STEP_START:
		return "start";
	}
	return "unknown";
}
