/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_OPTIONS_H
#define MUXD_BASE_OPTIONS_H

#include <getopt.h>

#include "base/cause.h"

/*
 * Says, without the remedy ("see PROGRAM --help"), what is wrong with the word
 * that getopt_long() has just refused with `c`, '?' or ':'; for callers that
 * set opterr to 0 and whose option string begins with ':' (behind a '+').  Each
 * letter must have a long name, too.  Returns -1.
 */
int options_refuse(const struct option *long_options, char **argv, int c,
    struct cause *why);

#endif
