/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The device in DFU mode, as dfu-util meets it and as nobody should. */
#include <string.h>

#include "usb_host.h"

#define MEMORY 65536
#define BLOCK 4096

enum {
	DNLOAD = 1,
	UPLOAD,
	GETSTATUS,
	CLRSTATUS,
	GETSTATE,
	ABORT,
};

enum {
	IDLE = 2,
	DOWNLOAD_SYNC,
	DOWNLOAD_BUSY,
	DOWNLOAD_IDLE,
	MANIFEST_SYNC,
	MANIFEST,
	UPLOAD_IDLE = 9,
	ERROR,
};

static uint8_t firmware[MEMORY];

static void
plug(const char *options)
{
	usb_plug_kind(&kind_dfu, options);
	configure(1);
	for (unsigned i = 0; i < sizeof firmware; i++)
		firmware[i] = (uint8_t)(i * 2654435761u >> 24);
}

/* What GETSTATUS answers. */
static void
expect_status(uint8_t status, uint8_t state, unsigned timeout)
{
	const uint8_t bytes[6] = {
		status, (uint8_t)timeout, (uint8_t)(timeout >> 8), 0, state, 0,
	};

	expect_control(0xa1, GETSTATUS, 0, 0, 6, USBIP_OK, bytes, 6);
}

static void
expect_state(uint8_t state)
{
	expect_control(0xa1, GETSTATE, 0, 0, 1, USBIP_OK, &state, 1);
}

static void
write_block(uint16_t number, const uint8_t *bytes, uint16_t len, int status)
{
	expect_write(0x21, DNLOAD, number, 0, bytes, len, status);
}

static void
read_block(uint16_t number, const uint8_t *bytes, uint32_t len)
{
	expect_control(0xa1, UPLOAD, number, 0, BLOCK, USBIP_OK, bytes, len);
}

static void
begin_upload(void)
{
	expect(control(0xa1, UPLOAD, 0, 0, BLOCK), USBIP_OK, BLOCK);
}

START_TEST(descriptors)
{
	static const uint8_t configuration[] = {
		9, 2, 27, 0, 1, 1, 0, 0xc0, 50,
		9, 4, 0, 0, 0, 0xfe, 1, 2, 4,
		9, 0x21, 7, 255, 0, 0, 16, 0x10, 0x01,
	};

	plug(NULL);
	expect_control(0x80, 6, 0x0200, 0, 255, USBIP_OK, configuration,
	    sizeof configuration);
	usb_expect_no_device(&kind_dfu, "busy=60001",
	    "--device dfu: busy: '60001' is no number from 0 to 60000");
	usb_expect_no_device(&kind_dfu, "size=1",
	    "--device dfu: there is no option 'size'");
	usb_unplug();
}
END_TEST

static void
download(const uint8_t *bytes, uint32_t len)
{
	uint16_t number = 0;

	for (uint32_t at = 0; at < len; at += BLOCK) {
		const uint32_t left = len - at;

		write_block(number++, bytes + at,
		    (uint16_t)(left < BLOCK ? left : BLOCK), USBIP_OK);
		expect_status(0, DOWNLOAD_IDLE, 0);
	}
	write_block(number, NULL, 0, USBIP_OK);
	expect_status(0, IDLE, 0);
}

static void
upload(const uint8_t *expected)
{
	for (uint16_t i = 0; i < MEMORY / BLOCK; i++) {
		read_block(i, expected + i * BLOCK, BLOCK);
		expect_state(UPLOAD_IDLE);
	}
	read_block(MEMORY / BLOCK, NULL, 0);
	expect_state(IDLE);
}

START_TEST(down_and_up)
{
	static uint8_t blank[MEMORY];

	memset(blank, 0xff, sizeof blank);
	plug("busy=0");
	upload(blank);
	download(firmware, sizeof firmware);
	upload(firmware);
	configure(0); /* its memory survives */
	device_restart(dev);
	configure(1);
	upload(firmware);
	download(firmware + 5000, 10000); /* the rest is erased */
	memcpy(blank, firmware + 5000, 10000);
	upload(blank);
	ck_assert_uint_eq(counted("downloads"), 2);
	ck_assert_uint_eq(counted("uploads"), 4);
	ck_assert_uint_eq(counted("bytes_in"), MEMORY + 10000);
	ck_assert_uint_eq(counted("bytes_out"), 4 * MEMORY);
	ck_assert_uint_eq(counted("errors"), 0);
	usb_unplug();
}
END_TEST

START_TEST(takes_its_time)
{
	plug("busy=3");
	write_block(0, firmware, 100, USBIP_OK);
	expect_state(DOWNLOAD_SYNC);
	expect_status(0, DOWNLOAD_BUSY, 3);
	usb_pass_time(3);
	expect_state(DOWNLOAD_SYNC);
	expect_status(0, DOWNLOAD_IDLE, 0);
	write_block(1, NULL, 0, USBIP_OK);
	expect_state(MANIFEST_SYNC);
	expect_status(0, MANIFEST, 3);
	usb_pass_time(3);
	expect_state(MANIFEST_SYNC);
	expect_status(0, IDLE, 0);
	ck_assert_uint_eq(counted("downloads"), 1);
	usb_unplug();
}
END_TEST

/* Who asks while it is busy finds it in error. */
START_TEST(may_not_be_asked)
{
	static const struct {
		uint8_t type, request;
	} requests[] = {
		{ 0xa1, GETSTATUS }, { 0xa1, GETSTATE }, { 0x21, ABORT },
		{ 0x21, DNLOAD }, { 0xa1, UPLOAD }, { 0x21, CLRSTATUS },
	};

	plug("busy=10000");
	for (int i = 0; i < UNIT_COUNT(requests); i++) {
		write_block(0, firmware, 100, USBIP_OK);
		expect_status(0, DOWNLOAD_BUSY, 10000);
		STALLS(requests[i].type, requests[i].request, 0, 0,
		    requests[i].type == 0xa1 ? 6 : 0);
		expect_state(ERROR);
		expect_write(0x21, CLRSTATUS, 0, 0, NULL, 0, USBIP_OK);
		expect_state(IDLE);
	}
	usb_unplug();
}
END_TEST

static void
expect_error(uint8_t status)
{
	expect_status(status, ERROR, 0);
	STALLS(0x21, ABORT, 0, 0, 0);
	expect_status(status, ERROR, 0); /* the first one stays */
	expect_write(0x21, CLRSTATUS, 0, 0, NULL, 0, USBIP_OK);
	expect_status(0, IDLE, 0);
}

START_TEST(errors)
{
	plug("busy=0");
	write_block(0, NULL, 0, USBIP_EPIPE); /* nothing to manifest */
	expect_error(9);
	write_block(1, firmware, 10, USBIP_EPIPE);
	expect_error(8);
	write_block(0, firmware, BLOCK + 1, USBIP_EPIPE);
	expect_error(8);
	write_block(0, firmware, 10, USBIP_OK);
	write_block(1, firmware, 10, USBIP_EPIPE); /* without GETSTATUS */
	expect_error(0x0f);
	begin_upload();
	STALLS(0xa1, UPLOAD, 0, 0, BLOCK); /* not the next block */
	expect_error(8);
	begin_upload();
	write_block(0, firmware, 10, USBIP_EPIPE);
	expect_error(0x0f);
	STALLS(0xa1, UPLOAD, 0, 0, BLOCK + 1);
	expect_error(8);
	STALLS(0x21, CLRSTATUS, 0, 0, 0);
	expect_error(0x0f);
	STALLS(0x21, 0, 1000, 0, 0); /* DETACH is for the other mode */
	expect_error(0x0f);
	usb_unplug();
}
END_TEST

START_TEST(beyond_the_memory)
{
	plug("busy=0");
	for (uint16_t i = 0; i < MEMORY / BLOCK; i++) {
		write_block(i, firmware + i * BLOCK, BLOCK, USBIP_OK);
		expect_status(0, DOWNLOAD_IDLE, 0);
	}
	write_block(MEMORY / BLOCK, firmware, 1, USBIP_EPIPE);
	expect_error(8);
	upload(firmware);
	usb_unplug();
}
END_TEST

START_TEST(abort_and_reset)
{
	plug("busy=0");
	write_block(0, firmware, 10, USBIP_OK);
	expect_write(0x21, ABORT, 0, 0, NULL, 0, USBIP_OK);
	expect_status(0, IDLE, 0);
	begin_upload();
	expect_write(0x21, ABORT, 0, 0, NULL, 0, USBIP_OK);
	expect_status(0, IDLE, 0);
	begin_upload();
	OUT_REQUEST(0x23, 3, 4, 1);
	STALLS(0xa1, GETSTATE, 0, 0, 1); /* it has no configuration */
	configure(1);
	expect_status(0, IDLE, 0);
	/* What is for another interface, or nobody, changes nothing. */
	STALLS(0xa1, GETSTATE, 0, 1, 1);
	STALLS(0xc0, 1, 0, 0, 1);
	expect_status(0, IDLE, 0);
	usb_unplug();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/dfu");
	TCase *t = tcase_create("dfu");

	tcase_add_test(t, descriptors);
	tcase_add_test(t, down_and_up);
	tcase_add_test(t, takes_its_time);
	tcase_add_test(t, may_not_be_asked);
	tcase_add_test(t, errors);
	tcase_add_test(t, beyond_the_memory);
	tcase_add_test(t, abort_and_reset);
	suite_add_tcase(s, t);
	return unit_run(s);
}
