/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The phone's configurations, as data.
 *
 *	1  still image
 *	2  audio control, audio streaming, HID
 *	3  still image, mux
 *	4  still image, mux, Ethernet
 *	5  mode 2: still image, mux, screen capture
 *	   modes 3, 4: still image, mux, NCM
 *	6  mode 4: still image, mux, Ethernet, NCM
 *
 * Mode 5 has one configuration, with NCM and without the mux.
 */
#include "phone/phone.h"

#define COUNT(a) ((uint8_t)(sizeof(a) / sizeof(a)[0]))

/* ---- Strings ------------------------------------------------------------ */

enum {
	S_PTP = DESC_S_OWN,
	S_AUDIO,
	S_PTP_MUX,
	S_PTP_MUX_ETHERNET,
	S_MUX,
	S_ETHERNET,
	S_VALERIA,
	S_NCM,
	S_NCM_DATA,
	S_MAC,
	S_PTP_MUX_VALERIA,
	S_PTP_MUX_NCM,
	S_PTP_MUX_ETHERNET_NCM,
};

static const char *const texts[] = {
	[DESC_S_MANUFACTURER] = "Apple Inc.",
	[DESC_S_PRODUCT] = "iPhone",
	[S_PTP] = "PTP",
	[S_AUDIO] = "iPod USB Interface",
	[S_PTP_MUX] = "PTP + Apple Mobile Device",
	[S_PTP_MUX_ETHERNET] =
	    "PTP + Apple Mobile Device + Apple USB Ethernet",
	[S_MUX] = "Apple USB Multiplexor",
	[S_ETHERNET] = "Apple USB Ethernet",
	[S_VALERIA] = "Valeria",
	[S_NCM] = "NCM Control",
	[S_NCM_DATA] = "NCM Data",
	[S_MAC] = "020000000001",
	[S_PTP_MUX_VALERIA] = "PTP + Apple Mobile Device + Valeria",
	[S_PTP_MUX_NCM] = "PTP + Apple Mobile Device + NCM",
	[S_PTP_MUX_ETHERNET_NCM] =
	    "PTP + Apple Mobile Device + Apple USB Ethernet + NCM",
};

/* ---- Interfaces --------------------------------------------------------- */

static const struct desc_endpoint ptp_endpoints[] = {
	{ 0x02, DESC_BULK, 0, 0 },
	{ 0x81, DESC_BULK, 0, 0 },
	{ 0x83, DESC_INTERRUPT, 64, 10 },
};
static const struct desc_interface ptp = {
	.number = 0, .class = 6, .subclass = 1, .protocol = 1,
	.name = S_PTP,
	.endpoint_count = COUNT(ptp_endpoints), .endpoints = ptp_endpoints,
};

/* Audio class 1.0: header with one streaming interface, a digital audio
 * interface as input terminal, the USB stream as output terminal. */
static const uint8_t audio_control_extra[] = {
	9, 0x24, 1, 0x00, 0x01, 30, 0, 1, 1,
	12, 0x24, 2, 1, 0x02, 0x06, 0, 2, 0x03, 0x00, 0, 0,
	9, 0x24, 3, 2, 0x01, 0x01, 0, 1, 0,
};
static const struct desc_interface audio_control = {
	.number = 0, .class = 1, .subclass = 1,
	.extra_len = COUNT(audio_control_extra), .extra = audio_control_extra,
};
static const struct desc_interface audio_idle = {
	.number = 1, .class = 1, .subclass = 2,
};
/* PCM, two channels of 16 bits, at 32, 44.1 and 48 kHz. */
static const uint8_t audio_stream_extra[] = {
	7, 0x24, 1, 2, 1, 0x01, 0x00,
	17, 0x24, 2, 1, 2, 2, 16, 3, 0x00, 0x7d, 0x00, 0x44, 0xac, 0x00, 0x80,
	0xbb, 0x00,
};
static const struct desc_endpoint audio_endpoints[] = {
	{ 0x81, DESC_ISOCHRONOUS, 192, 4 },
};
static const struct desc_interface audio_stream = {
	.number = 1, .alternate = 1, .class = 1, .subclass = 2,
	.endpoint_count = COUNT(audio_endpoints), .endpoints = audio_endpoints,
	.extra_len = COUNT(audio_stream_extra), .extra = audio_stream_extra,
};
static const uint8_t hid_extra[] = {
	9, 0x21, 0x11, 0x01, 0, 1, 0x22, 0x60, 0x00,
};
static const struct desc_endpoint hid_endpoints[] = {
	{ 0x83, DESC_INTERRUPT, 64, 4 },
};
static const struct desc_interface hid = {
	.number = 2, .class = 3,
	.endpoint_count = COUNT(hid_endpoints), .endpoints = hid_endpoints,
	.extra_len = COUNT(hid_extra), .extra = hid_extra,
};

static const struct desc_endpoint mux_endpoints[] = {
	{ PHONE_MUX_OUT, DESC_BULK, 0, 0 },
	{ PHONE_MUX_IN, DESC_BULK, 0, 0 },
};
static const struct desc_interface mux = {
	.number = 1, .class = 0xff, .subclass = 0xfe, .protocol = 2,
	.name = S_MUX,
	.endpoint_count = COUNT(mux_endpoints), .endpoints = mux_endpoints,
};

static const struct desc_interface ethernet_idle = {
	.number = 2, .class = 0xff, .subclass = 0xfd, .protocol = 1,
	.name = S_ETHERNET,
};
static const struct desc_endpoint ethernet_endpoints[] = {
	{ 0x86, DESC_BULK, 0, 0 },
	{ 0x07, DESC_BULK, 0, 0 },
};
static const struct desc_interface ethernet = {
	.number = 2, .alternate = 1,
	.class = 0xff, .subclass = 0xfd, .protocol = 1,
	.name = S_ETHERNET,
	.endpoint_count = COUNT(ethernet_endpoints),
	.endpoints = ethernet_endpoints,
};

static const struct desc_interface valeria_idle = {
	.number = 2, .class = 0xff, .subclass = 0x2a, .protocol = 0xff,
	.name = S_VALERIA,
};
static const struct desc_interface valeria = {
	.number = 2, .alternate = 1,
	.class = 0xff, .subclass = 0x2a, .protocol = 0xff,
	.name = S_VALERIA,
	.endpoint_count = COUNT(ethernet_endpoints),
	.endpoints = ethernet_endpoints,
};

/* CDC 1.2: header, union of the two interfaces, Ethernet, NCM. */
#define NCM_EXTRA(control, data)                                           \
	{                                                                  \
		5, 0x24, 0, 0x20, 0x01, 5, 0x24, 6, (control), (data), 13, \
		    0x24, 15, S_MAC, 0, 0, 0, 0, 0xea, 0x05, 0, 0, 0, \
		    6, 0x24, 26, 0, 1, 0,                                  \
	}
static const struct desc_endpoint ncm_control_endpoints[] = {
	{ 0x88, DESC_INTERRUPT, 16, 8 },
};
static const struct desc_endpoint ncm_data_endpoints[] = {
	{ 0x89, DESC_BULK, 0, 0 },
	{ 0x0a, DESC_BULK, 0, 0 },
};
/* The two interfaces of NCM with numbers `n` and `n` + 1: NAME_control,
 * NAME_idle, NAME_data. */
#define NCM(prefix, n)                                                  \
	static const uint8_t prefix##_extra[] = NCM_EXTRA(n, (n) + 1);  \
	static const struct desc_interface prefix##_control = {         \
		.number = (n), .class = 2, .subclass = 0x0d,            \
		.name = S_NCM,                                     \
		.endpoint_count = COUNT(ncm_control_endpoints),         \
		.endpoints = ncm_control_endpoints,                     \
		.extra_len = COUNT(prefix##_extra),                     \
		.extra = prefix##_extra,                                \
	};                                                              \
	static const struct desc_interface prefix##_idle = {            \
		.number = (n) + 1, .class = 10, .protocol = 1,          \
		.name = S_NCM_DATA,                                \
	};                                                              \
	static const struct desc_interface prefix##_data = {            \
		.number = (n) + 1, .alternate = 1,                      \
		.class = 10, .protocol = 1, .name = S_NCM_DATA,    \
		.endpoint_count = COUNT(ncm_data_endpoints),            \
		.endpoints = ncm_data_endpoints,                        \
	}
NCM(ncm_at_0, 0);
NCM(ncm_at_2, 2);
NCM(ncm_at_3, 3);

static const struct desc_interface mux_alone = {
	.number = 0, .class = 0xff, .subclass = 0xfe, .protocol = 2,
	.name = S_MUX,
	.endpoint_count = COUNT(mux_endpoints), .endpoints = mux_endpoints,
};

/* ---- Configurations ----------------------------------------------------- */

static const struct desc_interface *const settings_1[] = { &ptp };
static const struct desc_interface *const settings_2[] = {
	&audio_control, &audio_idle, &audio_stream, &hid,
};
static const struct desc_interface *const settings_3[] = { &ptp, &mux };
static const struct desc_interface *const settings_4[] = {
	&ptp, &mux, &ethernet_idle, &ethernet,
};
static const struct desc_interface *const settings_valeria[] = {
	&ptp, &mux, &valeria_idle, &valeria,
};
static const struct desc_interface *const settings_ncm[] = {
	&ptp, &mux, &ncm_at_2_control, &ncm_at_2_idle, &ncm_at_2_data,
};
static const struct desc_interface *const settings_ethernet_ncm[] = {
	&ptp, &mux, &ethernet_idle, &ethernet, &ncm_at_3_control,
	&ncm_at_3_idle, &ncm_at_3_data,
};
static const struct desc_interface *const settings_ncm_only[] = {
	&ncm_at_0_control, &ncm_at_0_idle, &ncm_at_0_data,
};

static const struct desc_interface *const settings_mux_alone[] = {
	&mux_alone,
};

#define CONFIGURATION(text, interfaces, array) \
	{ (text), (interfaces), COUNT(array), (array) }
#define CLASSIC                                                    \
	CONFIGURATION(S_PTP, 1, settings_1),                  \
	    CONFIGURATION(S_AUDIO, 3, settings_2),            \
	    CONFIGURATION(S_PTP_MUX, 2, settings_3),          \
	    CONFIGURATION(S_PTP_MUX_ETHERNET, 3, settings_4)

static const struct desc_configuration mode_1[] = { CLASSIC };
static const struct desc_configuration mode_2[] = {
	CLASSIC,
	CONFIGURATION(S_PTP_MUX_VALERIA, 3, settings_valeria),
};
static const struct desc_configuration mode_3[] = {
	CLASSIC,
	CONFIGURATION(S_PTP_MUX_NCM, 4, settings_ncm),
};
static const struct desc_configuration mode_4[] = {
	CLASSIC,
	CONFIGURATION(S_PTP_MUX_NCM, 4, settings_ncm),
	CONFIGURATION(S_PTP_MUX_ETHERNET_NCM, 5, settings_ethernet_ncm),
};
static const struct desc_configuration mode_5[] = {
	CONFIGURATION(S_NCM, 2, settings_ncm_only),
};

static const struct desc_configuration mux_only[] = {
	CONFIGURATION(S_PTP_MUX, 1, settings_mux_alone),
};
static const struct desc_configuration mux_last_of_4[] = {
	{ .name = S_PTP },
	{ .name = S_AUDIO },
	{ .name = S_PTP_MUX },
	CONFIGURATION(S_PTP_MUX_ETHERNET, 1, settings_mux_alone),
};

#define MODE(array)                                                     \
	{                                                               \
		.vendor = 0x05ac, .product = 0x12a8, .release = 0x1504, \
		.milliamps = 500, .texts = texts,                       \
		.text_count = COUNT(texts), .configurations = (array),  \
		.configuration_count = COUNT(array),                    \
	}

const struct desc_device phone_modes[PHONE_MODES] = {
	MODE(mode_1), MODE(mode_2), MODE(mode_3), MODE(mode_4), MODE(mode_5),
};
const struct desc_device phone_mux_only = MODE(mux_only);
const struct desc_device phone_mux_last_of_4 = MODE(mux_last_of_4);
