/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A client of the control socket (wire/admin.h has the messages). */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config.h"
#include "daemon/admin_int.h"
#include "daemon/logger.h"
#include "daemon/snapshot.h"

/* ---- Rows ---- */

void
admin_set_uint(plist_t dict, const char *key, uint64_t value)
{
	plist_dict_set_item(dict, key, plist_new_uint(value));
}

static void
set_device_counters(plist_t dict, const struct snapshot_device *d)
{
	admin_set_uint(dict, "ReadsInFlight", d->reads_in_flight);
	admin_set_uint(dict, "WritesInFlight", d->writes_in_flight);
	admin_set_uint(dict, "RxReads", d->rx_reads);
	admin_set_uint(dict, "RxEmptyReads", d->rx_empty_reads);
	admin_set_uint(dict, "RxPackets", d->rx_packets);
	admin_set_uint(dict, "RxBytes", d->rx_bytes);
	admin_set_uint(dict, "RxMalformed", d->rx_malformed);
	admin_set_uint(dict, "RxStray", d->rx_stray);
	admin_set_uint(dict, "RxStalls", d->rx_stalls);
	admin_set_uint(dict, "TxPackets", d->tx_packets);
	admin_set_uint(dict, "TxBytes", d->tx_bytes);
	admin_set_uint(dict, "TxZLPs", d->tx_zlps);
	admin_set_uint(dict, "TxAcks", d->tx_acks);
}

static plist_t
device_row(const struct snapshot_device *d)
{
	plist_t dict = plist_new_dict();

	admin_set_uint(dict, "ID", d->id);
	admin_set_text(dict, "UDID", d->udid);
	admin_set_text(dict, "Source", d->source);
	admin_set_text(dict, "Key", d->key);
	admin_set_text(dict, "Transport", d->transport);
	admin_set_text(dict, "Protocol", d->protocol);
	admin_set_text(dict, "State", d->state);
	admin_set_text(dict, "Step", d->step);
	admin_set_text(dict, "Trouble", d->trouble);
	admin_set_uint(dict, "Attempts", d->attempts);
	admin_set_uint(dict, "ProductID", d->product);
	admin_set_uint(dict, "LocationID", d->location);
	admin_set_uint(dict, "Speed", d->speed);
	admin_set_uint(dict, "Configuration", d->configuration);
	admin_set_uint(dict, "Interface", d->interface);
	admin_set_uint(dict, "Mode", d->mode);
	admin_set_uint(dict, "MuxVersion", (uint64_t)d->mux_version);
	admin_set_uint(dict, "Connections", d->connections);
	set_device_counters(dict, d);
	return dict;
}

static plist_t
client_row(const struct snapshot_client *c)
{
	plist_t dict = plist_new_dict();
	char program[32] = "";

	/* Who has not said what it is, the system knows. */
	if (c->program[0] == '\0' && c->pid > 0)
		client_program((pid_t)c->pid, program, sizeof program);
	admin_set_uint(dict, "Number", c->number);
	admin_set_text(dict, "Phase", c->phase);
	admin_set_uint(dict, "PID", (uint64_t)c->pid);
	admin_set_text(dict, "Program",
	    program[0] != '\0' ? program : c->program);
	if (c->device_id == 0)
		return dict;
	admin_set_uint(dict, "DeviceID", c->device_id);
	admin_set_text(dict, "UDID", c->udid);
	admin_set_uint(dict, "SourcePort", c->sport);
	admin_set_uint(dict, "Port", c->dport);
	admin_set_uint(dict, "RxBytes", c->rx_bytes);
	admin_set_uint(dict, "TxBytes", c->tx_bytes);
	admin_set_uint(dict, "InFlight", c->in_flight);
	admin_set_uint(dict, "Window", c->window);
	admin_set_uint(dict, "Held", c->held);
	admin_set_uint(dict, "Queued", c->queued);
	return dict;
}

static plist_t
daemon_row(const struct snapshot *s)
{
	plist_t dict = plist_new_dict();

	admin_set_text(dict, "Version", PACKAGE_VERSION);
	admin_set_uint(dict, "PID", (uint64_t)getpid());
	admin_set_uint(dict, "UptimeMS", s->uptime_ms);
	admin_set_text(dict, "LogLevel", log_level_name(log_get_level()));
	admin_set_uint(dict, "LogDropped", logger_dropped());
	admin_set_uint(dict, "Workers", s->workers);
	admin_set_uint(dict, "WorkersParked", s->parked);
	return dict;
}

/* ---- Answers ---- */

bool
admin_send_result(struct client *c, uint32_t tag, uint32_t number)
{
	plist_t dict = plist_new_dict();

	admin_set_text(dict, "MessageType", "Result");
	admin_set_uint(dict, "Number", number);
	return client_send(c, admin_frame(tag, dict));
}

static bool
send_status(struct client *c, uint32_t tag) RUNS_ON(on_worker)
{
	plist_t dict, devices, clients;
	struct snapshot *s;

	c->ask.kind = ASK_SNAPSHOT;
	client_ask(c);
	s = c->ask.snapshot;
	if (s == NULL)
		return admin_send_result(c, tag, ENOMEM);
	dict = plist_new_dict();
	devices = plist_new_array();
	clients = plist_new_array();
	for (size_t i = 0; i < s->device_count; i++)
		plist_array_append_item(devices, device_row(&s->devices[i]));
	for (size_t i = 0; i < s->client_count; i++)
		plist_array_append_item(clients, client_row(&s->clients[i]));
	plist_dict_set_item(dict, "Daemon", daemon_row(s));
	plist_dict_set_item(dict, "Devices", devices);
	plist_dict_set_item(dict, "Clients", clients);
	snapshot_free(s);
	return client_send(c, admin_frame(tag, dict));
}

static bool
change_log_level(struct client *c, uint32_t tag, const char *name)
    RUNS_ON(on_worker)
{
	plist_t dict;

	if (name != NULL) {
		const int level = log_level_parse(name);

		if (level < 0)
			return admin_send_result(c, tag, EINVAL);
		log_set_level((enum log_level)level);
		log_emit(LOG_LEVEL_NOTICE, "%s: log level is %s now",
		    client_name(c), log_level_name((enum log_level)level));
		return admin_send_result(c, tag, 0);
	}
	dict = plist_new_dict();
	admin_set_text(dict, "Level", log_level_name(log_get_level()));
	return client_send(c, admin_frame(tag, dict));
}

static bool
rescan(struct client *c, uint32_t tag) RUNS_ON(on_worker)
{
	c->ask.kind = ASK_RESCAN;
	client_ask(c);
	return admin_send_result(c, tag, 0);
}

/* ---- Watching ---- */

static plist_t
watched_device(const struct client_device *d)
{
	plist_t dict = plist_new_dict();

	admin_set_uint(dict, "ID", d->id);
	admin_set_text(dict, "UDID", d->udid);
	admin_set_uint(dict, "ProductID", d->product_id);
	admin_set_uint(dict, "LocationID", d->location);
	admin_set_uint(dict, "Speed", d->speed);
	return dict;
}

static bool
send_attached(struct client *c, const struct client_device *d)
    RUNS_ON(on_worker)
{
	plist_t dict = plist_new_dict();

	admin_set_text(dict, "MessageType", "Attached");
	plist_dict_set_item(dict, "Device", watched_device(d));
	return client_send(c, admin_frame(0, dict));
}

static bool
send_event(struct client *c, const struct msg_notice *n) RUNS_ON(on_worker)
{
	plist_t dict;

	if (n->kind == NOTICE_ATTACHED)
		return send_attached(c, &n->device);
	dict = plist_new_dict();
	admin_set_text(dict, "MessageType",
	    n->kind == NOTICE_DETACHED ? "Detached"
		: n->kind == NOTICE_PAIRED ? "Paired" : "Failed");
	if (n->kind == NOTICE_FAILED) {
		admin_set_text(dict, "Source", n->source);
		admin_set_text(dict, "Key", n->key);
	} else {
		admin_set_uint(dict, "DeviceID", n->device.id);
		admin_set_text(dict, "UDID", n->device.udid);
	}
	if (n->kind != NOTICE_PAIRED)
		admin_set_text(dict, "Reason", n->text);
	return client_send(c, admin_frame(0, dict));
}

static bool
send_present(struct client *c) RUNS_ON(on_worker)
{
	struct roster *r = c->ask.roster;
	bool alive = r != NULL;

	for (size_t i = 0; alive && i < r->count; i++)
		alive = send_attached(c, &r->devices[i]);
	roster_put(r);
	return alive;
}

/* Events until it leaves; whatever it says more ends it. */
static void
watch(struct client *c, uint32_t tag) RUNS_ON(on_worker)
{
	bool alive;

	c->ask.kind = ASK_LISTEN;
	memset(&c->ask.info, 0, sizeof c->ask.info);
	client_ask(c);
	alive = admin_send_result(c, tag, 0) && send_present(c);
	while (alive && !c->stopped) {
		struct msg *m = client_next_message(c);
		short revents;

		if (m != NULL) {
			if (m->type == MSG_NOTICE)
				alive = send_event(c, (struct msg_notice *)m);
			client_discard(m);
			continue;
		}
		if (c->stopped)
			break;
		client_wait(c, POLLIN, MOMENT_NEVER, &revents);
		alive = revents == 0;
	}
}

/* ---- Requests ---- */

/* One request.  False when the conversation is over. */
static bool
serve_request(struct client *c, uint32_t tag, plist_t request)
    RUNS_ON(on_worker)
{
	const char *type =
	    request != NULL ? admin_text(request, "MessageType") : NULL;

	if (type == NULL)
		return admin_send_result(c, tag, USBMUX_BAD_COMMAND);
	if (strcmp(type, "Status") == 0)
		return send_status(c, tag);
	if (strcmp(type, "LogLevel") == 0)
		return change_log_level(c, tag, admin_text(request, "Level"));
	if (strcmp(type, "Rescan") == 0)
		return rescan(c, tag);
	if (strncmp(type, "SCM", 3) == 0)
		return admin_serve_scm(c, tag, type, request);
	if (strcmp(type, "Watch") == 0) {
		watch(c, tag);
		return false;
	}
	return admin_send_result(c, tag, USBMUX_BAD_COMMAND);
}

void
admin_serve(struct client *c)
{
	bool go_on = true;

	while (go_on && !c->stopped) {
		struct client_header h;
		uint8_t *payload;
		plist_t request;

		if (!client_receive(c, &h, &payload))
			return;
		request = admin_parse_request(payload,
		    h.length - USBMUX_HEADER_SIZE);
		free(payload);
		go_on = serve_request(c, h.tag, request);
		plist_free(request);
	}
}
