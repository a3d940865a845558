/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_USBIP_STUB_H
#define MUXD_TESTS_USBIP_STUB_H

/*
 * A USB/IP server of another make, on a thread of its own: it refuses to push
 * its list, leaves out what is imported, and serves no URB at all.
 */

#include <pthread.h>
#include <stdbool.h>

#include "wire/usbip.h"

#define STUB_DEVICES_MAX 8
#define STUB_IMPORTS_MAX 4

struct usbip_stub {
	char dir[32];
	char address[64]; /* "unix:PATH" */
	int listener;
	pthread_t thread;

	pthread_mutex_t lock; /* of all below */
	struct usbip_device_entry devices[STUB_DEVICES_MAX];
	int count;
	bool mute;    /* says nothing to anybody */
	bool trickle; /* an import's answer comes a byte at a time, for ever */
	int watches, lists; /* requests of each kind so far */
	int imports[STUB_IMPORTS_MAX]; /* sockets of those that succeeded */
	int import_count;
};

void stub_open(struct usbip_stub *s);
void stub_close(struct usbip_stub *s);
/* Replaces the device of that number; NULL: there is none any more. */
void stub_set(struct usbip_stub *s, int number, const char *busid,
    uint32_t address);
/* The socket of an import, waits for it. */
int stub_import(struct usbip_stub *s, int number);

#endif
