/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_PROBE_H
#define MUXD_EXPORT_PROBE_H

/*
 * A look at a device that has just come: whether it is to be exported, and what
 * DEVINFO tells of it.
 *
 * Each look has a thread and a libusb context of its own, because a device may
 * take its time to answer.  It is opened only when it may be exported as far as
 * its descriptors tell, and nothing of it is claimed, so its drivers go on
 * working.  One that cannot be opened is exported without strings (its importer
 * will be told why it cannot have it).
 */

#include "actor/mailbox.h"
#include "actor/thread.h"
#include "export/bus.h"
#include "export/policy.h"
#include "usbip/server.h"

/* The longest answer that is waited for, and all of them together.  What has
 * not come by then is left out. */
#define PROBE_ANSWER_MS 250
#define PROBE_ALL_MS 1500

#define PROBE_TEXT_MAX 128

struct probe {
	struct msg msg; /* PROBE_DONE, posted as its last act */
	struct thread thread;
	struct mailbox *monitor;
	const struct policy *policy;
	struct bus_ident ident;

	/* ---- The result: the prober's, then the monitor's ---- */
	int error; /* of libusb: it could not even be looked at; 0 */
	enum policy_verdict verdict;
	uint8_t device_class;
	struct usbip_description desc; /* `info` is malloc'ed, or NULL */
	/* From the string descriptors, in ASCII; "" when there is none. */
	char serial[PROBE_TEXT_MAX], product[PROBE_TEXT_MAX];
};

/* Starts the look; NULL when memory or threads have run out.  The monitor. */
struct probe *probe_start(const struct policy *policy,
    const struct bus_ident *ident, struct mailbox *monitor);
/* After PROBE_DONE.  The caller may take `desc.info` and set it to NULL. */
void probe_free(struct probe *p);

#endif
