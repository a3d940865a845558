/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_SNAPSHOT_H
#define MUXD_DAEMON_SNAPSHOT_H

/*
 * Everything that an admin may want to see, at one moment: plain rows that the
 * manager fills and a worker turns into an answer.  One malloc'ed block per
 * table; snapshot_free() frees all.
 */

#include <stddef.h>
#include <stdint.h>

#include "scm/policy.h"
#include "usb/bringup.h"
#include "wire/client.h"

struct snapshot_device {
	uint32_t id;
	char udid[USB_SERIAL_MAX]; /* "" as long as it is not known */
	char key[64];
	const char *source;
	const char *transport; /* "" before it is opened */
	const char *protocol;
	const char *state; /* device_state_name(), "waiting" or "failed" */
	const char *step;  /* in bring-up; "" otherwise */
	char trouble[256]; /* of the last attempt; "" */
	uint32_t attempts;
	uint32_t location;
	uint64_t speed;
	uint16_t product;
	uint8_t configuration, interface, mode;
	int mux_version; /* 0: not known */
	uint32_t connections;
	uint64_t rx_reads, rx_empty_reads, rx_packets, rx_bytes;
	uint64_t rx_malformed, rx_stray, rx_stalls;
	uint64_t tx_packets, tx_bytes, tx_zlps, tx_acks;
	uint32_t reads_in_flight, writes_in_flight;
};

struct snapshot_client {
	uint32_t number;
	const char *phase; /* "command", "listening", "connected", "admin" */
	long pid;          /* 0: not known */
	char program[CLIENT_TEXT_MAX]; /* as it calls itself; "": it has not */
	/* Of a connection; device_id 0 otherwise. */
	uint32_t device_id;
	char udid[USB_SERIAL_MAX];
	uint16_t sport, dport;
	uint64_t rx_bytes, tx_bytes, in_flight, window, held;
	uint32_t queued; /* frames with the writer and the transport */
};

/* What only devices of the Socket Control Model have, beside their row above.
 * Counters are those of this attempt to serve the device. */
struct snapshot_scm {
	uint32_t device_id;
	uint16_t vendor, product;
	unsigned dialect; /* 8 or 12 */
	bool interrupts;  /* it has the second pair of endpoints, in use */
	struct scm_limits limits;
	uint32_t open;    /* sockets that the device has at present */
	uint64_t held;    /* bytes that wait for their peers */
	uint64_t opened;  /* sockets, as all below */
	uint64_t open_refused; /* OPENs that were not granted */
	uint64_t refused;      /* CONNECTs, by the policy */
	uint64_t connected, connect_failed;
	uint64_t lost;         /* sockets that ended by a fault */
	uint64_t messages;     /* received */
	uint64_t violations;   /* of those, what was not as it should be */
	uint64_t splits;       /* transfers that ended inside a message */
	uint64_t from_device, to_device; /* bytes of data */
};

/* A socket of such a device. */
struct snapshot_socket {
	uint32_t device_id;
	uint32_t sock;     /* the device's number */
	const char *state; /* scm_socket_state_name() */
	uint16_t protocol; /* enum scm_protocol */
	struct scm_address peer; /* family 0: not connected to any */
	uint64_t from_device, to_device; /* bytes of data that have passed */
	uint64_t held;     /* bytes that wait for the peer */
	uint32_t writes;   /* to the device, with the writer and the bus */
	uint64_t age_ms;
};

struct snapshot {
	struct snapshot_device *devices;
	size_t device_count;
	struct snapshot_client *clients;
	size_t client_count;
	struct snapshot_scm *scms;
	size_t scm_count;
	struct snapshot_socket *sockets;
	size_t socket_count;
	uint32_t workers, parked;
	uint64_t uptime_ms;
};

/* With room for so many rows (of `scms` as many as of `devices`), zeroed; NULL
 * when out of memory. */
struct snapshot *snapshot_new(size_t devices, size_t clients, size_t sockets);
void snapshot_free(struct snapshot *s);

#endif
