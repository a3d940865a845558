/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_HEX_H
#define MUXD_PHONE_HEX_H

/* Turns hexadecimal text into bytes, in its own place.  How many, or -1 when it
 * is none.  Pure; any thread. */
long hex_read(char *text);

#endif
