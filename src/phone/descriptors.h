/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_DESCRIPTORS_H
#define MUXD_PHONE_DESCRIPTORS_H

/*
 * What the phone tells of itself: the USB descriptors of an iPhone, made from
 * tables (desc_tables.c), for each speed and each of the device modes.
 *
 * Sources: USB 2.0 chapter 9, USB 3.2 chapter 9 (companion descriptors, BOS);
 * for the modes and which interfaces each has, usbmuxd's usb.c.
 *
 * Pure; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DESC_VENDOR 0x05ac
#define DESC_PRODUCT 0x12a8
#define DESC_RELEASE 0x1504 /* bcdDevice */

/* The pair that carries the mux protocol. */
#define DESC_MUX_OUT 0x04
#define DESC_MUX_IN 0x85

#define DESC_MODES 5 /* device modes are 1 .. 5 */
#define DESC_MODE_INITIAL 1

#define DESC_LANGUAGE 0x0409

enum desc_speed {
	DESC_HIGH,
	DESC_SUPER,
};

/* Types of descriptors that can be asked for, with USB's numbers. */
enum desc_type {
	DESC_DEVICE = 1,
	DESC_CONFIGURATION = 2,
	DESC_STRING = 3,
	DESC_INTERFACE = 4,
	DESC_ENDPOINT = 5,
	DESC_QUALIFIER = 6,
	DESC_OTHER_SPEED = 7,
	DESC_BOS = 15,
	DESC_CAPABILITY = 16,
	DESC_SS_COMPANION = 48,
};

enum desc_transfer { /* the low bits of bmAttributes */
	DESC_ISOCHRONOUS = 1,
	DESC_BULK = 2,
	DESC_INTERRUPT = 3,
};

struct desc_endpoint {
	uint8_t address;
	uint8_t attributes; /* enum desc_transfer and, for ISO, its kind */
	uint16_t packet;    /* 0: what the speed gives a bulk endpoint */
	uint8_t interval;
};

struct desc_interface {
	uint8_t number;
	uint8_t alternate;
	uint8_t class, subclass, protocol;
	uint8_t name; /* string index */
	uint8_t endpoint_count;
	uint8_t extra_len;
	const struct desc_endpoint *endpoints;
	const uint8_t *extra; /* class descriptors, behind the interface's */
};

/* One configuration; its bConfigurationValue is its index plus 1. */
struct desc_configuration {
	uint8_t name;            /* string index */
	uint8_t interface_count; /* bNumInterfaces */
	uint8_t setting_count;   /* elements of `settings` */
	/* Alternate settings of one interface stand behind one another. */
	const struct desc_interface *const *settings;
};

struct desc_profile {
	enum desc_speed speed;
	unsigned mode;      /* 1 .. DESC_MODES */
	const char *serial; /* the string as on the bus: without a hyphen */
};

#define DESC_LEN_MAX 512 /* of any descriptor here, a whole configuration's too */

/*
 * Writes the descriptor that GET_DESCRIPTOR asks for with this wValue (type and
 * index) and wIndex (a language, for strings) whole into `out`; the caller cuts
 * it to wLength.  Its length, or 0 when there is none (the device stalls).
 */
size_t desc_get(const struct desc_profile *p, uint16_t value, uint16_t index,
    uint8_t out[DESC_LEN_MAX]);

/* How many configurations a mode has. */
unsigned desc_configurations(unsigned mode);

/* By bConfigurationValue; NULL when the mode has none such. */
const struct desc_configuration *desc_configuration(unsigned mode,
    unsigned value);

/* NULL when the configuration has no such interface or setting. */
const struct desc_interface *desc_setting(const struct desc_configuration *c,
    unsigned number, unsigned alternate);

/* Bulk packet of a speed: wMaxPacketSize. */
uint16_t desc_bulk_packet(enum desc_speed speed);

/* desc_tables.c: the configurations of a mode, and the fixed strings (ASCII;
 * NULL when there is none of that index). */
const struct desc_configuration *desc_table(unsigned mode, unsigned *count);
const char *desc_text(unsigned index);

/* Indices of strings. */
enum desc_string {
	DESC_S_LANGUAGES,
	DESC_S_MANUFACTURER,
	DESC_S_PRODUCT,
	DESC_S_SERIAL,
	DESC_S_PTP,
	DESC_S_AUDIO,
	DESC_S_PTP_MUX,
	DESC_S_PTP_MUX_ETHERNET,
	DESC_S_MUX,
	DESC_S_ETHERNET,
	DESC_S_VALERIA,
	DESC_S_NCM,
	DESC_S_NCM_DATA,
	DESC_S_MAC,
	DESC_S_PTP_MUX_VALERIA,
	DESC_S_PTP_MUX_NCM,
	DESC_S_PTP_MUX_ETHERNET_NCM,
	DESC_S_COUNT,
};

#endif
