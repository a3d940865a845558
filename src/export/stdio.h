/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_STDIO_H
#define MUXD_EXPORT_STDIO_H

#include <stdbool.h>

#include "base/cause.h"

/*
 * Standard input and output as the one descriptor that the engine wants.  When
 * both are the same socket, it is that; otherwise a socket whose other end is
 * relayed by two threads, one for each way, which block: input and output may
 * be shared with other processes, which a non-blocking mode would surprise.
 * The threads run until the program ends.
 *
 * The descriptor, the caller's, or -1 and a cause.  When `*relayed`, `peer_gone`
 * (with `arg`) is called once by a thread, when all that the engine had to say
 * has been written, or cannot be; it may hang as long as nobody reads.  Once a process.
 */
int stdio_open(void (*peer_gone)(void *arg), void *arg, bool *relayed,
    struct cause *why);

#endif
