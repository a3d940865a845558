/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_POLICY_H
#define MUXD_SCM_POLICY_H

/*
 * scm.conf(5): to which addresses which device may connect, how much it may
 * have of each thing, and how it speaks.  What no rule allows is denied.
 *
 * A policy is made whole from a text, or not at all, and never changes after:
 * any thread may ask it, and a new one is put in its place.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "scm/address.h"
#include "wire/scm.h"

/* Longer files are refused: nobody writes them. */
#define SCM_POLICY_TEXT_MAX (1024 * 1024)

struct scm_policy;

/* Makes a policy of the text of the file `name`.  NULL and a cause, with file,
 * line, column and remedy. */
struct scm_policy *scm_policy_new(const char *name, const char *text,
    size_t len, struct cause *why);
void scm_policy_free(struct scm_policy *p);
/* Rules in it, of all kinds. */
size_t scm_policy_rule_count(const struct scm_policy *p);

/* ---- Whom it is about --------------------------------------------------- */

struct scm_identity {
	uint16_t vendor, product;
	const char *serial; /* "": none; NULL: not known yet, so it may be any */
	const char *busid;  /* "1-4.2" */
};

/* VID:PID, VID:PID:SERIAL or a place, as rules name devices, for one that need
 * not be plugged in.  What points into `text` does so as long as it lives.
 * False: it is none of these. */
bool scm_identity_parse(struct scm_identity *out, const char *text);

/* "tcp" and "udp", as rules name them; "?" for others. */
const char *scm_protocol_name(uint16_t protocol);
/* False: it is neither. */
bool scm_protocol_parse(uint16_t *out, const char *text);

/* The device has an interface of this class: is it to be served by SCM?
 * ff/ab/00 is, and what a rule names. */
bool scm_policy_serves(const struct scm_policy *p,
    const struct scm_identity *who, uint8_t interface_class,
    uint8_t interface_subclass, uint8_t interface_protocol);

/* How it speaks: what a rule says, or dialect 12 for the devices that shipped
 * with it, or 8. */
struct scm_format scm_policy_format(const struct scm_policy *p,
    const struct scm_identity *who);

/* ---- How much it may have ----------------------------------------------- */

/* A device cannot have more sockets: in dialect 8 each has at least two of the
 * 256 message ids. */
#define SCM_SOCKETS_MAX 128

struct scm_limits {
	uint32_t sockets;     /* open at one time; 1..SCM_SOCKETS_MAX */
	uint32_t connects;    /* CONNECTs a second; 0: no limit */
	uint64_t bytes;       /* a second, each way; 0: no limit */
	uint64_t buffered;    /* bytes that wait for peers to take them */
	uint32_t connect_ms;  /* how long a peer may take to answer */
	uint32_t idle_ms;     /* how long a socket may be silent; 0: for ever */
};
struct scm_limits scm_policy_limits(const struct scm_policy *p,
    const struct scm_identity *who);

/* ---- Where to it may connect -------------------------------------------- */

enum scm_reason {
	SCM_BY_RULE,	/* `line` allows or denies it */
	SCM_NO_RULE,	/* none does, so it is denied */
	SCM_NO_SPECIAL, /* `line` would allow it, if it were not special */
	SCM_NO_PORT,	/* port 0 */
	SCM_NO_FAMILY,	/* neither IPv4 nor IPv6, neither TCP nor UDP */
	SCM_TOO_MANY,	/* more CONNECTs than a second may have */
};

struct scm_verdict {
	bool allowed;
	enum scm_reason reason;
	unsigned line; /* of the rule; 0: none */
	enum scm_special special;
	struct scm_ip ip;  /* that was judged */
	const char *form;  /* it was found in the address by way of this form;
			    * NULL: it is the address */
};

/*
 * Judges a CONNECT.  The address is made plain first: IPv4 that is mapped into
 * IPv6 is IPv4; and when the address embeds IPv4 addresses, it is allowed only
 * if each of them is, too.
 */
struct scm_verdict scm_policy_judge(const struct scm_policy *p,
    const struct scm_identity *who, uint16_t protocol,
    const struct scm_address *to, const struct scm_host *host);

/* Whether there is any address to which it may use the protocol. */
bool scm_policy_allows_some(const struct scm_policy *p,
    const struct scm_identity *who, uint16_t protocol);

/* "denied: no rule of scm.conf allows it"; for the log and for muxctl.  The
 * file's name is the policy's. */
#define SCM_VERDICT_TEXT_MAX 400
const char *scm_verdict_text(char out[SCM_VERDICT_TEXT_MAX],
    const struct scm_policy *p, const struct scm_verdict *v);

#endif
