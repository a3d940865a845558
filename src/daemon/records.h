/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_RECORDS_H
#define MUXD_DAEMON_RECORDS_H

/*
 * The store of pair records: one file `ID.plist` for each phone that trusts
 * this host, and `SystemConfiguration.plist` with the host's own BUID.  Stock
 * usbmuxd keeps the same files in the same place.
 *
 * Ids come from clients, so only the characters of a real UDID may pass
 * (CVE-2025-66004 was "../" in one), and none may name the host's own file.
 * A file is replaced whole or not at all: written beside, synced, renamed.
 *
 * All calls may block on the disk, and any thread may make them at any time.
 * They return 0 or an errno value, which is also what the client protocol
 * answers: ENOENT for a record that is not there, EINVAL for an id or a record
 * that cannot be one, or what the file system said.
 */

#include <stddef.h>
#include <stdint.h>

#define RECORDS_DEFAULT_DIR "/var/lib/lockdown"
#define RECORDS_ID_MAX 64 /* characters */
/* Of one file.  Real records have 3 to 8 KiB, a client's request 64 KiB. */
#define RECORDS_SIZE_MAX (1024 * 1024)
#define RECORDS_BUID_MAX 65 /* a UUID has 36 characters, and an end */

struct records;

/* A store in the directory `dir`, which is made (mode 0700, its parent must
 * exist) when something is first written.  NULL on lack of memory. */
struct records *records_open(const char *dir);
void records_close(struct records *r);
/* As given; the store's. */
const char *records_directory(const struct records *r);

/*
 * The host's BUID: read or made (a random UUID, stored before it is told) on
 * the first call, remembered afterwards.  The other keys of an existing
 * SystemConfiguration.plist stay.  One that is no property list is kept as
 * SystemConfiguration.plist.damaged.
 */
int records_buid(struct records *r, char out[RECORDS_BUID_MAX]);

/* The record's bytes exactly as stored, malloc'ed, the caller's. */
int records_read(struct records *r, const char *id, uint8_t **bytes,
    size_t *len);

/* Stores the bytes exactly as given, XML or binary, if they are a property
 * list that is a dictionary (EINVAL otherwise).  On an error the old record is
 * still there.  Mode 0600. */
int records_save(struct records *r, const char *id, const void *bytes,
    size_t len);

int records_delete(struct records *r, const char *id);

#endif
