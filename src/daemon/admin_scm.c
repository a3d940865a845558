/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The control socket's requests about devices that open sockets: what they do,
 * and what they may. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/admin_int.h"
#include "daemon/scm_audit.h"
#include "daemon/scm_settings.h"
#include "daemon/snapshot.h"

/* ---- Rows ---- */

static plist_t
settings_row(const struct scm_settings *s)
{
	plist_t dict = plist_new_dict();

	admin_set_text(dict, "Path", s->path);
	plist_dict_set_item(dict, "HasFile", plist_new_bool(s->has_file));
	admin_set_uint(dict, "Rules", scm_policy_rule_count(s->policy));
	admin_set_uint(dict, "Addresses", s->host.count);
	return dict;
}

static plist_t
audit_row(void)
{
	const struct scm_audit_totals n = scm_audit_totals();
	plist_t dict = plist_new_dict();

	admin_set_uint(dict, "Allowed", n.allowed);
	admin_set_uint(dict, "AllowedSpecial", n.allowed_special);
	admin_set_uint(dict, "Denied", n.denied);
	admin_set_uint(dict, "DeniedSpecial", n.denied_special);
	admin_set_uint(dict, "Limited", n.limited);
	admin_set_uint(dict, "Dropped", n.dropped);
	return dict;
}

static void
set_limits(plist_t dict, const struct scm_limits *l)
{
	admin_set_uint(dict, "LimitSockets", l->sockets);
	admin_set_uint(dict, "LimitConnects", l->connects);
	admin_set_uint(dict, "LimitBytes", l->bytes);
	admin_set_uint(dict, "LimitBuffered", l->buffered);
	admin_set_uint(dict, "LimitConnectMS", l->connect_ms);
	admin_set_uint(dict, "LimitIdleMS", l->idle_ms);
}

static plist_t
device_row(const struct snapshot_scm *d, const struct snapshot_device *plug)
{
	plist_t dict = plist_new_dict();

	admin_set_uint(dict, "ID", d->device_id);
	admin_set_text(dict, "Serial", plug != NULL ? plug->udid : "");
	admin_set_text(dict, "Key", plug != NULL ? plug->key : "");
	admin_set_text(dict, "State", plug != NULL ? plug->state : "");
	admin_set_uint(dict, "VendorID", d->vendor);
	admin_set_uint(dict, "ProductID", d->product);
	admin_set_uint(dict, "Dialect", d->dialect);
	plist_dict_set_item(dict, "Interrupts", plist_new_bool(d->interrupts));
	admin_set_uint(dict, "Sockets", d->open);
	admin_set_uint(dict, "Held", d->held);
	admin_set_uint(dict, "RxBytes", d->from_device);
	admin_set_uint(dict, "TxBytes", d->to_device);
	admin_set_uint(dict, "Opened", d->opened);
	admin_set_uint(dict, "OpenRefused", d->open_refused);
	admin_set_uint(dict, "Connected", d->connected);
	admin_set_uint(dict, "ConnectFailed", d->connect_failed);
	admin_set_uint(dict, "Refused", d->refused);
	admin_set_uint(dict, "Lost", d->lost);
	admin_set_uint(dict, "Messages", d->messages);
	admin_set_uint(dict, "Violations", d->violations);
	admin_set_uint(dict, "Splits", d->splits);
	set_limits(dict, &d->limits);
	return dict;
}

static plist_t
socket_row(const struct snapshot_socket *s)
{
	plist_t dict = plist_new_dict();
	const struct scm_ip ip = scm_ip_of(&s->peer);
	const bool has_peer = s->peer.family != 0;
	char text[SCM_IP_TEXT_MAX];

	admin_set_uint(dict, "DeviceID", s->device_id);
	admin_set_uint(dict, "Socket", s->sock);
	admin_set_text(dict, "Protocol", scm_protocol_name(s->protocol));
	admin_set_text(dict, "State", s->state);
	admin_set_text(dict, "Address",
	    has_peer ? scm_ip_text(text, &ip) : "");
	admin_set_uint(dict, "Port", has_peer ? s->peer.port : 0);
	admin_set_uint(dict, "RxBytes", s->from_device);
	admin_set_uint(dict, "TxBytes", s->to_device);
	admin_set_uint(dict, "Held", s->held);
	admin_set_uint(dict, "Outstanding", s->writes);
	admin_set_uint(dict, "AgeMS", s->age_ms);
	return dict;
}

static const struct snapshot_device *
find_device(const struct snapshot *s, uint32_t id)
{
	for (size_t i = 0; i < s->device_count; i++)
		if (s->devices[i].id == id)
			return &s->devices[i];
	return NULL;
}

/* ---- Questions to the manager ---- */

/* The settings in force, a reference; NULL when the daemon has none. */
static struct scm_settings *
ask_settings(struct client *c) RUNS_ON(on_worker)
{
	c->ask.kind = ASK_SCM;
	client_ask(c);
	return c->ask.scm;
}

static struct snapshot *
ask_snapshot(struct client *c) RUNS_ON(on_worker)
{
	c->ask.kind = ASK_SNAPSHOT;
	client_ask(c);
	return c->ask.snapshot;
}

/* ---- Requests ---- */

static bool
send_tables(struct client *c, uint32_t tag, const struct scm_settings *by)
    RUNS_ON(on_worker)
{
	struct snapshot *s = ask_snapshot(c);
	plist_t dict, devices, sockets;

	if (s == NULL)
		return admin_send_result(c, tag, ENOMEM);
	dict = plist_new_dict();
	devices = plist_new_array();
	sockets = plist_new_array();
	for (size_t i = 0; i < s->scm_count; i++)
		plist_array_append_item(devices, device_row(&s->scms[i],
		    find_device(s, s->scms[i].device_id)));
	for (size_t i = 0; i < s->socket_count; i++)
		plist_array_append_item(sockets, socket_row(&s->sockets[i]));
	plist_dict_set_item(dict, "Settings", settings_row(by));
	plist_dict_set_item(dict, "Audit", audit_row());
	plist_dict_set_item(dict, "Devices", devices);
	plist_dict_set_item(dict, "Sockets", sockets);
	snapshot_free(s);
	return client_send(c, admin_frame(tag, dict));
}

/* Reads the file on this thread, which may wait for the disk. */
static bool
reload(struct client *c, uint32_t tag, const struct scm_settings *before)
    RUNS_ON(on_worker)
{
	struct cause why;
	struct scm_settings *s = scm_settings_load(before->path, &why);
	plist_t dict;

	if (s == NULL) {
		log_error("%s: %s; what was in force stays so", client_name(c),
		    why.text);
		dict = settings_row(before);
		admin_set_text(dict, "Fault", why.text);
		return client_send(c, admin_frame(tag, dict));
	}
	dict = settings_row(s);
	c->ask.kind = ASK_SCM_LOADED;
	c->ask.scm = s; /* the manager's */
	client_ask(c);
	return client_send(c, admin_frame(tag, dict));
}

/* The question in the request; false when it is none. */
static bool
parse_question(plist_t request, struct scm_identity *who,
    struct scm_address *to, uint16_t *protocol)
{
	const char *device = admin_text(request, "Device");
	const char *address = admin_text(request, "Address");
	const char *name = admin_text(request, "Protocol");
	const uint64_t port = admin_number(request, "Port");
	struct cause why;
	struct scm_ip ip;

	if (device == NULL || address == NULL || name == NULL ||
	    port > UINT16_MAX || !scm_identity_parse(who, device) ||
	    !scm_protocol_parse(protocol, name) ||
	    scm_ip_parse(&ip, address, &why) < 0)
		return false;
	*to = scm_address_to(&ip, (uint16_t)port);
	return true;
}

static bool
judge(struct client *c, uint32_t tag, const struct scm_settings *by,
    plist_t request) RUNS_ON(on_worker)
{
	char text[SCM_VERDICT_TEXT_MAX], ip[SCM_IP_TEXT_MAX];
	struct scm_identity who;
	struct scm_address to;
	struct scm_verdict v;
	uint16_t protocol;
	plist_t dict;

	if (!parse_question(request, &who, &to, &protocol))
		return admin_send_result(c, tag, EINVAL);
	v = scm_policy_judge(by->policy, &who, protocol, &to, &by->host);
	dict = plist_new_dict();
	plist_dict_set_item(dict, "Allowed", plist_new_bool(v.allowed));
	admin_set_text(dict, "Path", by->path);
	admin_set_uint(dict, "Rule", v.line);
	admin_set_text(dict, "Judged", scm_ip_text(ip, &v.ip));
	admin_set_text(dict, "Special", scm_special_name(v.special));
	admin_set_text(dict, "Form", v.form != NULL ? v.form : "");
	admin_set_text(dict, "Text", scm_verdict_text(text, by->policy, &v));
	return client_send(c, admin_frame(tag, dict));
}

static bool
serve(struct client *c, uint32_t tag, const char *type, plist_t request,
    const struct scm_settings *by) RUNS_ON(on_worker)
{
	if (strcmp(type, "SCM") == 0)
		return send_tables(c, tag, by);
	if (strcmp(type, "SCMReload") == 0)
		return reload(c, tag, by);
	if (strcmp(type, "SCMJudge") == 0)
		return judge(c, tag, by, request);
	return admin_send_result(c, tag, USBMUX_BAD_COMMAND);
}

bool
admin_serve_scm(struct client *c, uint32_t tag, const char *type,
    plist_t request)
{
	struct scm_settings *by = ask_settings(c);
	bool go_on;

	if (by == NULL)
		return admin_send_result(c, tag, USBMUX_BAD_COMMAND);
	go_on = serve(c, tag, type, request, by);
	scm_settings_put(by);
	return go_on;
}
