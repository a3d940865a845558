/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_MUXD_H
#define MUXD_DAEMON_MUXD_H

/* The whole daemon; returns the process's exit status. */
int muxd_main(int argc, char **argv);

#endif
