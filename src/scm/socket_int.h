/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_SOCKET_INT_H
#define MUXD_SCM_SOCKET_INT_H

/* What socket.c, a socket's states, has for socket_data.c, its bytes. */

#include "scm/socket.h"

/* Something has passed: the socket is not idle. */
void scm_socket_touch(struct scm_socket *s, struct moment now);

/* The answer to a message that was dealt with at once. */
void scm_socket_reply(struct scm_socket *s, const struct scm_message *m,
    int32_t code);

/* The descriptor is of no use any more, because of `fault`, static words.  The
 * device is told by a CLOSE, or in the answer to its own. */
void scm_socket_fail(struct scm_socket *s, int32_t code, const char *fault,
    struct moment now);

#endif
