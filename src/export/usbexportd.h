/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_USBEXPORTD_H
#define MUXD_EXPORT_USBEXPORTD_H

/* The program.  Main thread. */

/* What it returns is the exit status: 0 after SIGTERM, SIGINT or the end of
 * --stdio, 1 when it could not start, 2 for wrong usage. */
int usbexportd_main(int argc, char **argv);

#endif
