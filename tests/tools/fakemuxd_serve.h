/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_FAKEMUXD_SERVE_H
#define MUXD_TESTS_FAKEMUXD_SERVE_H

/* The ports behind fakemuxd's devices (fakemuxd.h lists them). */

#include <stdbool.h>
#include <stdint.h>

/* Once, before the first thread. */
void serve_init(void);

bool serve_knows(uint16_t port);

/* Serves `port` on the blocking socket `fd` until its peer ends.  What the
 * peer half-closes is answered to its end: the echo sends all, then closes. */
void serve_port(int fd, uint16_t port);

#endif
