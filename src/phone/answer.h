/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_ANSWER_H
#define MUXD_PHONE_ANSWER_H

struct json;

/* The answer to a tester's command that is not carried out: an object with
 * "error", a sentence of at most 299 bytes. */
void answer_error(struct json *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
