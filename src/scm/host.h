/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_HOST_H
#define MUXD_SCM_HOST_H

/* This host's addresses.  Pure, but for scm_host_list(). */

#include <ifaddrs.h>
#include <stdbool.h>

#include "scm/address.h"

/* The IPv4 and IPv6 addresses of a getifaddrs(), with their networks' bits.
 * False when out of memory: there is nothing to end then. */
bool scm_host_init(struct scm_host *h, const struct ifaddrs *list);
/* The same of those that this host has now.  0, or -1 and a cause. */
int scm_host_list(struct scm_host *h, struct cause *why);
void scm_host_fini(struct scm_host *h);

/* The same addresses, in the same order. */
bool scm_host_equal(const struct scm_host *a, const struct scm_host *b);

#endif
