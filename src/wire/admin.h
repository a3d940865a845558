/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_WIRE_ADMIN_H
#define MUXD_WIRE_ADMIN_H

/*
 * What muxctl and the daemon's control socket say to each other.
 *
 * The framing is the client protocol's: a 16-byte header (wire/client.h,
 * version 1, message 8) and a property list, always a dictionary.  A request
 * has `MessageType`; every answer carries its tag.
 *
 *	MessageType	further keys	answer
 *	Status		-		Daemon, Devices, Clients (below)
 *	Watch		-		Result 0; then events with tag 0, for
 *					ever: MessageType Attached (Device: ID,
 *					UDID, ProductID, LocationID, Speed),
 *					Detached (DeviceID, UDID, Reason),
 *					Paired (DeviceID, UDID), Failed
 *					(Source, Key, Reason)
 *	LogLevel	Level (name)	Result 0, or 22 for an unknown name;
 *					without Level: Level, the current one
 *	Rescan		-		Result 0
 *	SCM		-		Settings, Audit, Devices, Sockets
 *					(below)
 *	SCMReload	-		Settings' keys; and Fault, when the file
 *					has one, and nothing has changed
 *	SCMJudge	Device, Address, Protocol (texts), Port
 *					Allowed (a boolean), Path and Rule (its
 *					line, 0: none), Judged (the address that
 *					decided), Special, Form (words of
 *					scm.conf(5), or ""), Text; or Result 22
 *	(other)				Result 1
 *
 * `Result` is {MessageType: "Result", Number}.
 *
 * Daemon: Version, PID, UptimeMS, LogLevel, LogDropped, Workers, WorkersParked.
 *
 * Devices, one for each thing that is plugged in: ID, UDID, Source, Key,
 * Transport, Protocol, State (bring-up, handshake, ready, ending, waiting,
 * failed), Step, Trouble, Attempts, ProductID, LocationID, Speed (bits/s),
 * Configuration, Interface, Mode, MuxVersion, Connections, ReadsInFlight,
 * WritesInFlight, and the counters RxReads, RxEmptyReads, RxPackets, RxBytes,
 * RxMalformed, RxStray, RxStalls, TxPackets, TxBytes, TxZLPs, TxAcks.  Texts
 * that are not known are "", numbers 0.
 *
 * Clients, one for each socket: Number, Phase (command, listening, connected,
 * admin), PID, Program; and when connected: DeviceID, UDID, SourcePort, Port,
 * RxBytes (phone to client), TxBytes, InFlight (sent, not acknowledged by the
 * phone), Window (bytes that the phone takes beyond that), Held (received, not
 * yet taken by the client), Queued (frames on their way to the bus).
 *
 * Of devices that open sockets (scm(7)): Settings are Path, HasFile (a boolean),
 * Rules, Addresses (of this host).  Audit counts since the start: Allowed and
 * Denied, of which AllowedSpecial and DeniedSpecial are about special addresses,
 * Limited, and Dropped (lines).  Devices: ID, Serial, Key, State, VendorID,
 * ProductID, Dialect, Interrupts (a boolean), Sockets (at present), Held (bytes
 * that wait for peers), RxBytes (from the device), TxBytes, Opened (sockets),
 * OpenRefused, Connected, ConnectFailed, Refused (CONNECTs, by the policy), Lost
 * (sockets, by a fault), Messages, Violations, Splits, LimitSockets,
 * LimitConnects and LimitBytes (a second), LimitBuffered, LimitConnectMS,
 * LimitIdleMS.  Sockets: DeviceID, Socket (the device's number), Protocol (tcp,
 * udp), State, Address and Port (of the peer; "" and 0: none), RxBytes, TxBytes,
 * Held, Outstanding (WRITEs to the device under way), AgeMS.
 *
 * usbexportd has a control socket of the same kind, with these:
 *
 *	USBList		-		Devices (below)
 *	USBKick		BusID		Kicked: 1, its import is being ended, or
 *					0, nobody has it; Exported: 1, or 0, no
 *					such device is
 *
 * Devices there, one for each thing that is plugged in: BusID, Bus,
 * Address, VendorID, ProductID, Class, Speed (bits/s), Serial, Product (texts,
 * "" when not known), State (probing, free, imported, leaving, kept), Reason
 * (why it is kept from importers); and when imported: Importer, SinceMS (how
 * long), InFlight (URBs), RxBytes (device to importer), TxBytes.
 *
 * Newer daemons may add keys; readers pass over what they do not know.
 */

#include <plist/plist.h>

#include "wire/client.h"

/* Where the daemon serves it unless told otherwise, and the variable by which
 * muxctl is. */
#define ADMIN_SOCKET_PATH "/var/run/muxd.control"
#define ADMIN_SOCKET_VARIABLE "MUXD_CONTROL"
/* The same of usbexportd. */
#define ADMIN_EXPORT_SOCKET_PATH "/var/run/usbexportd.control"
#define ADMIN_EXPORT_SOCKET_VARIABLE "USBEXPORTD_CONTROL"

/* The longest answer: ten thousand clients take about 4 MiB. */
#define ADMIN_REPLY_MAX (64 * 1024 * 1024)

/* A message of `dict`, which is freed; bytes is NULL when out of memory. */
struct client_frame admin_frame(uint32_t tag, plist_t dict);

/* The dictionary in a message's payload, the caller's; NULL when it is none.
 * For a daemon (a stranger's request) and for muxctl (its daemon's answer). */
plist_t admin_parse_request(const void *payload, size_t len);
plist_t admin_parse_reply(const void *payload, size_t len);

/* The string at `key` where it lies, or NULL; the number, or 0. */
const char *admin_text(plist_t dict, const char *key);
uint64_t admin_number(plist_t dict, const char *key);

/* Sets a string; control characters and what is not UTF-8 become '?', because a
 * stranger's text must not make the whole answer unreadable. */
void admin_set_text(plist_t dict, const char *key, const char *text);

#endif
