/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_WIRE_PLIST_GUARD_H
#define MUXD_WIRE_PLIST_GUARD_H

/*
 * Property lists from strangers.
 *
 * libplist recurses into what it is given (libplist 2.2: each level of a
 * binary list costs several hundred bytes of stack, and a shared object is
 * unfolded once for each reference to it), copies a string's rest for each
 * entity, and searches a dictionary from its start for each key.  So the shape
 * of a list is measured here first, without recursion that the list controls
 * and without allocation, and what has another shape than an honest list of
 * its kind is refused unparsed.
 *
 * Pure; any thread; less than 64 KiB of stack within any of the limits below.
 */

#include <stddef.h>
#include <plist/plist.h>

struct plist_limits {
	unsigned depth; /* dictionaries and arrays inside one another */
	unsigned nodes; /* values, after shared ones are unfolded */
};

/* A request is one flat dictionary of at most a dozen keys; room is left for
 * keys that future clients add. */
#define PLIST_LIMITS_REQUEST ((struct plist_limits){ 4, 256 })
/* A pair record is a flat dictionary too; Apple's own have about 12 keys. */
#define PLIST_LIMITS_RECORD ((struct plist_limits){ 8, 1024 })
/* A list of 4096 devices has 17 values for each. */
#define PLIST_LIMITS_REPLY ((struct plist_limits){ 8, 4096 * 20 })

/* What stands between the dictionaries' ends, in an XML list, as character
 * entities: honest texts hold a handful. */
#define PLIST_ENTITIES_MAX 1024

/*
 * Parses an XML or binary ("bplist00") property list whose root is a
 * dictionary.  NULL when it is none, or exceeds the limits; otherwise the
 * caller's, to be freed with plist_free().
 */
plist_t plist_guard_parse(const void *bytes, size_t len,
    struct plist_limits limits);

#endif
