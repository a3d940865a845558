/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_WIRE_SCM_INT_H
#define MUXD_WIRE_SCM_INT_H

/* What scm.c asks of a dialect; scm8.c and scm12.c answer. */

#include "wire/scm.h"

struct scm_codec {
	/* The header's fields: op, id, sock, and total, the payload's length;
	 * in dialect 8 also what the immediate word says.  False: no such
	 * opcode, and *opcode is what was there. */
	bool (*read_header)(struct reader *r, struct scm_message *m,
	    uint32_t *opcode);
	/* What the payload says; all of it, or its first SCM_SMALL_MAX bytes.
	 * False when it has not the form. */
	bool (*read_payload)(struct reader *r, const struct scm_format *f,
	    struct scm_message *m);
	/* Header and payload.  False: the dialect has no such message. */
	bool (*write)(struct writer *w, const struct scm_format *f,
	    const struct scm_message *m);
};

extern const struct scm_codec scm8_codec, scm12_codec;

/* The rest of the payload as the message's data. */
void scm_read_rest(struct reader *r, struct scm_message *m);

#endif
