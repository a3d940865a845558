/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_SCMDEV_RIG_H
#define MUXD_TESTS_SCMDEV_RIG_H

/*
 * A host of the Socket Control Model in a test's hands: it says and expects
 * bytes, which the test has written down from the documents.  Bytes are given
 * as hexadecimal digits, with spaces where they help.
 */

#include "phone/scmdev.h"
#include "usb_host.h"

/* The device, configured. */
void scm_plug(const char *options);
void scm_unplug(void);
struct scmdev *scm(void);

/* The host sends one transfer, properly ended, which the device takes. */
void host_sends(uint8_t endpoint, const char *hex);
/* The next transfer of the device's has exactly these bytes. */
void host_gets(uint8_t endpoint, const char *hex);
void host_gets_nothing(uint8_t endpoint);
/* The next one, as it is; its bytes stay the rig's. */
const struct test_urb *host_fetches(uint8_t endpoint);

/* A command of the control socket ("scm 1" left out): the answer's text, which
 * is valid until the next one. */
const char *command(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
/* Its answer is exactly that. */
#define COMMAND(answer, ...) ck_assert_str_eq(command(__VA_ARGS__), answer)

/* This violation has been counted, so often in all; or none at all. */
void violated(const char *kind, unsigned times);
void behaved(void);

/* One round of the main thread; waits for `ms` at most. */
void main_round(int ms);

/* Digits to bytes: how many. */
size_t unhex(uint8_t *out, size_t room, const char *hex);

#endif
