/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_SCM_DEVICE_RIG_H
#define MUXD_TESTS_SCM_DEVICE_RIG_H

/* The reader's side of one device, and what that device says to it. */

#include "scm/device.h"

extern struct scm_device dev;
extern struct scm_policy *dev_policy;
extern const struct scm_host dev_host;
extern struct moment dev_now;
extern char dev_owners[SCM_SLOTS]; /* something for owners to be */

void dev_start(enum scm_dialect dialect, const char *conf);
void dev_stop(void);

/* A transfer of the device: what is said in it, and what is to be read. */
extern uint8_t dev_sent[1 << 20];
extern struct writer dev_out;
extern struct reader dev_in;
void dev_begin_transfer(void);
void dev_say(const struct scm_message *m);
void dev_say_write(uint32_t sock, uint32_t len); /* of zeros */
void dev_end_transfer(void);

struct scm_event dev_next_event(void);
/* The one event that a message makes. */
struct scm_event dev_event_of(const struct scm_message *m);
struct scm_event dev_event_of_open(uint32_t sock, uint16_t family,
    uint16_t protocol);
/* Opens it; its slot. */
uint32_t dev_open_socket(uint32_t sock);
/* The worker of a slot is done; `busy` of its ids are not answered. */
void dev_release(uint32_t slot, uint32_t busy, uint32_t optional);

void dev_assert_reply(struct scm_event e, enum scm_op op, int32_t code);

#endif
