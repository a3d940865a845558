/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_LOCKDOWN_H
#define MUXD_PHONE_LOCKDOWN_H

/*
 * Lockdown, what answers behind port 62078: dictionaries in, dictionaries out.
 * The phone is paired with nobody, so everything that needs a session is
 * refused with the error that a real one gives.
 *
 * Sources: libimobiledevice's lockdown.c for requests, keys and errors.
 *
 * Pure: allocates, keeps nothing.
 */

#include <plist/plist.h>

struct identity;

/* The longest request that is believed: a pair record has a few KiB. */
#define LOCKDOWN_REQUEST_MAX (256 * 1024)

/* Names under which StartService has the plain services. */
#define LOCKDOWN_SERVICE_ECHO "org.muxd.echo"
#define LOCKDOWN_SERVICE_DISCARD "org.muxd.discard"
#define LOCKDOWN_SERVICE_CHARGEN "org.muxd.chargen"

/* The answer to a request, any dictionary; the caller's.  NULL: no memory. */
plist_t lockdown_answer(const struct identity *id, plist_t request);

/* The string under `key`, where it lies, or NULL. */
const char *lockdown_text(plist_t dict, const char *key);

/* lockdown_values.c.  The value of a key, or a dictionary of all when `key` is
 * NULL; `domain` may be NULL.  The caller's.  NULL: there is none. */
plist_t lockdown_value(const struct identity *id, const char *domain,
    const char *key);

#endif
