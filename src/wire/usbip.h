/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_WIRE_USBIP_H
#define MUXD_WIRE_USBIP_H

/*
 * USB/IP 1.1.1 on the wire: structs and their bytes, both ways.
 *
 * A connection carries one operation (DEVLIST, IMPORT, or DEVINFO which is
 * ours); an import that succeeds turns it into a stream of URB PDUs.
 * Everything is big-endian.
 * Every structure has a fixed size, so each function here takes or fills an
 * array of that size; what may follow it (interfaces, data, ISO descriptors)
 * is told by the *_payload() functions, which also do the checks on lengths.
 * All decoders are total: any bytes give a value or an error, and no value is
 * to be trusted before the payload function has accepted it.
 *
 * Pure: no state, no allocation; any thread.  Sources: the kernel's
 * Documentation/usb/usbip_protocol.rst (whose OP_REP_IMPORT offsets are wrong
 * behind bcdDevice), tools/usb/usbip, drivers/usb/usbip, and captures between
 * the kernel's own client and server.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cursor.h"

#define USBIP_VERSION 0x0111 /* both sides close on any other */
#define USBIP_PORT "3240"

/* ---- Operations --------------------------------------------------------- */

enum usbip_op_code {
	USBIP_REQ_DEVINFO = 0x8002, /* the code is the kernel's, which has
				     * never used it; the operation is ours */
	USBIP_REP_DEVINFO = 0x0002,
	USBIP_REQ_IMPORT = 0x8003,
	USBIP_REP_IMPORT = 0x0003,
	USBIP_REQ_DEVLIST = 0x8005,
	USBIP_REP_DEVLIST = 0x0005,
};

/* What the status of a reply can be (usbip_common.h, ST_*). */
enum usbip_status {
	USBIP_ST_OK = 0,
	USBIP_ST_NA = 1,       /* the export failed */
	USBIP_ST_DEV_BUSY = 2, /* somebody has imported it */
	USBIP_ST_DEV_ERR = 3,  /* the device is in an error state */
	USBIP_ST_NODEV = 4,    /* no device of that busid */
	USBIP_ST_ERROR = 5,    /* anything else */
};
/* Words for a message, for unknown numbers too. */
const char *usbip_status_text(uint32_t status);

/*
 * Our extension, "watch": an OP_REQ_DEVLIST with this in its status field,
 * where every other client sends 0.
 *
 * A server that knows it answers with an OP_REP_DEVLIST of ALL plugged
 * devices (also those in use, which a plain list leaves out), status 0, keeps
 * the connection open, and sends another complete OP_REP_DEVLIST each time
 * that the set has changed.  Several changes may be folded into one reply when
 * the client is slow to read.  The client sends nothing more; either side ends
 * it by closing.  A server that does not know it answers once and closes, or
 * closes at once (the kernel's usbipd takes no status but 0): the client then
 * falls back to asking, with a 0, from time to time.
 */
#define USBIP_WATCH 0x57415443 /* "WATC" */

/* The head of every request and reply. */
#define USBIP_OP_SIZE 8
struct usbip_op {
	uint16_t version;
	uint16_t code;   /* enum usbip_op_code */
	uint32_t status; /* enum usbip_status; of a request: 0 or USBIP_WATCH */
};
void usbip_op_encode(uint8_t out[USBIP_OP_SIZE], const struct usbip_op *op);
void usbip_op_decode(struct usbip_op *out, const uint8_t in[USBIP_OP_SIZE]);

/* The busid that follows the head of OP_REQ_IMPORT.  On the wire it need not
 * be terminated; here it always is. */
#define USBIP_BUSID_SIZE 32
#define USBIP_REQ_IMPORT_SIZE (USBIP_OP_SIZE + USBIP_BUSID_SIZE)
void usbip_busid_encode(uint8_t out[USBIP_BUSID_SIZE], const char *busid);
void usbip_busid_decode(char out[USBIP_BUSID_SIZE + 1],
    const uint8_t in[USBIP_BUSID_SIZE]);

/* Kernel's enum usb_device_speed. */
enum usbip_speed {
	USBIP_SPEED_UNKNOWN = 0,
	USBIP_SPEED_LOW = 1,
	USBIP_SPEED_FULL = 2,
	USBIP_SPEED_HIGH = 3,
	USBIP_SPEED_WIRELESS = 4,
	USBIP_SPEED_SUPER = 5,
	USBIP_SPEED_SUPER_PLUS = 6,
};

/*
 * One device, as in both replies.  OP_REP_IMPORT is the head (8) and one of
 * these (312): 320 bytes; or, when its status is not 0, the head alone.
 * OP_REP_DEVLIST is the head, a 32-bit count, and for each device one of these
 * followed by `interface_count` interfaces (4 bytes each).
 */
#define USBIP_PATH_SIZE 256
#define USBIP_DEVICE_SIZE 312
#define USBIP_REP_IMPORT_SIZE (USBIP_OP_SIZE + USBIP_DEVICE_SIZE)
#define USBIP_DEVLIST_HEAD_SIZE (USBIP_OP_SIZE + 4)
#define USBIP_INTERFACE_SIZE 4
struct usbip_interface {
	uint8_t interface_class;
	uint8_t interface_subclass;
	uint8_t interface_protocol;
};
void usbip_interface_encode(uint8_t out[USBIP_INTERFACE_SIZE],
    const struct usbip_interface *intf);
void usbip_interface_decode(struct usbip_interface *out,
    const uint8_t in[USBIP_INTERFACE_SIZE]);

/* Interfaces that an entry has room for: more than devices have. */
#define USBIP_ENTRY_INTERFACES 32

struct usbip_device_entry {
	char path[USBIP_PATH_SIZE + 1];   /* informative; terminated */
	char busid[USBIP_BUSID_SIZE + 1]; /* terminated */
	uint32_t bus;
	uint32_t address; /* devnum */
	uint32_t speed;   /* enum usbip_speed */
	uint16_t vendor;
	uint16_t product;
	uint16_t release; /* bcdDevice */
	uint8_t device_class;
	uint8_t device_subclass;
	uint8_t device_protocol;
	uint8_t configuration;  /* bConfigurationValue; 0: unconfigured */
	uint8_t configurations; /* bNumConfigurations */
	uint8_t interface_count;
	/* The first of them, where a list has been received.  They follow the
	 * entry on the wire, and are not part of what the two below do. */
	struct usbip_interface interfaces[USBIP_ENTRY_INTERFACES];
};
void usbip_device_encode(uint8_t out[USBIP_DEVICE_SIZE],
    const struct usbip_device_entry *dev);
void usbip_device_decode(struct usbip_device_entry *out,
    const uint8_t in[USBIP_DEVICE_SIZE]);

/* What the importer puts into `devid` of its PDUs. */
static inline uint32_t
usbip_devid(uint32_t bus, uint32_t address)
{
	return bus << 16 | (address & 0xffff);
}

/*
 * Our extension, DEVINFO: what can be known of a device before, and without,
 * importing it; also while somebody else has it.
 *
 * The request is OP_REQ_IMPORT's with another code.  The reply is a head (8),
 * and, when its status is 0: one device entry (312), a 32-bit length of at most
 * USBIP_INFO_MAX, and as many bytes of records.  A device without records is
 * answered with USBIP_ST_NA.  A server that does not know the operation closes.
 *
 * A record holds what the device itself answers to GET_DESCRIPTOR(type, index,
 * langid), whole: an 8-byte head (type, index, langid, 32-bit length), then
 * the bytes.  A reader skips the types that it does not know.
 */
#define USBIP_REQ_DEVINFO_SIZE USBIP_REQ_IMPORT_SIZE
#define USBIP_REP_DEVINFO_HEAD_SIZE (USBIP_OP_SIZE + USBIP_DEVICE_SIZE + 4)
#define USBIP_INFO_MAX (256 * 1024)
#define USBIP_INFO_RECORD_SIZE 8 /* of a record's head */

enum usbip_info_type { /* USB's numbers of descriptors */
	USBIP_INFO_DEVICE = 1,
	USBIP_INFO_CONFIGURATION = 2, /* index 0..n-1; of its total length */
	USBIP_INFO_STRING = 3,        /* index 0: the languages */
	USBIP_INFO_BOS = 15,          /* of its total length */
};

struct usbip_info_record {
	uint8_t type; /* enum usbip_info_type */
	uint8_t index;
	uint16_t langid; /* strings: as it was asked for */
	uint32_t length;
	const uint8_t *bytes; /* in what is being read */
};

/* The next record, or false: that was the last whole one.  Total. */
bool usbip_info_next(struct reader *r, struct usbip_info_record *out);

/* Appends a record.  False when there is no room for all of it, or it cannot be
 * one that is read again: nothing is written, and smaller ones may follow. */
bool usbip_info_add(struct writer *w, const struct usbip_info_record *record);

/* More devices than any host has (127 a bus): the largest count that a client
 * need believe in a DEVLIST reply. */
#define USBIP_DEVLIST_MAX 16384

/* ---- URBs --------------------------------------------------------------- */

enum usbip_command {
	USBIP_CMD_SUBMIT = 1,
	USBIP_CMD_UNLINK = 2,
	USBIP_RET_SUBMIT = 3,
	USBIP_RET_UNLINK = 4,
};

/* transfer_flags that mean something on the other side (uapi/linux/usbip.h);
 * the importer may send others, which a server masks out. */
enum usbip_flags {
	USBIP_SHORT_NOT_OK = 0x0001,
	USBIP_ISO_ASAP = 0x0002,
	USBIP_ZERO_PACKET = 0x0040, /* OUT of k * wMaxPacketSize: add a ZLP */
	USBIP_DIR_IN_FLAG = 0x0200, /* what Linux sets for IN */
};

/* Status of a URB on the wire: Linux' errno numbers, negated, whatever the
 * errno numbers of this system are. */
enum usbip_errno {
	USBIP_OK = 0,
	USBIP_ENOENT = -2,       /* killed */
	USBIP_ENOMEM = -12,
	USBIP_EXDEV = -18,       /* ISO packet not, or partly, done */
	USBIP_ENODEV = -19,
	USBIP_EINVAL = -22,
	USBIP_EPIPE = -32,       /* stall */
	USBIP_ETIME = -62,
	USBIP_EPROTO = -71,
	USBIP_EOVERFLOW = -75,   /* babble */
	USBIP_EILSEQ = -84,
	USBIP_ECONNRESET = -104, /* unlinked */
	USBIP_ESHUTDOWN = -108,  /* the device, or its driver, is gone */
	USBIP_ETIMEDOUT = -110,
	USBIP_EREMOTEIO = -121,  /* short read with SHORT_NOT_OK */
};

/* 16 MiB: what usbfs allows a whole host by default, so no real transfer is
 * larger; beyond it a length is an attack or a broken peer. */
#define USBIP_LENGTH_MAX (16 * 1024 * 1024)
/* The kernel's USBIP_MAX_ISO_PACKETS. */
#define USBIP_ISO_PACKETS_MAX 1024
/* 15 IN, 15 OUT and the control endpoint. */
#define USBIP_ENDPOINT_MAX 15

/* The 48 bytes with which every PDU begins, both ways. */
#define USBIP_PDU_SIZE 48
struct usbip_pdu {
	uint32_t command; /* enum usbip_command; says which member is valid */
	uint32_t seqnum;  /* of a reply: its request's.  Starts anywhere. */
	uint32_t devid;   /* usbip_devid(); 0 in replies */
	uint32_t direction; /* 1: IN; 0 in replies and in UNLINK */
	uint32_t endpoint;  /* number, without direction; 0 in replies */
	union {
		struct {
			uint32_t flags;
			int32_t length; /* transfer_buffer_length */
			int32_t start_frame;
			int32_t packets; /* ISO: > 0; otherwise 0 or -1 */
			int32_t interval;
			uint8_t setup[8];
		} submit;
		struct {
			uint32_t seqnum; /* of the SUBMIT to take back */
		} unlink;
		struct {
			int32_t status; /* enum usbip_errno */
			int32_t actual;
			int32_t start_frame;
			int32_t packets; /* as in the request */
			int32_t errors;  /* ISO packets with status != 0 */
		} ret_submit;
		struct {
			/* USBIP_ECONNRESET: taken back, no RET_SUBMIT comes.
			 * 0: too late, its RET_SUBMIT came before this. */
			int32_t status;
		} ret_unlink;
	};
};
/* Writes zeros where the protocol wants padding. */
void usbip_pdu_encode(uint8_t out[USBIP_PDU_SIZE], const struct usbip_pdu *pdu);
/* 0, or -1 when the command is none of the four (the stream is then lost). */
int usbip_pdu_decode(struct usbip_pdu *out, const uint8_t in[USBIP_PDU_SIZE]);

/* One packet of an isochronous transfer; `packets` of them end a CMD_SUBMIT
 * and its RET_SUBMIT, behind the data, in both directions. */
#define USBIP_ISO_SIZE 16
struct usbip_iso {
	uint32_t offset; /* into the transfer's buffer */
	uint32_t length;
	uint32_t actual;
	int32_t status; /* enum usbip_errno */
};
void usbip_iso_encode(uint8_t out[USBIP_ISO_SIZE], const struct usbip_iso *iso);
void usbip_iso_decode(struct usbip_iso *out, const uint8_t in[USBIP_ISO_SIZE]);

/* `packets` of a PDU as a count: 0 unless it is an ISO transfer. */
static inline uint32_t
usbip_iso_count(int32_t packets)
{
	return packets > 0 ? (uint32_t)packets : 0;
}

/*
 * How many bytes follow a CMD_SUBMIT: data when it is OUT, then descriptors;
 * or -1 when the stream cannot be followed: a negative length, a number of
 * packets that is below -1 or above USBIP_ISO_PACKETS_MAX, a direction that is
 * none.  The length may still be above USBIP_LENGTH_MAX: that can be skipped
 * and answered.
 */
int64_t usbip_submit_payload(const struct usbip_pdu *pdu);

/*
 * How many bytes follow a RET_SUBMIT to a request of `length` bytes with
 * `packets` ISO packets: data when it was IN, then descriptors; or -1 when the
 * reply does not fit the request (more data or packets than were asked for:
 * CVE-2026-31607), after which the stream cannot be followed.
 */
int64_t usbip_ret_submit_payload(const struct usbip_pdu *pdu, bool in,
    uint32_t length, uint32_t packets);

/* True when packet `iso` lies inside a buffer of `length` bytes. */
bool usbip_iso_fits(const struct usbip_iso *iso, uint32_t length);

#endif
