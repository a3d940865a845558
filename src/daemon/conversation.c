/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A client's commands, one answer each, until it listens, connects or leaves.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/client.h"
#include "daemon/records.h"

static bool
answer_result(struct client *c, uint32_t tag, uint32_t result)
    RUNS_ON(on_worker)
{
	return client_send(c, client_build_result(c->form, tag, result));
}

static bool
list_devices(struct client *c, uint32_t tag) RUNS_ON(on_worker)
{
	struct client_frame frame = { NULL, 0 };

	c->ask.kind = ASK_ROSTER;
	client_ask(c);
	if (c->ask.roster != NULL)
		frame = client_build_device_list(tag, c->ask.roster->devices,
		    c->ask.roster->count);
	roster_put(c->ask.roster);
	return client_send(c, frame);
}

static bool
list_listeners(struct client *c, uint32_t tag) RUNS_ON(on_worker)
{
	struct client_frame frame;

	c->ask.kind = ASK_LISTENERS;
	client_ask(c);
	frame = client_build_listener_list(tag, c->ask.listeners,
	    c->ask.count);
	free(c->ask.listeners);
	return client_send(c, frame);
}

static bool
read_buid(struct client *c, uint32_t tag, struct records *records)
    RUNS_ON(on_worker)
{
	char buid[RECORDS_BUID_MAX];
	const int error = records_buid(records, buid);

	if (error != 0) {
		log_error("%s: no BUID: %s/SystemConfiguration.plist: %s",
		    client_name(c), records_directory(records),
		    strerror(error));
		return answer_result(c, tag, (uint32_t)error);
	}
	return client_send(c, client_build_buid(tag, buid));
}

/* A missing record is what every client asks for before it pairs: not worth a
 * line. */
static void
log_record_error(struct client *c, const struct client_request *rq,
    int error)
{
	if (error == ENOENT)
		log_debug("%s: %s: no record of %s", client_name(c),
		    client_kind_name(rq->kind), rq->record_id);
	else
		log_warning("%s: %s of '%s' failed: %s", client_name(c),
		    client_kind_name(rq->kind), rq->record_id,
		    strerror(error));
}

static bool
read_record(struct client *c, const struct client_request *rq,
    struct records *records) RUNS_ON(on_worker)
{
	struct client_frame frame;
	uint8_t *bytes;
	size_t len;
	const int error =
	    records_read(records, rq->record_id, &bytes, &len);

	if (error != 0) {
		log_record_error(c, rq, error);
		return answer_result(c, rq->tag, (uint32_t)error);
	}
	frame = client_build_record(rq->tag, bytes, len);
	free(bytes);
	return client_send(c, frame);
}

/* Listeners are told of the device whose record it is. */
static void
tell_paired(struct client *c, const struct client_request *rq)
    RUNS_ON(on_worker)
{
	c->ask.kind = ASK_PAIRED;
	c->ask.device_id = rq->device_id;
	client_ask(c);
}

static bool
change_record(struct client *c, const struct client_request *rq,
    struct records *records) RUNS_ON(on_worker)
{
	const bool save = rq->kind == CLIENT_SAVE_RECORD;
	const int error = save
	    ? records_save(records, rq->record_id, rq->record, rq->record_len)
	    : records_delete(records, rq->record_id);

	if (error != 0)
		log_record_error(c, rq, error);
	else
		log_info("%s: %s of %s", client_name(c),
		    client_kind_name(rq->kind), rq->record_id);
	/* The answer first: the requester may listen on another socket, and
	 * clients expect their Result before the news of it. */
	if (!answer_result(c, rq->tag, (uint32_t)error))
		return false;
	if (save && error == 0 && rq->device_id != 0)
		tell_paired(c, rq);
	return true;
}

/* One request.  False when the conversation is over. */
static bool
serve_request(struct client *c, const struct client_request *rq,
    struct records *records) RUNS_ON(on_worker)
{
	switch (rq->kind) {
	case CLIENT_BAD:
		log_info("%s: %s, answered %u", client_name(c), rq->reason,
		    rq->refusal);
		return answer_result(c, rq->tag, rq->refusal);
	case CLIENT_LISTEN:
		listener_serve(c, rq->tag, &rq->info);
		return false;
	case CLIENT_CONNECT:
		connection_ask(c, rq);
		return connection_serve(c);
	case CLIENT_LIST_DEVICES:
		return list_devices(c, rq->tag);
	case CLIENT_LIST_LISTENERS:
		return list_listeners(c, rq->tag);
	case CLIENT_READ_BUID:
		return read_buid(c, rq->tag, records);
	case CLIENT_READ_RECORD:
		return read_record(c, rq, records);
	case CLIENT_SAVE_RECORD:
	case CLIENT_DELETE_RECORD:
		return change_record(c, rq, records);
	}
	return false;
}

static bool
serve_message(struct client *c, struct records *records) RUNS_ON(on_worker)
{
	struct client_header h;
	struct client_request rq;
	uint8_t *payload;
	bool go_on;

	if (!client_receive(c, &h, &payload))
		return false;
	client_request_parse(&rq, &h, payload,
	    h.length - USBMUX_HEADER_SIZE);
	free(payload);
	c->form = rq.form == CLIENT_PLIST ? CLIENT_PLIST : c->form;
	go_on = serve_request(c, &rq, records);
	client_request_fini(&rq);
	return go_on;
}

/* How long a client that is being closed is listened to. */
#define CLOSE_MS 2000

/*
 * A socket that is closed while it holds unread bytes resets its peer, which
 * then may lose the end of what we sent.  So they are read away first, but not
 * for ever if it never stops; over TCP the peer's own end is awaited for a
 * moment, too.
 */
static void
close_gently(struct client *c) RUNS_ON(on_worker)
{
	const struct moment deadline = moment_after_ms(clock_now(), CLOSE_MS);
	char away[4096];
	/* A connection's client that has left, and whose last byte is read. */
	const bool gone = c->conn.client_gone && c->conn.client_eof;
	ssize_t n = gone ? 0 : 1;

	if (!gone)
		shutdown(c->fd, SHUT_WR);
	while (n > 0 && !c->stopped && moment_before(clock_now(), deadline)) {
		n = recv(c->fd, away, sizeof away, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN && !c->is_unix &&
		    client_wait_socket(c, POLLIN, deadline))
			n = 1;
	}
	close(c->fd);
}

void
client_serve(struct client *c, struct records *records)
{
	bool go_on = true;

	if (c->admin)
		admin_serve(c);
	else if (c->conn.step != CONNECTION_NONE)
		go_on = connection_serve(c);
	while (!c->admin && go_on && !c->stopped)
		go_on = serve_message(c, records);
	close_gently(c);
	/* Its chunks are of the device's pool. */
	client_close_box(c);
	connection_leave(c);
}
