/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_PROTOCOL_RIG_H
#define MUXD_TESTS_PROTOCOL_RIG_H

/*
 * A device without threads, for tests of a device protocol: the test is its
 * reader and its writer.  begin() and end() are the fixture.
 */

#include "base/log.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "daemon/protocol.h"
#include "fake_phone.h"

extern struct device *d;
extern struct phone_frame frame; /* the last one made or posted */

/* What the last input() gave. */
extern struct chunk *packet;
extern uint16_t port;
extern struct cause why;

/* The log's last line, and how many there were. */
extern char logged[LOG_LINE_MAX];
extern enum log_level logged_level;
extern unsigned lines;

void begin(void);
void end(void);

/* ---- The writer's part ---- */

/* The one frame that has been posted, framed (and in `frame`); all zero when
 * there is none. */
struct phone_words posted(int version);
bool nothing_posted(void);

/* ---- The reader's part ---- */

enum protocol_verdict read_in(const void *bytes, uint32_t len);
/* Reads `frame`; asserts that every read but the last gives NOTHING. */
enum protocol_verdict frame_in(void);
/* Makes and reads the answer to VERSION. */
enum protocol_verdict version_in(uint32_t major, uint32_t minor);
/* The handshake, done. */
void speak(int version);

/* Makes `frame` a segment from port 62078 to 513 with seq 0xa1b2c3d4 and ack
 * 0x01020304; the payload's byte i is i % 251. */
void make_tcp(int version, uint16_t tx_seq, uint32_t payload_len);

#endif
