/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_FAKE_LIBUSB_INT_H
#define TESTS_UNIT_FAKE_LIBUSB_INT_H

/* What the parts of the stand-in for libusb share: one state under one lock. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "fake_libusb.h"

/* A rule of libusb was broken. */
#define RULE(claim)                                                     \
	do {                                                            \
		if (!(claim)) {                                         \
			fprintf(stderr, "fake libusb: not so: %s\n",    \
			    #claim);                                    \
			abort();                                        \
		}                                                       \
	} while (0)

enum state { IDLE, FLYING, DONE };

struct fake_transfer {
	struct fake_transfer *next;
	enum state state;
	struct libusb_context *ctx;
	struct libusb_transfer x; /* last: it ends in a flexible array */
};

struct list {
	struct fake_transfer *first, **end;
};

struct answer {
	struct answer *next;
	int status, length;
	uint8_t byte;
};

struct fake_device {
	struct fake_device *next;
	struct fake_spec spec;
	bool plugged, held, jammed;
	bool heard; /* by contexts that are deaf */
	bool halted; /* IN: nothing more until it is cleared */
	int configuration, next_write;
	fake_control *control;
	fake_transfer_fn *transfer;
	const struct libusb_device_descriptor *descriptor; /* or NULL */
	const struct libusb_config_descriptor *const *configurations;
	struct list reads, writes;   /* in flight, oldest first */
	struct answer *answers, **answers_end; /* that nobody has read yet */
	struct fake_written *written;
	int written_count;
};

struct libusb_device {
	int refs;
	struct fake_device *d;
	libusb_context *ctx;
};

struct libusb_device_handle {
	libusb_device *device;
	bool wrapped;
};

struct libusb_context {
	struct libusb_context *next;
	struct list done;
	bool interrupted, deaf, empty;
	libusb_hotplug_callback_fn hotplug;
	void *hotplug_arg;
	int events; /* that the callback has not heard of */
	pthread_cond_t wake;
};

extern struct fake_state {
	pthread_mutex_t lock;
	struct libusb_context *contexts;
	struct fake_device *devices;
	struct fake_counts counts;
	bool has_hotplug, timerless, locked;
	int poll_fd; /* 0: FAKE_POLL_FD */
	bool shown, no_discovery;
	int wrap_error;
	int init_error, open_error, claim_error, claim_of, reset_error;
	int configuring_error;
	int stuck, slowness;
	long memory, memory_used;
} fake;

/* What is shown of a device follows what it is. */
void fake_show_device(const struct fake_device *d);
/* A handle, counted. */
libusb_device_handle *fake_new_handle(libusb_device *device, bool wrapped);

/* ---- Under the lock ---- */

void list_append(struct list *l, struct fake_transfer *t);
struct fake_transfer *list_take_first(struct list *l);
bool list_take_out(struct list *l, struct fake_transfer *t);
/* The transfer is done, and waits for its context's events to be handled. */
void fake_complete(struct fake_transfer *t, int status, int actual);
/* Hands answers to reads, as far as there are both. */
void fake_answer_reads(struct fake_device *d);
/* Completes writes unless they are held. */
void fake_finish_writes(struct fake_device *d);

#endif
