/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_DESCRIPTORS_H
#define MUXD_PHONE_DESCRIPTORS_H

/*
 * What a device tells of itself: its USB descriptors, made from tables for each
 * speed.  The tables are its kind's (phone_tables.c and others).
 *
 * Sources: USB 2.0 chapter 9, USB 3.2 chapter 9 (companion descriptors, BOS).
 *
 * Pure; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DESC_LANGUAGE 0x0409

/* A device of full speed cannot be had faster; one of high speed tells also
 * what it would be at full speed. */
enum desc_speed {
	DESC_FULL,
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
	/* 0: what the speed gives a bulk endpoint.  Cut to what the speed
	 * allows others. */
	uint16_t packet;
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

/* Indices of the strings that each device has. */
enum desc_string {
	DESC_S_LANGUAGES,
	DESC_S_MANUFACTURER,
	DESC_S_PRODUCT,
	DESC_S_SERIAL,
	DESC_S_OWN, /* the first of the kind's own */
};

struct desc_device {
	uint16_t vendor, product;
	uint16_t release; /* bcdDevice */
	uint8_t class, subclass, protocol;
	uint16_t milliamps;
	/* By index, ASCII; NULL: none.  Languages and the serial number are not
	 * looked for here. */
	const char *const *texts;
	uint8_t text_count;
	uint8_t configuration_count;
	const struct desc_configuration *configurations;
};

/* A device as it is plugged in. */
struct desc_profile {
	const struct desc_device *device;
	enum desc_speed speed;
	const char *serial; /* the string as on the bus */
};

#define DESC_LEN_MAX 512 /* of any descriptor here, a whole configuration's too */

/*
 * Writes the descriptor that GET_DESCRIPTOR asks for with this wValue (type and
 * index) and wIndex (a language, for strings) whole into `out`; the caller cuts
 * it to wLength.  Its length, or 0 when there is none (the device stalls).
 */
size_t desc_get(const struct desc_profile *p, uint16_t value, uint16_t index,
    uint8_t out[DESC_LEN_MAX]);

/* One alternate setting of an interface: its descriptor, its class's, and those
 * of its endpoints (and, at super speed, their companions). */
struct writer;
void desc_write_setting(struct writer *w, const struct desc_interface *s,
    enum desc_speed speed);

/* By bConfigurationValue; NULL when the device has none such. */
const struct desc_configuration *desc_configuration(
    const struct desc_device *d, unsigned value);

/* NULL when the configuration has no such interface or setting. */
const struct desc_interface *desc_setting(const struct desc_configuration *c,
    unsigned number, unsigned alternate);

/* wMaxPacketSize at that speed. */
uint16_t desc_packet(const struct desc_endpoint *e, enum desc_speed speed);

#endif
