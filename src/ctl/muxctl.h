/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_CTL_MUXCTL_H
#define MUXD_CTL_MUXCTL_H

#include <stdio.h>

/* The program: results go to `out`, sentences about what went wrong to `err`.
 * Returns the exit status: 0, 1 (it did not work), 2 (wrong usage). */
int ctl_main(int argc, char **argv, FILE *out, FILE *err);

#endif
