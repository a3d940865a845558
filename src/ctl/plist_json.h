/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_CTL_PLIST_JSON_H
#define MUXD_CTL_PLIST_JSON_H

/*
 * The daemon's answers as JSON, whatever keys they have: what a newer daemon
 * adds appears by itself.
 */

#include <plist/plist.h>

#include "base/json.h"

/*
 * A key as JSON has it: the leading capitals small, except the one that begins
 * the next word.  "ID" becomes "id", "LocationID" "locationID", "USBPort"
 * "usbPort".  Returns `out`; longer keys are cut.
 */
#define PLIST_JSON_KEY_MAX 64
const char *plist_json_key(char out[PLIST_JSON_KEY_MAX], const char *key);

/* Writes `node` as a value, a member `key` (as it is) of the object that is
 * open unless that is NULL.  Kinds that the protocol does not use become
 * null. */
void plist_json_value(struct json *j, const char *key, plist_t node);

/* Writes what is in the dictionary, into the object that is open. */
void plist_json_members(struct json *j, plist_t dict);

#endif
