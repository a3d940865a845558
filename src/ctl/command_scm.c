/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Commands about devices that open sockets on the daemon's host: what they do,
 * and what they may. */

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "ctl/plist_json.h"
#include "ctl/view.h"
#include "scm/host.h"
#include "scm/policy.h"
#include "wire/admin.h"

/* ---- Views ---- */

static const struct view_column devices_columns[] = {
	{ "ID", "ID", VIEW_KNOWN },
	{ "VENDOR", "VendorID", VIEW_PRODUCT },
	{ "PRODUCT", "ProductID", VIEW_PRODUCT },
	{ "STATE", "State", VIEW_TEXT },
	{ "DIALECT", "Dialect", VIEW_NUMBER },
	{ "SOCKETS", "Sockets", VIEW_NUMBER },
	{ "HELD", "Held", VIEW_BYTES },
	{ "RX", "RxBytes", VIEW_BYTES },
	{ "TX", "TxBytes", VIEW_BYTES },
	/* What may have blanks in it stands last. */
	{ "KEY", "Key", VIEW_TEXT },
	{ "SERIAL", "Serial", VIEW_TEXT },
};
static const struct view devices_view = { .table = "Devices", .order = "ID",
	VIEW_COLUMNS(devices_columns) };

static const struct view_column sockets_columns[] = {
	{ "DEVICE", "DeviceID", VIEW_NUMBER },
	{ "SOCKET", "Socket", VIEW_NUMBER },
	{ "PROTOCOL", "Protocol", VIEW_TEXT },
	{ "STATE", "State", VIEW_TEXT },
	{ "ADDRESS", "Address", VIEW_TEXT },
	{ "PORT", "Port", VIEW_KNOWN },
	{ "RX", "RxBytes", VIEW_BYTES },
	{ "TX", "TxBytes", VIEW_BYTES },
	{ "HELD", "Held", VIEW_BYTES },
	{ "OUTSTANDING", "Outstanding", VIEW_NUMBER },
	{ "AGE", "AgeMS", VIEW_DURATION },
};
static const struct view sockets_view = { .table = "Sockets",
	.order = "DeviceID", VIEW_COLUMNS(sockets_columns) };

static const struct view_column settings_columns[] = {
	{ "RULES", "Rules", VIEW_NUMBER },
	{ "ADDRESSES", "Addresses", VIEW_NUMBER },
	{ "FILE", "Path", VIEW_TEXT },
};
static const struct view settings_view = { VIEW_COLUMNS(settings_columns) };

static const struct view_column audit_columns[] = {
	{ "ALLOWED", "Allowed", VIEW_NUMBER },
	{ "SPECIAL", "AllowedSpecial", VIEW_NUMBER },
	{ "DENIED", "Denied", VIEW_NUMBER },
	{ "SPECIAL", "DeniedSpecial", VIEW_NUMBER },
	{ "LIMITED", "Limited", VIEW_NUMBER },
	{ "DROPPED", "Dropped", VIEW_NUMBER },
};
static const struct view audit_view = { VIEW_COLUMNS(audit_columns) };

static const struct view_column counters_columns[] = {
	{ "ID", "ID", VIEW_KNOWN },
	{ "MESSAGES", "Messages", VIEW_NUMBER },
	{ "VIOLATIONS", "Violations", VIEW_NUMBER },
	{ "SPLITS", "Splits", VIEW_NUMBER },
	{ "OPENED", "Opened", VIEW_NUMBER },
	{ "NOTOPENED", "OpenRefused", VIEW_NUMBER },
	{ "CONNECTED", "Connected", VIEW_NUMBER },
	{ "FAILED", "ConnectFailed", VIEW_NUMBER },
	{ "REFUSED", "Refused", VIEW_NUMBER },
	{ "LOST", "Lost", VIEW_NUMBER },
	{ "SOCKETS", "Sockets", VIEW_NUMBER },
	{ "RX", "RxBytes", VIEW_BYTES },
	{ "TX", "TxBytes", VIEW_BYTES },
};
static const struct view counters_view = { .table = "Devices", .order = "ID",
	VIEW_COLUMNS(counters_columns) };

/* ---- What there is ---- */

static int
print_list(struct ctl *c, plist_t answer, struct cause *why)
{
	const int rc = ctl_show_view(c, &devices_view, answer, why);

	if (rc != 0)
		return rc;
	putc('\n', c->out);
	return ctl_show_view(c, &sockets_view, answer, why);
}

static int
print_stats(struct ctl *c, plist_t answer, struct cause *why)
{
	int rc = ctl_show_row(c, &settings_view,
	    plist_dict_get_item(answer, "Settings"), why);

	putc('\n', c->out);
	if (rc == 0)
		rc = ctl_show_row(c, &audit_view,
		    plist_dict_get_item(answer, "Audit"), why);
	putc('\n', c->out);
	return rc == 0 ? ctl_show_view(c, &counters_view, answer, why) : rc;
}

/* As JSON, both have the same: all that the daemon tells. */
static int
show(struct ctl *c, int (*print)(struct ctl *, plist_t, struct cause *),
    struct cause *why)
{
	plist_t answer = ctl_ask(c, "SCM", NULL, NULL, why);
	struct json j;
	int rc;

	if (answer == NULL)
		return CTL_FAILED;
	if (c->json) {
		json_init(&j);
		plist_json_value(&j, NULL, answer);
		rc = ctl_print_json(c, &j, why);
	} else {
		rc = print(c, answer, why);
	}
	plist_free(answer);
	return rc;
}

/* ---- Orders ---- */

static int
print_settings(struct ctl *c, plist_t answer, struct cause *why)
{
	plist_t has_file = plist_dict_get_item(answer, "HasFile");
	const char *path = admin_text(answer, "Path");
	uint8_t is_there = 1;
	struct json j;

	if (c->json) {
		json_init(&j);
		plist_json_value(&j, NULL, answer);
		return ctl_print_json(c, &j, why);
	}
	if (has_file != NULL)
		plist_get_bool_val(has_file, &is_there);
	/* Obeyed, but perhaps not what was meant. */
	if (!is_there && path != NULL) {
		format_print(c->out, path);
		fputs(": there is no such file; devices may connect to "
		      "nothing\n", c->out);
	}
	return 0;
}

static int
reload(struct ctl *c, struct cause *why)
{
	plist_t answer = ctl_ask(c, "SCMReload", NULL, NULL, why);
	const char *fault;
	int rc;

	if (answer == NULL)
		return CTL_FAILED;
	fault = admin_text(answer, "Fault");
	rc = fault != NULL
	    ? CTL_FAIL(why, "%s; what was in force stays so", fault)
	    : print_settings(c, answer, why);
	plist_free(answer);
	return rc;
}

/* ---- The policy's word ---- */

/* What is asked, and its texts. */
struct question {
	struct scm_identity who;
	struct scm_address to;
	uint16_t protocol;
	const char *device, *address;
};

/* PORT, PORT/tcp or PORT/udp. */
static bool
parse_port(struct question *q, const char *text)
{
	char *end;
	const unsigned long port = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || port > UINT16_MAX)
		return false;
	q->to.port = (uint16_t)port;
	q->protocol = SCM_TCP;
	return *end == '\0' ||
	    (*end == '/' && scm_protocol_parse(&q->protocol, end + 1));
}

/* 0, or -1 and a cause. */
static int
parse_question(struct question *q, char **args, struct cause *why)
{
	struct scm_ip ip;

	q->device = args[0];
	q->address = args[1];
	if (!scm_identity_parse(&q->who, q->device))
		return cause_set(why, "'%.40s' is no device; write VID:PID or "
		    "VID:PID:SERIAL, as 2fe0:8b01, or a place, as 1-4.2",
		    q->device);
	if (scm_ip_parse(&ip, q->address, why) < 0)
		return -1;
	q->to = scm_address_to(&ip, 0);
	return parse_port(q, args[2])
	    ? 0
	    : cause_set(why, "'%.40s' is no port; write a number up to 65535, "
		"with /udp behind it for UDP", args[2]);
}

/* What is said of it, by whichever way. */
static int
print_verdict(struct ctl *c, plist_t verdict, struct cause *why)
{
	plist_t node = plist_dict_get_item(verdict, "Allowed");
	const char *text = admin_text(verdict, "Text");
	uint8_t allowed = 0;
	struct json j;
	int rc = 0;

	if (node != NULL)
		plist_get_bool_val(node, &allowed);
	if (c->json) {
		json_init(&j);
		plist_json_value(&j, NULL, verdict);
		rc = ctl_print_json(c, &j, why);
	} else {
		format_print(c->out, text != NULL ? text : "?");
		putc('\n', c->out);
	}
	return rc != 0 ? rc : allowed ? 0 : CTL_DENIED;
}

static int
ask_daemon(struct ctl *c, const struct question *q, struct cause *why)
{
	plist_t request = plist_new_dict(), answer;
	int rc;

	admin_set_text(request, "Device", q->device);
	admin_set_text(request, "Address", q->address);
	admin_set_text(request, "Protocol", scm_protocol_name(q->protocol));
	plist_dict_set_item(request, "Port", plist_new_uint(q->to.port));
	answer = ctl_ask_with(c, "SCMJudge", request, why);
	if (answer == NULL)
		return CTL_FAILED;
	rc = print_verdict(c, answer, why);
	plist_free(answer);
	return rc;
}

/* The daemon's answer (wire/admin.h), without a daemon. */
static plist_t
describe(const char *path, const struct scm_policy *policy,
    const struct scm_verdict *v)
{
	char text[SCM_VERDICT_TEXT_MAX], ip[SCM_IP_TEXT_MAX];
	plist_t dict = plist_new_dict();

	plist_dict_set_item(dict, "Allowed", plist_new_bool(v->allowed));
	admin_set_text(dict, "Path", path);
	plist_dict_set_item(dict, "Rule", plist_new_uint(v->line));
	admin_set_text(dict, "Judged", scm_ip_text(ip, &v->ip));
	admin_set_text(dict, "Special", scm_special_name(v->special));
	admin_set_text(dict, "Form", v->form != NULL ? v->form : "");
	admin_set_text(dict, "Text", scm_verdict_text(text, policy, v));
	return dict;
}

static int
print_judged(struct ctl *c, const struct question *q,
    const struct scm_policy *policy, const struct scm_host *host,
    struct cause *why)
{
	const struct scm_verdict v = scm_policy_judge(policy, &q->who,
	    q->protocol, &q->to, host);
	plist_t dict = describe(c->file, policy, &v);
	const int rc = print_verdict(c, dict, why);

	plist_free(dict);
	return rc;
}

/* What the daemon would say with this file. */
static int
ask_file(struct ctl *c, const struct question *q, struct cause *why)
{
	size_t len;
	char *text = file_read(c->file, SCM_POLICY_TEXT_MAX, &len, why);
	struct scm_policy *policy = NULL;
	struct scm_host host;
	int rc = CTL_FAILED;

	if (text != NULL)
		policy = scm_policy_new(c->file, text, len, why);
	free(text);
	if (policy != NULL && scm_host_list(&host, why) == 0) {
		rc = print_judged(c, q, policy, &host, why);
		scm_host_fini(&host);
	}
	scm_policy_free(policy);
	return rc;
}

static int
policy_test(struct ctl *c, char **args, struct cause *why)
{
	struct question q;

	if (parse_question(&q, args, why) < 0)
		return CTL_USAGE;
	return c->file != NULL ? ask_file(c, &q, why) : ask_daemon(c, &q, why);
}

/* ---- The command ---- */

static bool
is_policy_test(char **args)
{
	size_t n = 0;

	while (args[n] != NULL)
		n++;
	return n == 5 && strcmp(args[0], "policy") == 0 &&
	    strcmp(args[1], "test") == 0;
}

int
command_scm(struct ctl *c, char **args, struct cause *why)
{
	const char *what = args[0] != NULL && args[1] == NULL ? args[0] : "";

	if (is_policy_test(args))
		return policy_test(c, args + 2, why);
	if (c->file != NULL) {
		cause_set(why, "--file is for 'scm policy test' only");
		return CTL_USAGE;
	}
	if (strcmp(what, "list") == 0)
		return show(c, print_list, why);
	if (strcmp(what, "stats") == 0)
		return show(c, print_stats, why);
	if (strcmp(what, "reload") == 0)
		return reload(c, why);
	cause_set(why, "write 'scm list', 'scm stats', 'scm reload', or "
	    "'scm policy test DEVICE ADDRESS PORT'");
	return CTL_USAGE;
}
