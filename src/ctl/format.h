/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_CTL_FORMAT_H
#define MUXD_CTL_FORMAT_H

/*
 * Numbers as people read them, and texts of strangers as a terminal may have
 * them.  Pure, except that format_printable() obeys the locale (LC_CTYPE).
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FORMAT_MAX 32 /* bytes of the longest number, its end included */

/* All return `out`. */

/* Bytes in units of 1024: "0", "1023", "1.0K", "9.9K", "10K", "1023M", "3.4G".
 * Cut, not rounded, so it never says more than there is. */
const char *format_bytes(char out[FORMAT_MAX], uint64_t bytes);

/* Bits a second in units of 1000: "1.5M", "12M", "480M", "5G". */
const char *format_speed(char out[FORMAT_MAX], uint64_t bits);

/* A LocationID (a byte for the bus, then a nibble for each port on the way) as
 * the kernel names such a device: "1-4.2"; "1" for what is no port's. */
const char *format_port_path(char out[FORMAT_MAX], uint32_t location);

/* Time with its two largest units: "3d 4h", "2h 0m", "5m 12s", "9s". */
const char *format_duration(char out[FORMAT_MAX], uint64_t ms);

/*
 * A copy of `text` in which everything that takes no place on a terminal of
 * this locale (controls, orders of direction, bytes that are no character) is
 * a '?'.  malloc'ed, NULL when out of memory; *width gets its columns.
 */
char *format_printable(const char *text, size_t *width);

/* Prints that; nothing when out of memory. */
void format_print(FILE *to, const char *text);

#endif
