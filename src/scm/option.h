/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_OPTION_H
#define MUXD_SCM_OPTION_H

/*
 * What a device may set, read and ask of a socket: a short list, by Linux'
 * numbers on the wire and by this system's towards its kernel.  No number of a
 * device's reaches a system call.  Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "wire/scm.h"

enum scm_option {
	SCM_KEEPALIVE,
	SCM_ERROR, /* read only */
	SCM_RCVBUF,
	SCM_SNDBUF,
	SCM_LINGER,
	SCM_NODELAY,
	SCM_KEEPIDLE,
	SCM_KEEPINTVL,
	SCM_KEEPCNT,
	SCM_V6ONLY,
	/* By IOCTL: bytes that can be read, and that have not been sent. */
	SCM_INQ,
	SCM_OUTQ,
};
#define SCM_OPTION_COUNT (SCM_OUTQ + 1)

/* Values are one number; of SCM_LINGER two: on or off, and seconds. */
struct scm_value {
	int32_t v[2];
};

/* Which option a SETOPT, GETOPT or IOCTL is about; SETOPT: and its value,
 * within the bounds that we set.  SCM_OK, or the errno to answer. */
int32_t scm_option_find(const struct scm_message *m, enum scm_option *option,
    struct scm_value *value);

/* This system's names of it.  False: it has none, or (SCM_INQ, SCM_OUTQ) it is
 * no option but an ioctl's, in *name. */
bool scm_option_native(enum scm_option option, int *level, int *name);

/* The value's bytes for a REPLY; how many. */
#define SCM_VALUE_MAX 8
uint32_t scm_value_write(uint8_t out[SCM_VALUE_MAX], enum scm_option option,
    const struct scm_value *value);

#endif
