/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_READER_INT_H
#define MUXD_DAEMON_READER_INT_H

/* What the reader's files share: reader.c (messages, packets, begin and end) and
 * reader_serve.c (how it waits in between). */

#include "daemon/device.h"

void reader_take_messages(struct device *d) RUNS_ON(on_reader);

/* A completed read, for the protocol.  True when the handshake is done.
 * reader_attend_fed() has to follow. */
bool reader_take_read(struct device *d, struct chunk *read)
    RUNS_ON(on_reader);

/* One that has got packets has its turn. */
void reader_attend_fed(struct device *d) RUNS_ON(on_reader);

/* After the transport has had its say: those that wait for frames to leave. */
void reader_attend(struct device *d) RUNS_ON(on_reader);

enum read_result {
	READ_NOTHING,
	READ_SOMETHING,
	READ_READY, /* which has completed the handshake */
};

/* One read, which may block in the transport, and what follows from it. */
enum read_result reader_read(struct device *d, int timeout_ms)
    RUNS_ON(on_reader);

/* The same, after the messages there are; messages that come meanwhile end it.
 * True when the handshake has been completed by it. */
bool reader_wait_and_read(struct device *d, int timeout_ms)
    RUNS_ON(on_reader);

/* Until d->stopping. */
void reader_serve(struct device *d) RUNS_ON(on_reader);

#endif
