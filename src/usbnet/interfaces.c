/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Interfaces, configurations and endpoints of an open device.  Who has claimed
 * what is known here only: over USB/IP the whole device is ours.  What changes
 * the device is a control request, which the server carries out by the means of
 * its host.
 */

#include "usbnet/handle.h"

#define FEATURE_ENDPOINT_HALT 0
/* To the port, of which the device knows nothing: the server resets it. */
#define TO_PORT (LIBUSB_REQUEST_TYPE_CLASS | LIBUSB_RECIPIENT_OTHER)
#define FEATURE_PORT_RESET 4

static bool
is_interface(int number)
{
	return number >= 0 && number < UN_INTERFACES_MAX;
}

/* ---- Kernel drivers: there is no kernel here ---- */

static int
driver_call(libusb_device_handle *h, int interface_number, int result)
{
	if (!is_interface(interface_number))
		return LIBUSB_ERROR_INVALID_PARAM;
	return un_handle_is_good(h) ? result : LIBUSB_ERROR_NO_DEVICE;
}

int
libusb_kernel_driver_active(libusb_device_handle *dev_handle,
    int interface_number)
{
	return driver_call(dev_handle, interface_number, 0);
}

int
libusb_detach_kernel_driver(libusb_device_handle *dev_handle,
    int interface_number)
{
	return driver_call(dev_handle, interface_number,
	    LIBUSB_ERROR_NOT_FOUND);
}

int
libusb_attach_kernel_driver(libusb_device_handle *dev_handle,
    int interface_number)
{
	return driver_call(dev_handle, interface_number,
	    LIBUSB_ERROR_NOT_FOUND);
}

int
libusb_set_auto_detach_kernel_driver(libusb_device_handle *dev_handle,
    int enable)
{
	(void)dev_handle;
	(void)enable;
	return LIBUSB_SUCCESS;
}

/* ---- Claims ---- */

/* What is not known is left to the device. */
static bool
has_interface(libusb_device *dev, uint8_t number)
{
	const uint8_t *bytes;
	size_t len;

	return !un_device_cached_configuration(dev,
		   un_device_configuration(dev), &bytes, &len) ||
	    un_has_interface(bytes, len, number);
}

int
libusb_claim_interface(libusb_device_handle *dev_handle, int interface_number)
{
	struct un_link *l = dev_handle->link;
	libusb_device_handle **claim;
	int rc = 0;

	if (!is_interface(interface_number))
		return LIBUSB_ERROR_INVALID_PARAM;
	if (!un_handle_is_good(dev_handle))
		return LIBUSB_ERROR_NO_DEVICE;
	if (!has_interface(dev_handle->dev, (uint8_t)interface_number))
		return LIBUSB_ERROR_NOT_FOUND;
	pthread_mutex_lock(&l->lock);
	claim = &l->claims[interface_number];
	if (*claim == NULL)
		*claim = dev_handle;
	else if (*claim != dev_handle)
		rc = LIBUSB_ERROR_BUSY;
	pthread_mutex_unlock(&l->lock);
	return rc;
}

/* Whether `h` has claimed it; its alternate setting. */
static bool
is_claimed(libusb_device_handle *h, int number, uint8_t *alt)
{
	struct un_link *l = h->link;
	bool yes;

	pthread_mutex_lock(&l->lock);
	yes = l->claims[number] == h;
	*alt = l->alts[number];
	pthread_mutex_unlock(&l->lock);
	return yes;
}

static int
set_alt(libusb_device_handle *h, int number, int alt)
{
	const int rc = un_link_control(h->link, LIBUSB_RECIPIENT_INTERFACE,
	    LIBUSB_REQUEST_SET_INTERFACE, (uint16_t)alt, (uint16_t)number,
	    NULL, 0);

	return rc == LIBUSB_ERROR_PIPE ? LIBUSB_ERROR_NOT_FOUND : rc;
}

int
libusb_release_interface(libusb_device_handle *dev_handle,
    int interface_number)
{
	struct un_link *l = dev_handle->link;
	uint8_t alt;

	if (!is_interface(interface_number))
		return LIBUSB_ERROR_INVALID_PARAM;
	if (!un_handle_is_good(dev_handle))
		return LIBUSB_ERROR_NO_DEVICE;
	if (!is_claimed(dev_handle, interface_number, &alt))
		return LIBUSB_ERROR_NOT_FOUND;
	/* As a host does whose driver leaves. */
	if (alt != 0)
		set_alt(dev_handle, interface_number, 0);
	pthread_mutex_lock(&l->lock);
	l->claims[interface_number] = NULL;
	pthread_mutex_unlock(&l->lock);
	return 0;
}

int
libusb_set_interface_alt_setting(libusb_device_handle *dev_handle,
    int interface_number, int alternate_setting)
{
	uint8_t alt;

	if (!is_interface(interface_number) || alternate_setting < 0 ||
	    alternate_setting > 255)
		return LIBUSB_ERROR_INVALID_PARAM;
	if (!un_handle_is_good(dev_handle))
		return LIBUSB_ERROR_NO_DEVICE;
	if (!is_claimed(dev_handle, interface_number, &alt))
		return LIBUSB_ERROR_NOT_FOUND;
	return set_alt(dev_handle, interface_number, alternate_setting);
}

/* ---- Configurations ---- */

int
libusb_get_configuration(libusb_device_handle *dev_handle, int *config)
{
	if (!un_handle_is_good(dev_handle))
		return LIBUSB_ERROR_NO_DEVICE;
	*config = un_device_configuration(dev_handle->dev);
	return 0;
}

static bool
has_claims(struct un_link *l)
{
	bool any = false;

	pthread_mutex_lock(&l->lock);
	for (int i = 0; i < UN_INTERFACES_MAX; i++)
		any |= l->claims[i] != NULL;
	pthread_mutex_unlock(&l->lock);
	return any;
}

int
libusb_set_configuration(libusb_device_handle *dev_handle, int configuration)
{
	const uint8_t *bytes;
	size_t len;
	int rc;

	if (configuration < -1 || configuration > 255)
		return LIBUSB_ERROR_INVALID_PARAM;
	if (!un_handle_is_good(dev_handle))
		return LIBUSB_ERROR_NO_DEVICE;
	if (configuration == -1)
		configuration = 0; /* the wire's word for none */
	if (has_claims(dev_handle->link))
		return LIBUSB_ERROR_BUSY;
	if (configuration != 0 &&
	    un_device_first_configuration(dev_handle->dev, &bytes, &len) &&
	    !un_device_cached_configuration(dev_handle->dev,
		(uint8_t)configuration, &bytes, &len))
		return LIBUSB_ERROR_NOT_FOUND;
	rc = un_link_control(dev_handle->link, LIBUSB_RECIPIENT_DEVICE,
	    LIBUSB_REQUEST_SET_CONFIGURATION, (uint16_t)configuration, 0, NULL,
	    0);
	return rc == LIBUSB_ERROR_PIPE ? LIBUSB_ERROR_NOT_FOUND : rc;
}

/* ---- Endpoints, and all of it ---- */

int
libusb_clear_halt(libusb_device_handle *dev_handle, unsigned char endpoint)
{
	int rc;

	if (!un_handle_is_good(dev_handle))
		return LIBUSB_ERROR_NO_DEVICE;
	rc = un_link_control(dev_handle->link, LIBUSB_RECIPIENT_ENDPOINT,
	    LIBUSB_REQUEST_CLEAR_FEATURE, FEATURE_ENDPOINT_HALT, endpoint,
	    NULL, 0);
	return rc == LIBUSB_ERROR_PIPE ? LIBUSB_ERROR_NOT_FOUND : rc;
}

/* A server that does not know the request hands it to the device, which refuses
 * it: then nothing has been reset. */
int
libusb_reset_device(libusb_device_handle *dev_handle)
{
	int rc;

	if (!un_handle_is_good(dev_handle))
		return LIBUSB_ERROR_NO_DEVICE;
	rc = un_link_control(dev_handle->link, TO_PORT,
	    LIBUSB_REQUEST_SET_FEATURE, FEATURE_PORT_RESET, 0, NULL, 0);
	return rc == LIBUSB_ERROR_PIPE ? LIBUSB_ERROR_NOT_SUPPORTED : rc;
}

/* ---- What USB/IP cannot express ---- */

int
libusb_alloc_streams(libusb_device_handle *dev_handle, uint32_t num_streams,
    unsigned char *endpoints, int num_endpoints)
{
	if (num_streams == 0 || endpoints == NULL || num_endpoints <= 0)
		return LIBUSB_ERROR_INVALID_PARAM;
	return un_handle_is_good(dev_handle) ? LIBUSB_ERROR_NOT_SUPPORTED
					     : LIBUSB_ERROR_NO_DEVICE;
}

int
libusb_free_streams(libusb_device_handle *dev_handle,
    unsigned char *endpoints, int num_endpoints)
{
	if (endpoints == NULL || num_endpoints <= 0)
		return LIBUSB_ERROR_INVALID_PARAM;
	return un_handle_is_good(dev_handle) ? LIBUSB_ERROR_NOT_SUPPORTED
					     : LIBUSB_ERROR_NO_DEVICE;
}

/* There is no memory that a device at the other end of a network could reach;
 * programs then use their own. */
unsigned char *
libusb_dev_mem_alloc(libusb_device_handle *dev_handle, size_t length)
{
	(void)dev_handle;
	(void)length;
	return NULL;
}

int
libusb_dev_mem_free(libusb_device_handle *dev_handle, unsigned char *buffer,
    size_t length)
{
	(void)dev_handle;
	(void)buffer;
	(void)length;
	return LIBUSB_ERROR_NOT_SUPPORTED;
}

int
libusb_endpoint_supports_raw_io(libusb_device_handle *dev_handle,
    uint8_t endpoint)
{
	(void)dev_handle;
	(void)endpoint;
	return 0;
}

int
libusb_endpoint_set_raw_io(libusb_device_handle *dev_handle, uint8_t endpoint,
    int enable)
{
	(void)dev_handle;
	(void)endpoint;
	(void)enable;
	return LIBUSB_ERROR_NOT_SUPPORTED;
}

int
libusb_get_max_raw_io_transfer_size(libusb_device_handle *dev_handle,
    uint8_t endpoint)
{
	(void)dev_handle;
	(void)endpoint;
	return LIBUSB_ERROR_NOT_SUPPORTED;
}
