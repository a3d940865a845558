/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_FILE_H
#define MUXD_BASE_FILE_H

/* Files that an operator writes: small, and read whole. */

#include <stddef.h>

#include "base/cause.h"

/*
 * All of the file's bytes with a zero behind them, malloc'ed; *len gets how many
 * without it.  A file that is no regular one, or longer than `most`, is refused,
 * and a FIFO is not waited for.  NULL, a cause and errno.  Blocks on the disk.
 */
char *file_read(const char *path, size_t most, size_t *len,
    struct cause *why);

#endif
