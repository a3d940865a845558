/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_SCM_RIG_H
#define MUXD_TESTS_SCM_RIG_H

/*
 * A socket's engine and a worker that writes down what it is told to do, in
 * words: "socket", "connect", "ACK 5 CONNECT -111", "CLOSE", "fin", "close",
 * "reset", "leave", "end", with commas between.
 */

#include "scm/socket.h"

struct scm_rig {
	struct scm_socket s;
	struct moment now;
	enum scm_dialect dialect;
	/* What system calls say. */
	int make_error;
	int option_error;
	struct scm_value option_value;
	char log[8192]; /* since scm_rig_log() was asked */
	struct scm_message last; /* that was sent */
	uint8_t last_data[SCM_VALUE_MAX];
	bool ended;
};

/* Opened, with message id 1 and socket 9: its log is read already.  `ids` is
 * how many message ids it has. */
void scm_rig_open(struct scm_rig *r, enum scm_dialect dialect,
    uint16_t protocol, unsigned ids);
/* The same, and connected, with message id 2. */
void scm_rig_connected(struct scm_rig *r, enum scm_dialect dialect,
    uint16_t protocol, unsigned ids);

/* Does all that is to be done. */
void scm_rig_run(struct scm_rig *r);
/* Does it, and gives the log since this was last asked. */
const char *scm_rig_log(struct scm_rig *r);

/* Messages of the device, with this id. */
void scm_rig_take(struct scm_rig *r, enum scm_op op, uint16_t id);
void scm_rig_take_connect(struct scm_rig *r, uint16_t id, bool allowed);
void scm_rig_take_ack(struct scm_rig *r, uint16_t id, int32_t code);
/* A whole WRITE, in one part; whether its bytes are wanted. */
bool scm_rig_take_write(struct scm_rig *r, uint16_t id, uint32_t len);
/* A part of one. */
bool scm_rig_take_part(struct scm_rig *r, uint16_t id, uint32_t len,
    uint32_t total, uint32_t left);

/* Time goes on by so much. */
void scm_rig_pass(struct scm_rig *r, int64_t ms);

#endif
