/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_WIRE_CLIENT_H
#define MUXD_WIRE_CLIENT_H

/*
 * The usbmux client protocol, both directions, both versions: bytes to
 * structures and back (include/usbmux.h has the numbers).
 *
 * Everything here is pure: no descriptor, no clock, no state, any thread.
 * Every parser is total, and needs less than 64 KiB of stack whatever it is
 * given.  A frame is a whole message, header and payload in one allocation,
 * because a widespread client insists on getting the header in one recv():
 * send it with one call.
 *
 * A daemon does: client_header_read(), the payload, client_request_parse(),
 * then one of the client_build_*() calls.  A client does: client_ask_*(),
 * client_header_read(), the payload, client_reply_parse().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usbmux.h"

/* The longest message a daemon takes, header included: the reference daemon's
 * limit.  The largest honest one holds a pair record of a few KiB. */
#define CLIENT_REQUEST_MAX 65536
/* The longest a client takes: a list of a thousand devices has about 800 KiB. */
#define CLIENT_REPLY_MAX (4 * 1024 * 1024)

/* ---- Header ---- */

struct client_header {
	uint32_t length; /* bytes of the whole message, this header included */
	uint32_t version;
	uint32_t message;
	uint32_t tag;
};

/* Reads the USBMUX_HEADER_SIZE bytes at `bytes`.  False when the length in it
 * is less than a header, or more than `max`: the stream is lost, close it. */
bool client_header_read(struct client_header *out, const void *bytes,
    uint32_t max);

/* ---- What messages speak of ---- */

/* In which of the two forms a peer speaks.  A connection's first plist request
 * switches its answers to plists for good. */
enum client_form {
	CLIENT_BINARY,
	CLIENT_PLIST,
};

enum client_link {
	CLIENT_LINK_USB,
	CLIENT_LINK_NETWORK,
};

#define CLIENT_UDID_MAX 64    /* with its end; clients take 43 characters */
#define CLIENT_ADDRESS_MAX 128

struct client_device {
	uint32_t id; /* never 0, which ends lists in clients */
	enum client_link link;
	uint32_t location;
	uint64_t speed; /* bits per second */
	uint16_t product_id;
	char udid[CLIENT_UDID_MAX];
	/* Network devices only. */
	uint32_t interface_index;
	char service[CLIENT_ADDRESS_MAX]; /* EscapedFullServiceName */
	uint8_t address[CLIENT_ADDRESS_MAX]; /* a sockaddr */
	size_t address_len;
};

/* How a client describes itself.  Texts are cut when too long, and "" when the
 * client sent none; they are the client's claim and nothing more. */
#define CLIENT_TEXT_MAX 128

struct client_info {
	char prog_name[CLIENT_TEXT_MAX];
	char bundle_id[CLIENT_TEXT_MAX];
	char version[CLIENT_TEXT_MAX]; /* ClientVersionString */
	uint32_t lib_version;	       /* kLibUSBMuxVersion */
	uint32_t process_id;
	uint32_t conn_type;
};

struct client_listener {
	uint32_t number; /* the daemon's number of that client */
	struct client_info info;
};

/* ---- Requests, as the daemon reads them ---- */

enum client_kind {
	CLIENT_BAD, /* answer with `refusal` and go on */
	CLIENT_LISTEN,
	CLIENT_CONNECT,
	CLIENT_LIST_DEVICES,
	CLIENT_LIST_LISTENERS,
	CLIENT_READ_BUID,
	CLIENT_READ_RECORD,
	CLIENT_SAVE_RECORD,
	CLIENT_DELETE_RECORD,
};
const char *client_kind_name(enum client_kind kind);

/* A pair record's id with its end.  Longer ones are refused here; which
 * characters may stand in it is the record store's business. */
#define CLIENT_RECORD_ID_MAX 65

struct client_request {
	enum client_kind kind;
	enum client_form form; /* in which to answer, see above */
	uint32_t tag;	       /* of the answer */
	uint32_t refusal;      /* CLIENT_BAD: the result number to answer */
	const char *reason;    /* CLIENT_BAD: why, for the log; static */
	uint32_t device_id;    /* CONNECT; SAVE_RECORD (0: none was given) */
	uint16_t port;	       /* CONNECT; host order, swapped back */
	char record_id[CLIENT_RECORD_ID_MAX]; /* *_RECORD */
	uint8_t *record; /* SAVE_RECORD: malloc'ed, the request's */
	size_t record_len;
	struct client_info info; /* all empty in the binary form */
};

/*
 * Parses the message of header `h` with its `len` bytes of payload (the
 * caller has checked that len == h->length - USBMUX_HEADER_SIZE).  Fills `out`
 * in any case; what cannot be understood or served comes back as CLIENT_BAD
 * with the number that the protocol gives for it.  End it with
 * client_request_fini(), or take `record` and set it to NULL before that.
 */
void client_request_parse(struct client_request *out,
    const struct client_header *h, const void *payload, size_t len);
void client_request_fini(struct client_request *r);

/* The same for a Connect as practically all programs write it, in either form:
 * quick, little stack, and nothing to be ended.  False: it is something else, or
 * unusual, and `out` says nothing of it. */
bool client_connect_parse(struct client_request *out,
    const struct client_header *h, const void *payload, size_t len);

/* ---- Answers and notifications, as the daemon builds them ---- */

/* A whole message, malloc'ed, the caller's (free(bytes)).  bytes is NULL and
 * len 0 when memory has run out. */
struct client_frame {
	uint8_t *bytes;
	size_t len;
};

/* Gives the answer `frame` another tag, so that a list can be built once and
 * sent often. */
void client_frame_set_tag(struct client_frame *frame, uint32_t tag);

struct client_frame client_build_result(enum client_form form, uint32_t tag,
    uint32_t result);

/* Answers that exist as plists only. */
struct client_frame client_build_device_list(uint32_t tag,
    const struct client_device *devices, size_t count);
struct client_frame client_build_listener_list(uint32_t tag,
    const struct client_listener *listeners, size_t count);
struct client_frame client_build_buid(uint32_t tag, const char *buid);
struct client_frame client_build_record(uint32_t tag, const void *record,
    size_t len);

/* Notifications; their tag is 0. */
struct client_frame client_build_attached(enum client_form form,
    const struct client_device *device);
struct client_frame client_build_detached(enum client_form form,
    uint32_t device_id);
struct client_frame client_build_paired(enum client_form form,
    uint32_t device_id);

/* ---- Requests, as a client builds them ---- */

/* LISTEN and CONNECT exist in both forms, the others as plists only (`form`
 * is then taken as CLIENT_PLIST). */
struct client_frame client_ask_listen(enum client_form form, uint32_t tag,
    const struct client_info *self);
struct client_frame client_ask_connect(enum client_form form, uint32_t tag,
    const struct client_info *self, uint32_t device_id, uint16_t port);
/* LIST_DEVICES, LIST_LISTENERS, READ_BUID. */
struct client_frame client_ask_simple(enum client_kind kind, uint32_t tag,
    const struct client_info *self);
/* READ_RECORD, DELETE_RECORD. */
struct client_frame client_ask_record(enum client_kind kind, uint32_t tag,
    const struct client_info *self, const char *record_id);
/* `device_id` 0: none; with one, listeners are told that it is paired. */
struct client_frame client_ask_save_record(uint32_t tag,
    const struct client_info *self, const char *record_id, const void *record,
    size_t len, uint32_t device_id);

/* ---- Answers and notifications, as a client reads them ---- */

enum client_reply_kind {
	CLIENT_REPLY_RESULT,
	CLIENT_REPLY_ATTACHED,
	CLIENT_REPLY_DETACHED,
	CLIENT_REPLY_PAIRED,
	CLIENT_REPLY_DEVICES,
	CLIENT_REPLY_LISTENERS,
	CLIENT_REPLY_BUID,
	CLIENT_REPLY_RECORD,
	CLIENT_REPLY_OTHER, /* well-formed, but of no kind above */
};

struct client_reply {
	enum client_reply_kind kind;
	uint32_t tag;
	uint32_t result;	      /* RESULT */
	uint32_t device_id;	      /* DETACHED, PAIRED */
	struct client_device device;  /* ATTACHED */
	struct client_device *devices; /* DEVICES; malloc'ed, the reply's */
	struct client_listener *listeners; /* LISTENERS; the same */
	size_t count;		      /* of either */
	uint8_t *data; /* RECORD, and BUID with a NUL behind it; the same */
	size_t len;
};

/*
 * False when the message cannot be understood, or when memory has run out;
 * `out` then holds nothing.  A list's entries that lack an id or a serial are
 * left out, rather than losing the list.
 */
bool client_reply_parse(struct client_reply *out,
    const struct client_header *h, const void *payload, size_t len);
void client_reply_fini(struct client_reply *r);

#endif
