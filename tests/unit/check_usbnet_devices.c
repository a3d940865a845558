/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Contexts, devices, handles and interfaces of the drop-in libusb. */

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "unit.h"
#include "usbnet_rig.h"

static struct usbnet_rig r;

static libusb_device *
only_device(void)
{
	libusb_device **list, *dev;

	ck_assert_int_eq(libusb_get_device_list(r.ctx, &list), 1);
	dev = libusb_ref_device(list[0]);
	ck_assert_ptr_null(list[1]);
	libusb_free_device_list(list, 1);
	return dev;
}

/* ---- Without opening ---- */

START_TEST(where_it_is)
{
	uint8_t ports[7] = { 0 };
	libusb_device *dev;

	usbnet_serve(&r);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	dev = only_device();
	ck_assert_uint_eq(libusb_get_bus_number(dev), usbnet_bus(1));
	ck_assert_uint_eq(libusb_get_device_address(dev), 9);
	ck_assert_int_eq(libusb_get_device_speed(dev), LIBUSB_SPEED_HIGH);
	ck_assert_uint_eq(libusb_get_port_number(dev), 1);
	ck_assert_int_eq(libusb_get_port_numbers(dev, ports, 7), 1);
	ck_assert_uint_eq(ports[0], 1);
	ck_assert_int_eq(libusb_get_port_numbers(dev, ports, 0),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_ptr_null(libusb_get_parent(dev));
	libusb_unref_device(dev);
	usbnet_close(&r);
}
END_TEST

START_TEST(speeds)
{
	static const struct {
		uint32_t usbip;
		enum libusb_speed expected;
	} all[] = {
		{ USBIP_SPEED_LOW, LIBUSB_SPEED_LOW },
		{ USBIP_SPEED_FULL, LIBUSB_SPEED_FULL },
		{ USBIP_SPEED_SUPER, LIBUSB_SPEED_SUPER },
		{ USBIP_SPEED_SUPER_PLUS, LIBUSB_SPEED_SUPER_PLUS },
		{ 77, LIBUSB_SPEED_UNKNOWN },
	};

	usbnet_serve(&r);
	for (int i = 0; i < UNIT_COUNT(all); i++) {
		libusb_device *dev;

		r.dev.desc.device.speed = all[i].usbip;
		usbip_server_update(r.server.server, &r.dev.dev, &r.dev.desc);
		ck_assert_int_eq(libusb_init(&r.ctx), 0);
		dev = only_device();
		ck_assert_int_eq(libusb_get_device_speed(dev),
		    all[i].expected);
		libusb_unref_device(dev);
		libusb_exit(r.ctx);
	}
	r.ctx = NULL;
	usbnet_close(&r);
}
END_TEST

START_TEST(descriptors_without_opening)
{
	struct libusb_device_descriptor d;
	struct libusb_config_descriptor *config;
	char text[16];
	libusb_device *dev;

	usbnet_serve(&r);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	dev = only_device();
	ck_assert_int_eq(libusb_get_device_descriptor(dev, &d), 0);
	ck_assert_uint_eq(d.iSerialNumber, 3);
	ck_assert_uint_eq(d.bNumConfigurations, 2);
	ck_assert_int_eq(libusb_get_active_config_descriptor(dev, &config), 0);
	ck_assert_uint_eq(config->bConfigurationValue, 1);
	ck_assert_int_eq(config->interface[0].num_altsetting, 2);
	libusb_free_config_descriptor(config);
	ck_assert_int_eq(libusb_get_device_string(dev,
	    LIBUSB_DEVICE_STRING_PRODUCT, text, sizeof text), 3);
	ck_assert_str_eq(text, "F?n");
	ck_assert_int_eq(libusb_get_device_string(dev,
	    LIBUSB_DEVICE_STRING_SERIAL_NUMBER, text, sizeof text),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.imported), 0);
	libusb_unref_device(dev);
	usbnet_close(&r);
}
END_TEST

/* A server that tells nothing is asked by importing: once.  (The rig's control
 * endpoint gives bytes that are no descriptor.) */
START_TEST(descriptors_of_a_plain_server)
{
	struct libusb_device_descriptor d;
	libusb_device *dev;

	usbnet_serve(&r);
	r.dev.desc.info = NULL;
	usbip_server_update(r.server.server, &r.dev.dev, &r.dev.desc);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	dev = only_device();
	ck_assert_int_eq(libusb_get_device_descriptor(dev, &d), 0);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.imported), 1);
	ck_assert_uint_eq(d.idVendor, USBNET_VENDOR);
	ck_assert_uint_eq(d.idProduct, USBNET_PRODUCT);
	ck_assert_uint_eq(d.bcdDevice, 0x1504);
	ck_assert_uint_eq(d.bNumConfigurations, 2);
	ck_assert_int_eq(libusb_get_device_descriptor(dev, &d), 0);
	rig_await(&r.dev, &r.dev.released, 1);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.imported), 1);
	libusb_unref_device(dev);
	usbnet_close(&r);
}
END_TEST

START_TEST(several_servers_are_several_buses)
{
	static struct usbnet_rig second;
	char servers[300];
	libusb_device **list;

	usbnet_serve(&second);
	usbnet_serve(&r);
	snprintf(servers, sizeof servers,
	    "unix:%s  unix:/nowhere/at/all\n[::1 unix:%s", r.server.path,
	    second.server.path);
	usbnet_set_servers(servers);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(libusb_get_device_list(r.ctx, &list), 2);
	ck_assert_uint_eq(libusb_get_bus_number(list[0]) +
	    libusb_get_bus_number(list[1]), usbnet_bus(1) + usbnet_bus(4));
	libusb_free_device_list(list, 1);
	usbnet_close(&r);
	usbnet_close(&second);
}
END_TEST

/* ---- Handles ---- */

START_TEST(handles_share_one_import)
{
	libusb_device_handle *a, *b;
	libusb_device *dev;

	usbnet_serve(&r);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	dev = only_device();
	ck_assert_int_eq(libusb_open(dev, &a), 0);
	ck_assert_int_eq(libusb_open(dev, &b), 0);
	ck_assert_ptr_eq(libusb_get_device(a), dev);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.imported), 1);
	ck_assert_int_eq(libusb_claim_interface(a, 0), 0);
	ck_assert_int_eq(libusb_claim_interface(a, 0), 0);
	ck_assert_int_eq(libusb_claim_interface(b, 0), LIBUSB_ERROR_BUSY);
	libusb_close(a);
	ck_assert_int_eq(libusb_claim_interface(b, 0), 0);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.released), 0);
	libusb_close(b);
	rig_await(&r.dev, &r.dev.released, 1);
	libusb_close(NULL);
	libusb_unref_device(dev);
	usbnet_close(&r);
}
END_TEST

START_TEST(opened_by_others)
{
	libusb_device_handle *h;
	libusb_device *dev;
	int fd;

	usbnet_serve(&r);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	dev = only_device();
	fd = rig_import(&r.server, &r.dev);
	ck_assert_int_eq(libusb_open(dev, &h), LIBUSB_ERROR_BUSY);
	close(fd);
	rig_await(&r.dev, &r.dev.released, 1);
	r.dev.refuse_with = USBIP_ST_DEV_ERR;
	ck_assert_int_eq(libusb_open(dev, &h), LIBUSB_ERROR_IO);
	libusb_unref_device(dev);
	ck_assert_ptr_null(libusb_open_device_with_vid_pid(r.ctx, 1, 2));
	ck_assert_int_eq(libusb_wrap_sys_device(r.ctx, 0, &h),
	    LIBUSB_ERROR_NOT_SUPPORTED);
	usbnet_close(&r);
}
END_TEST

START_TEST(interfaces)
{
	usbnet_open(&r);
	ck_assert_int_eq(libusb_claim_interface(r.h, -1),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_claim_interface(r.h, 32),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_claim_interface(r.h, 1),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_release_interface(r.h, 1),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_set_interface_alt_setting(r.h, 1, 0),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_set_interface_alt_setting(r.h, 0, 256),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_set_interface_alt_setting(r.h, 0, 1), 0);
	ck_assert_int_eq(libusb_release_interface(r.h, 0), 0);
	ck_assert_int_eq(libusb_release_interface(r.h, 0),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_kernel_driver_active(r.h, 0), 0);
	ck_assert_int_eq(libusb_kernel_driver_active(r.h, 99),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_detach_kernel_driver(r.h, 0),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_attach_kernel_driver(r.h, 0),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_set_auto_detach_kernel_driver(r.h, 1), 0);
	ck_assert_int_eq(libusb_clear_halt(r.h, 0x81), 0);
	ck_assert_int_eq(libusb_reset_device(r.h), 0);
	usbnet_close(&r);
}
END_TEST

START_TEST(configurations)
{
	int value = -1;

	usbnet_open(&r);
	ck_assert_int_eq(libusb_get_configuration(r.h, &value), 0);
	ck_assert_int_eq(value, 1);
	ck_assert_int_eq(libusb_set_configuration(r.h, 5), LIBUSB_ERROR_BUSY);
	ck_assert_int_eq(libusb_release_interface(r.h, 0), 0);
	ck_assert_int_eq(libusb_set_configuration(r.h, 256),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_set_configuration(r.h, 7),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_set_configuration(r.h, 5), 0);
	ck_assert_int_eq(libusb_get_configuration(r.h, &value), 0);
	ck_assert_int_eq(value, 5);
	ck_assert_int_eq(libusb_claim_interface(r.h, 0),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_claim_interface(r.h, 2), 0);
	usbnet_close(&r);
}
END_TEST

/* As the kernel's server leaves a device. */
START_TEST(an_unconfigured_device_is_configured)
{
	struct libusb_config_descriptor *config;
	libusb_device *dev;
	int value = -1;

	usbnet_serve(&r);
	r.dev.desc.device.configuration = 0;
	usbip_server_update(r.server.server, &r.dev.dev, &r.dev.desc);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	dev = only_device();
	ck_assert_int_eq(libusb_get_active_config_descriptor(dev, &config), 0);
	libusb_free_config_descriptor(config);
	ck_assert_int_eq(libusb_open(dev, &r.h), 0);
	libusb_unref_device(dev);
	ck_assert_int_eq(libusb_get_configuration(r.h, &value), 0);
	ck_assert_int_eq(value, 1);
	ck_assert_uint_ge(usbnet_count(&r, &r.dev.submits), 1);
	usbnet_close(&r);
}
END_TEST

START_TEST(what_usbip_cannot)
{
	unsigned char ep = 0x81;

	usbnet_open(&r);
	ck_assert_int_eq(libusb_alloc_streams(r.h, 4, &ep, 1),
	    LIBUSB_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(libusb_alloc_streams(r.h, 0, &ep, 1),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_free_streams(r.h, &ep, 1),
	    LIBUSB_ERROR_NOT_SUPPORTED);
	ck_assert_ptr_null(libusb_dev_mem_alloc(r.h, 100));
	ck_assert_int_eq(libusb_dev_mem_free(r.h, NULL, 0),
	    LIBUSB_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(libusb_endpoint_supports_raw_io(r.h, 0x81), 0);
	ck_assert_int_eq(libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG), 1);
	ck_assert_int_eq(libusb_has_capability(0x7777), 0);
	usbnet_close(&r);
}
END_TEST

/* ---- Contexts ---- */

START_TEST(default_context)
{
	libusb_device **list;

	usbnet_serve(&r);
	ck_assert_int_eq(libusb_get_device_list(NULL, &list),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_init(NULL), 0);
	ck_assert_int_eq(libusb_init(NULL), 0);
	libusb_exit(NULL);
	ck_assert_int_eq(libusb_get_device_list(NULL, &list), 1);
	libusb_free_device_list(list, 1);
	libusb_exit(NULL);
	libusb_exit(NULL);
	/* Without one, the first that there is. */
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(libusb_get_device_list(NULL, &list), 1);
	libusb_free_device_list(list, 1);
	usbnet_close(&r);
}
END_TEST

START_TEST(nothing_stays_behind)
{
	unsigned before;

	usbnet_serve(&r);
	before = usbnet_open_fds();
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(libusb_init(&r.ctx), 0);
		r.h = libusb_open_device_with_vid_pid(r.ctx, USBNET_VENDOR,
		    USBNET_PRODUCT);
		ck_assert_ptr_nonnull(r.h);
		libusb_close(r.h);
		libusb_exit(r.ctx);
		rig_await(&r.dev, &r.dev.released, (unsigned)i + 1);
	}
	r.h = NULL;
	r.ctx = NULL;
	/* The server may not have closed its last ends yet. */
	for (int i = 0; i < 10000 && usbnet_open_fds() > before; i++)
		sched_yield();
	ck_assert_uint_eq(usbnet_open_fds(), before);
	usbnet_close(&r);
}
END_TEST

static void
never(struct libusb_transfer *t)
{
	ck_abort_msg("a callback after libusb_exit(): status %d", t->status);
}

START_TEST(exit_with_everything_open)
{
	static struct usbnet_transfer x;

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	x.t->callback = never;
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	libusb_exit(r.ctx);
	rig_await(&r.dev, &r.dev.released, 1);
	ck_assert_int_eq(libusb_submit_transfer(x.t), LIBUSB_ERROR_NO_DEVICE);
	ck_assert_int_eq(libusb_claim_interface(r.h, 0),
	    LIBUSB_ERROR_NO_DEVICE);
	usbnet_transfer_fini(&x);
	libusb_close(r.h);
	r.h = NULL;
	r.ctx = NULL;
	usbnet_close(&r);
}
END_TEST

START_TEST(options)
{
	const struct libusb_init_option none = {
		.option = (enum libusb_option)
		    LIBUSB_OPTION_NO_DEVICE_DISCOVERY,
	};
	libusb_device **list;

	usbnet_serve(&r);
	ck_assert_int_eq(libusb_init_context(&r.ctx, &none, 1), 0);
	ck_assert_int_eq(libusb_get_device_list(r.ctx, &list), 0);
	libusb_free_device_list(list, 1);
	ck_assert_int_eq(libusb_set_option(r.ctx, LIBUSB_OPTION_LOG_LEVEL, 1),
	    0);
	ck_assert_int_eq(libusb_set_option(r.ctx, LIBUSB_OPTION_LOG_LEVEL, 9),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_set_option(r.ctx, LIBUSB_OPTION_USE_USBDK),
	    LIBUSB_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(libusb_set_option(r.ctx, (enum libusb_option)77),
	    LIBUSB_ERROR_INVALID_PARAM);
	usbnet_close(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet devices");
	TCase *devices = tcase_create("devices");
	TCase *handles = tcase_create("handles");
	TCase *contexts = tcase_create("contexts");

	tcase_set_timeout(devices, 2 * RIG_PATIENCE_S);
	tcase_add_test(devices, where_it_is);
	tcase_add_test(devices, speeds);
	tcase_add_test(devices, descriptors_without_opening);
	tcase_add_test(devices, descriptors_of_a_plain_server);
	tcase_add_test(devices, several_servers_are_several_buses);
	suite_add_tcase(s, devices);
	tcase_set_timeout(handles, 2 * RIG_PATIENCE_S);
	tcase_add_test(handles, handles_share_one_import);
	tcase_add_test(handles, opened_by_others);
	tcase_add_test(handles, interfaces);
	tcase_add_test(handles, configurations);
	tcase_add_test(handles, an_unconfigured_device_is_configured);
	tcase_add_test(handles, what_usbip_cannot);
	suite_add_tcase(s, handles);
	tcase_set_timeout(contexts, 2 * RIG_PATIENCE_S);
	tcase_add_test(contexts, default_context);
	tcase_add_test(contexts, nothing_stays_behind);
	tcase_add_test(contexts, exit_with_everything_open);
	tcase_add_test(contexts, options);
	suite_add_tcase(s, contexts);
	return unit_run(s);
}
