/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stand-in's descriptors, and the requests that libusb makes itself. */
#include <poll.h>
#include <string.h>

#include "fake_libusb_int.h"

static uint32_t
bit(int interface)
{
	RULE(interface >= 0 && interface < 32);
	return (uint32_t)1 << interface;
}

/* Ends a call that changed something. */
static int
unlock(const struct fake_device *d)
{
	const int error = d->plugged ? 0 : LIBUSB_ERROR_NO_DEVICE;

	pthread_mutex_unlock(&fake.lock);
	return error;
}

void
fake_describe(struct fake_device *d,
    const struct libusb_device_descriptor *device,
    const struct libusb_config_descriptor *const *configurations)
{
	pthread_mutex_lock(&fake.lock);
	d->descriptor = device;
	d->configurations = configurations;
	d->configuration = configurations[0]->bConfigurationValue;
	pthread_mutex_unlock(&fake.lock);
}

/* ---- Configurations ---- */

/* The caller frees a copy, so that a use after it shows. */
static int
give_copy(const struct libusb_config_descriptor *c,
    struct libusb_config_descriptor **out)
{
	*out = malloc(sizeof **out);
	RULE(*out != NULL);
	memcpy(*out, c, sizeof **out);
	return 0;
}

int
libusb_get_config_descriptor(libusb_device *device, uint8_t index,
    struct libusb_config_descriptor **out)
{
	if (device->d->descriptor == NULL ||
	    index >= device->d->descriptor->bNumConfigurations)
		return LIBUSB_ERROR_NOT_FOUND;
	if (device->d->configurations[index] == NULL)
		return LIBUSB_ERROR_IO;
	return give_copy(device->d->configurations[index], out);
}

int
libusb_get_active_config_descriptor(libusb_device *device,
    struct libusb_config_descriptor **out)
{
	const struct fake_device *d = device->d;
	int value;

	pthread_mutex_lock(&fake.lock);
	value = d->configuration;
	pthread_mutex_unlock(&fake.lock);
	for (int i = 0; d->descriptor != NULL &&
	     i < d->descriptor->bNumConfigurations; i++)
		if (d->configurations[i] != NULL &&
		    d->configurations[i]->bConfigurationValue == value)
			return give_copy(d->configurations[i], out);
	return LIBUSB_ERROR_NOT_FOUND;
}

void
libusb_free_config_descriptor(struct libusb_config_descriptor *c)
{
	free(c);
}

int
libusb_get_configuration(libusb_device_handle *h, int *out)
{
	/* It would ask the device, and wait for an answer. */
	RULE(!h->wrapped);
	pthread_mutex_lock(&fake.lock);
	*out = h->device->d->configuration;
	return unlock(h->device->d);
}

int
libusb_set_configuration(libusb_device_handle *h, int configuration)
{
	struct fake_device *d = h->device->d;

	poll(NULL, 0, fake.slowness);
	pthread_mutex_lock(&fake.lock);
	if (fake.configuring_error != 0) {
		const int error = fake.configuring_error;

		pthread_mutex_unlock(&fake.lock);
		return error;
	}
	RULE(d->transfer == NULL || fake.counts.claims == 0);
	fake.counts.configuration = configuration;
	fake.counts.set_configurations++;
	d->configuration = configuration;
	fake_show_device(d);
	return unlock(d);
}

/* ---- Interfaces ---- */

int
libusb_kernel_driver_active(libusb_device_handle *h, int interface)
{
	int error;

	pthread_mutex_lock(&fake.lock);
	error = unlock(h->device->d);
	return error != 0 ? error : interface == 0;
}

int
libusb_detach_kernel_driver(libusb_device_handle *h, int interface)
{
	(void)h, (void)interface;
	pthread_mutex_lock(&fake.lock);
	fake.counts.detached++;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

int
libusb_attach_kernel_driver(libusb_device_handle *h, int interface)
{
	pthread_mutex_lock(&fake.lock);
	(void)interface;
	RULE(fake.counts.claims == 0); /* its driver may want all of them */
	fake.counts.attached++;
	return unlock(h->device->d);
}

int
libusb_claim_interface(libusb_device_handle *h, int interface)
{
	int error;

	pthread_mutex_lock(&fake.lock);
	error = fake.claim_of < 0 || fake.claim_of == interface
	    ? fake.claim_error : 0;
	if (error == 0) {
		fake.counts.claimed = interface;
		fake.counts.claims |= bit(interface);
	}
	pthread_mutex_unlock(&fake.lock);
	(void)h;
	return error;
}

int
libusb_release_interface(libusb_device_handle *h, int interface)
{
	pthread_mutex_lock(&fake.lock);
	fake.counts.released = interface;
	fake.counts.claims &= ~bit(interface);
	return unlock(h->device->d);
}

int
libusb_set_interface_alt_setting(libusb_device_handle *h, int interface,
    int setting)
{
	pthread_mutex_lock(&fake.lock);
	if (interface < 0 || interface > 31 ||
	    (fake.counts.claims & bit(interface)) == 0) {
		pthread_mutex_unlock(&fake.lock);
		return LIBUSB_ERROR_NOT_FOUND;
	}
	if (interface == fake.stuck) {
		pthread_mutex_unlock(&fake.lock);
		return LIBUSB_ERROR_PIPE;
	}
	fake.counts.interface = interface;
	fake.counts.setting = setting;
	return unlock(h->device->d);
}

/* ---- The rest ---- */

int
libusb_clear_halt(libusb_device_handle *h, unsigned char endpoint)
{
	struct fake_device *d = h->device->d;

	pthread_mutex_lock(&fake.lock);
	for (struct fake_transfer *x = d->reads.first; x != NULL; x = x->next)
		RULE(d->transfer != NULL || x->x.endpoint != endpoint);
	fake.counts.clear_halts++;
	d->halted = false;
	return unlock(d);
}

int
libusb_reset_device(libusb_device_handle *h)
{
	int error;

	(void)h;
	pthread_mutex_lock(&fake.lock);
	fake.counts.resets++;
	error = fake.reset_error;
	pthread_mutex_unlock(&fake.lock);
	return error;
}

int
libusb_control_transfer(libusb_device_handle *h, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, unsigned char *data, uint16_t length,
    unsigned int timeout)
{
	struct fake_device *d = h->device->d;
	bool plugged;

	RULE(timeout > 0);
	pthread_mutex_lock(&fake.lock);
	plugged = d->plugged;
	pthread_mutex_unlock(&fake.lock);
	if (!plugged)
		return LIBUSB_ERROR_NO_DEVICE;
	if (d->control == NULL)
		return LIBUSB_ERROR_PIPE;
	return d->control(d, type, request, value, index, data, length);
}

const char *
libusb_error_name(int error)
{
	(void)error;
	return "LIBUSB_ERROR";
}
