/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a, with a last mixing step so that every bit depends on every byte. */
static uint64_t
hash(uint64_t h, const char *text)
{
	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

uint64_t
identity_number(const struct identity *id, const char *what)
{
	return hash(hash(UINT64_C(0xcbf29ce484222325), id->serial), what);
}

/* The old kind is a hash; the new one a model's number and a chip's. */
static void
make_serial(struct identity *id, unsigned length)
{
	char seed[32];
	uint64_t a, b, c;

	snprintf(seed, sizeof seed, "muxphone %u", id->index);
	a = hash(1, seed);
	b = hash(2, seed);
	c = hash(3, seed);
	if (length == 40)
		snprintf(id->serial, sizeof id->serial,
		    "%016" PRIx64 "%016" PRIx64 "%08" PRIx64, a, b, c >> 32);
	else
		snprintf(id->serial, sizeof id->serial,
		    "00008030%016" PRIX64, a & UINT64_C(0x001fffffffffffff));
}

/* Copies `udid` without the hyphen of the new kind. */
static int
take_serial(struct identity *id, const char *udid, struct cause *why)
{
	const size_t len = strlen(udid);

	if (len == 25 && udid[8] == '-')
		snprintf(id->serial, sizeof id->serial, "%.8s%s", udid,
		    udid + 9);
	else if (len == 40 || len == 24)
		snprintf(id->serial, sizeof id->serial, "%s", udid);
	else
		id->serial[0] = '\0';
	if (id->serial[0] == '\0' ||
	    strspn(id->serial, "0123456789abcdefABCDEF") != strlen(id->serial))
		return cause_set(why,
		    "'%s' is no UDID: give 40 hexadecimal characters, or 24 "
		    "with or without a hyphen after the 8th", udid);
	return 0;
}

static void
take_place(struct identity *id, unsigned index)
{
	memset(id, 0, sizeof *id);
	id->index = index;
	id->bus = (uint8_t)(1 + (index - 1) / IDENTITY_PORTS);
	id->port = (uint8_t)(1 + (index - 1) % IDENTITY_PORTS);
	snprintf(id->busid, sizeof id->busid, "%u-%u", id->bus, id->port);
}

int
identity_init(struct identity *id, unsigned index, const char *udid,
    unsigned length, struct cause *why)
{
	take_place(id, index);
	if (udid == NULL)
		make_serial(id,
		    length != 0 ? length : index % 2 != 0 ? 40 : 24);
	else if (take_serial(id, udid, why) < 0)
		return -1;
	if (strlen(id->serial) == 24)
		snprintf(id->udid, sizeof id->udid, "%.8s-%s", id->serial,
		    id->serial + 8);
	else
		snprintf(id->udid, sizeof id->udid, "%s", id->serial);
	return 0;
}

void
identity_init_kind(struct identity *id, unsigned index, const char *kind)
{
	take_place(id, index);
	snprintf(id->serial, sizeof id->serial, "%s-%u", kind, index);
	snprintf(id->udid, sizeof id->udid, "%s", id->serial);
}

int
identity_set_serial(struct identity *id, const char *serial,
    struct cause *why)
{
	const size_t len = serial != NULL ? strlen(serial) : 0;

	if (len == 0 || len >= sizeof id->serial)
		return cause_set(why,
		    "serial: give 1 to %zu characters", sizeof id->serial - 1);
	for (size_t i = 0; i < len; i++)
		if (serial[i] <= ' ' || serial[i] > '~')
			return cause_set(why,
			    "serial: '%s' has other characters than printable "
			    "ones of ASCII", serial);
	memcpy(id->serial, serial, len + 1);
	memcpy(id->udid, serial, len + 1);
	return 0;
}
