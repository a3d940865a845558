/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_MANAGER_RIG_PHONES_H
#define MUXD_TESTS_MANAGER_RIG_PHONES_H

/*
 * The manager of manager_rig.h with phones and clients, all of which the test
 * is: each phone is behind a fake source, clients speak the binary protocol.
 */

#include <stddef.h>
#include <stdint.h>

#include "fake_phone.h"
#include "manager_rig.h"

#define RIG_PHONES 2

/* The sockets. */
enum { RIG_LISTENER, RIG_CONTROL };

extern struct fake fakes[RIG_PHONES];

/* Fixtures.  The end asserts that every thread has ended and all is freed. */
void rig_begin(void);
void rig_begin_polled(void);
void rig_end(void);

/* ---- Clients ---- */

int rig_client(void);
/* One that has asked to be told of devices. */
int rig_listening_client(void);
/* One of the first phone's, through all threads. */
int rig_connected_client(uint32_t id);
void rig_ask_connect(int fd, uint32_t id);

/* Exactly so many bytes; the end instead of a byte. */
void rig_receive(int fd, uint8_t *bytes, size_t len);
void rig_await_eof(int fd);
void rig_await_result(int fd, uint32_t result);
/* DEVICE_ADD; the device's id. */
uint32_t rig_await_attached(int fd, int phone);
void rig_await_detached(int fd, uint32_t id);

uint32_t rig_get32(const uint8_t *at);

/* ---- Phones ---- */

/* The next frame that a phone gets. */
struct phone_words rig_hear(int phone);
/* Its answer to one. */
void rig_say(int phone, const struct phone_words *heard, uint8_t flags);
/* Answers VERSION; SETUP is heard. */
void rig_come_up(int phone);

#endif
