/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_SCM_GOLDEN_H
#define MUXD_TESTS_SCM_GOLDEN_H

/*
 * Messages of the Socket Control Model byte for byte, put together by hand from
 * its documents: the 2019-09-03 edition for dialect 8 (where its text is silent
 * about a payload, our own layout, scm(7)), and for dialect 12 the layout of
 * shipped devices.
 */

#include "wire/scm.h"

struct scm_golden {
	const char *what;
	struct scm_format format;
	struct scm_message message;
	const char *hex; /* as scm_message_write() makes it, and a WRITE's
			  * payload behind it */
	bool read_only;	 /* others send it, we do not */
};

extern const struct scm_golden scm_goldens[];
extern const size_t scm_golden_count;

/* The bytes of a row of hexadecimal numbers; how many. */
#define SCM_GOLDEN_MAX 128
size_t scm_unhex(uint8_t out[SCM_GOLDEN_MAX], const char *hex);

#endif
