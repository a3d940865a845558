/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_OPTIONS_H
#define MUXD_PHONE_OPTIONS_H

/*
 * muxphone's command line.  The manual page, muxphone(1), and the text that
 * --help prints say the same.  Main thread, before there are others.
 */

#include <stdbool.h>

#include "base/cause.h"
#include "base/sock.h"
#include "phone/descriptors.h"
#include "phone/identity.h"
#include "phone/kinds.h"

#define OPTIONS_LISTEN_MAX 8
#define OPTIONS_UDC_MAX 32

/* A device that is no phone. */
struct options_device {
	const struct kind *kind;
	char *options; /* behind its colon, or NULL; argv's */
};

struct options {
	unsigned count; /* of phones */
	unsigned more_phones; /* while parsing: of --device phone */
	struct options_device *devices; /* owned */
	unsigned device_count;
	struct sock_addr listen[OPTIONS_LISTEN_MAX];
	unsigned listen_count;
	const char **udids; /* of the first phones; owned, the texts are not */
	unsigned udid_count;
	unsigned serial_length; /* 24, 40; 0: alternating */
	enum desc_speed speed; /* of all that have none of their own */
	unsigned mux_version;
	bool gadget; /* phones are at UDCs */
	unsigned configurations; /* 1 or 4: what they have there */
	/* Of the first phones; argv's. */
	const char *udcs[OPTIONS_UDC_MAX];
	unsigned udc_count;
	const char *control; /* path of the control socket, or NULL */
	const char *report;  /* file for the report, or NULL */
	bool verbose;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE, /* help or version has been printed */
	OPTIONS_BAD,  /* a cause says what */
};

/* Fills `o` with what the options say and the defaults of what they do not;
 * options_fini() is due in each case. */
enum options_result options_parse(struct options *o, int argc, char **argv,
    struct cause *why);
void options_fini(struct options *o);

#endif
