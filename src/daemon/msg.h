/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_MSG_H
#define MUXD_DAEMON_MSG_H

/*
 * The catalogue of messages: who sends what to whom, and who owns it after.
 *
 * A message that must not fail to be sent is part of the object that it is
 * about (a device, a client) and is sent once at most, or again only after it
 * has been answered.  The others are allocated by the sender and freed by the
 * receiver.
 */

#include "actor/mailbox.h"
#include "usb/transport.h"

struct client;
struct device;
struct roster;
struct scm_conn;

enum msg_type {
	/* ---- to the manager ---- */

	/* monitor: something was plugged in.  struct msg_plug; the manager
	 * frees it. */
	MSG_PLUGGED,
	/* monitor: something was unplugged.  struct msg_plug; the same. */
	MSG_UNPLUGGED,
	/* monitor: a look at everything is over, and all that it found has been
	 * told.  struct msg_scan; the manager frees it. */
	MSG_SCANNED,
	/* monitor: the source is not watched any more.  The same. */
	MSG_UNWATCHED,
	/* reader: the device answers and can be shown.  device->ready_msg. */
	MSG_DEVICE_READY,
	/* reader, as its last act: the device has ended; device->ended says
	 * why.  device->ended_msg.  The manager joins the thread and drops the
	 * reader's reference. */
	MSG_DEVICE_ENDED,
	/* worker: it was woken at the door, by what worker->found says.
	 * worker->knock_msg.  The worker waits for what it is to do. */
	MSG_KNOCK,
	/* poller: somebody has come to a socket that it watches.  struct
	 * entrance; the manager lets in who is there. */
	MSG_CAME,
	/* who has begun with enough of those that have arrived: the manager's
	 * own thread begins with this one.  client->arrived_msg, with its
	 * reference. */
	MSG_ARRIVED,
	/* whoever has something for a client that has no worker, and cannot do
	 * it himself: it is to have one.  client->call_msg, once. */
	MSG_CLIENT_CALLS,
	/* worker: a question; client->ask.  The worker waits for MSG_ANSWER. */
	MSG_ASK,
	/* worker: its client is done with, the worker is free again.
	 * client->ended_msg; the manager drops its reference. */
	MSG_CLIENT_ENDED,
	/* reader: a device has opened a socket, which is to get a worker.
	 * scm_conn->opened_msg with a reference, which the manager keeps for
	 * its list. */
	MSG_SCM_OPENED,
	/* worker: that socket is done with, the worker is free again.
	 * scm_conn->ended_msg; the manager drops its reference. */
	MSG_SCM_ENDED,
	/* main: look for devices again (SIGUSR2). */
	MSG_RESCAN,
	/* main: end if no phone is there (SIGUSR1). */
	MSG_EXIT_IF_IDLE,
	/* main: it runs, which it was asked for the watchdog. */
	MSG_MAIN_RUNS,
	/* main: scm.conf has been read.  struct scm_settings, the manager's
	 * reference from then on. */
	MSG_SCM_LOADED,
	/* main: end now. */
	MSG_QUIT,

	/* ---- to a reader ---- */

	/* manager: packets for this port go to this client from now on.
	 * route->add_msg; the reference that it carries, the table keeps. */
	MSG_ROUTE,
	/* manager: no longer.  route->remove_msg; the reader drops the
	 * reference that it carries, and sends the table's on its way with
	 * MSG_ROUTE_GONE. */
	MSG_UNROUTE,
	/* manager: other settings for sockets that the device opens.
	 * device->scm_inbox, which has them. */
	MSG_SCM_SETTINGS,
	/* manager: end the device.  device->stop_msg. */
	MSG_DEVICE_STOP,
	/* poller: the transport has something to be looked at.
	 * device->io_msg. */
	MSG_DEVICE_IO,
	/* writer, as its last act.  device->writer_ended_msg. */
	MSG_WRITER_ENDED,
	/* manager: there is no worker for that socket.  scm_conn->unserved_msg,
	 * with the reference of MSG_SCM_OPENED. */
	MSG_SCM_UNSERVED,
	/* worker: nothing more is to be forwarded to the socket; MSG_SCM_GONE
	 * answers.  scm_conn->leave_msg, with a reference. */
	MSG_SCM_LEAVE,
	/* worker: it has dealt with all that was forwarded; the socket's ids and
	 * place are free.  scm_conn->release_msg, with a reference. */
	MSG_SCM_RELEASE,
	/* whoever has found no memory for what a device must hear.  Of the
	 * device's scm_state, once; the reader ends the device. */
	MSG_SCM_STARVED,
	/* worker: it has taken what was forwarded, and the device may send more.
	 * Of the device's scm_state, its credit. */
	MSG_SCM_UNREAD_CREDIT,

	/* ---- to a writer ---- */

	/* worker or reader: a frame to send.  struct packet, whose `tx` it is;
	 * the writer hands it to the transport, which calls its done(). */
	MSG_PACKET,
	/* transport (reader's thread): transfers may be started again. */
	MSG_WRITE_CREDIT,
	/* reader: send what is queued, then end.  device->writer_stop_msg. */
	MSG_WRITER_STOP,

	/* ---- to a worker: its own mailbox, between clients ---- */

	/* manager: serve this client, which may be in the middle of something.
	 * client->serve_msg. */
	MSG_SERVE,
	/* manager: serve this socket of a device.  scm_conn->serve_msg. */
	MSG_SERVE_SCM,
	/* manager: wait on at the door.  worker->wait_msg. */
	MSG_WAIT,
	/* manager: end the thread.  worker->retire_msg. */
	MSG_RETIRE,

	/* ---- to a worker: its client's mailbox ---- */

	/* manager: the answer to MSG_ASK, written into client->ask. */
	MSG_ANSWER,
	/* manager: something that a listener is told.  struct msg_notice; the
	 * worker frees it. */
	MSG_NOTICE,
	/* reader: a packet for this connection.  struct chunk, a chain; the
	 * worker's, which puts it back into its pool. */
	MSG_RECEIVED,
	/* transport (reader's thread): room in the writer's queue again. */
	MSG_UPLOAD_CREDIT,
	/* poller: something has happened to its socket, client->socket_events.
	 * client->socket_msg. */
	MSG_SOCKET,
	/* reader, once for each route: nothing more will come, because the
	 * device has ended or the manager wanted it so.  No MSG_RECEIVED comes
	 * after it; a worker that does not await it keeps its reference on the
	 * device until its mailbox is closed.  route->gone_msg; the worker drops
	 * the reference that it carries. */
	MSG_ROUTE_GONE,
	/* manager: end this client.  client->stop_msg. */
	MSG_CLIENT_STOP,

	/* ---- to a worker: its socket's mailbox (scm_conn.h) ---- */

	/* reader: a message of the device, or a part of one.  struct scm_news;
	 * the worker frees it.  Also MSG_UPLOAD_CREDIT, as above. */
	MSG_SCM_NEWS,
	/* reader, once for each socket: nothing more will come, because the
	 * worker has asked for it (MSG_SCM_LEAVE) or the device has ended.
	 * scm_conn->gone_msg; the worker drops the reference that it carries,
	 * which was the reader's. */
	MSG_SCM_GONE,

	/* ---- to the logger ---- */

	/* anyone: a line.  struct log_line; the logger frees it. */
	MSG_LOG_LINE,
	/* reader or worker: what became of a socket of its device.  struct
	 * audit_line; the logger frees it. */
	MSG_AUDIT_LINE,
	/* main: write what is queued, then end. */
	MSG_LOGGER_STOP,
	/* main: open the log files again (SIGHUP). */
	MSG_LOGGER_REOPEN,
};

struct msg_plug {
	struct msg msg;
	struct usb_source *source;
	struct usb_ident ident; /* MSG_UNPLUGGED: its key only */
};

struct msg_scan {
	struct msg msg;
	struct usb_source *source;
	uint32_t rescans; /* that it answers (usb_listener.scanned) */
};

#endif
