/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_STANDARD_H
#define MUXD_BASE_STANDARD_H

/*
 * For a program's first line: standard input, output and error that it was
 * started without become /dev/null, opened with these flags (O_RDWR, or O_RDONLY
 * where what is written must fail as it would have).  Otherwise the next socket
 * would be one of them, and get what the program prints.
 */
void standard_fill(int flags);

#endif
