/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_FUZZ_H
#define MUXD_TESTS_FUZZ_H

/*
 * A fuzz target takes any bytes; it ends the process when a parser does what
 * it must not.  Configured with --enable-fuzz, a target is linked with
 * libFuzzer; otherwise with replay.c, which is what `make check` runs.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What must hold whatever the input is. */
#define MUST(claim)                                                       \
	do {                                                              \
		if (!(claim)) {                                           \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, \
			    __LINE__, #claim);                            \
			abort();                                          \
		}                                                         \
	} while (0)

#endif
