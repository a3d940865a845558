/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_PATHS_H
#define MUXD_DAEMON_PATHS_H

/* Where things are unless options say otherwise: where usbmuxd has them.  The
 * sockets: include/usbmux.h and wire/admin.h. */

#define PATHS_PIDFILE "/var/run/usbmuxd.pid"
#define PATHS_RECORDS_DIR "/var/lib/lockdown"
/* Ours, below the directory that configure was told. */
#define PATHS_SCM_CONF PATHS_SYSCONFDIR "/muxd/scm.conf"

#endif
