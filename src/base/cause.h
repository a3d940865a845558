/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_CAUSE_H
#define MUXD_BASE_CAUSE_H

/*
 * Why something failed, in one sentence for the operator: it names the thing
 * and, where there is one, the remedy.  Functions that can fail for a reason
 * take a `struct cause *` (never NULL) and fill it on failure only.
 */

struct cause {
	char text[256]; /* always terminated; cut when too long */
};

/* Fills `c`; always returns -1, so that `return cause_set(...)` reads well. */
int cause_set(struct cause *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
