/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Commands that show what there is at this moment. */

#include <string.h>

#include "ctl/command.h"
#include "ctl/plist_json.h"
#include "ctl/view.h"
#include "wire/admin.h"

/* ---- Views ---- */

static bool
is_usable(plist_t device)
{
	const char *state = admin_text(device, "State");

	return state != NULL && strcmp(state, "ready") == 0;
}

static const struct view_column list_columns[] = {
	{ "ID", "ID", VIEW_KNOWN },
	{ "UDID", "UDID", VIEW_TEXT },
	{ "PRODUCT", "ProductID", VIEW_PRODUCT },
	{ "BUS-PORT", "LocationID", VIEW_PORT_PATH },
	{ "LOCATION", "LocationID", VIEW_LOCATION },
	{ "SPEED", "Speed", VIEW_SPEED },
	{ "CONNECTIONS", "Connections", VIEW_NUMBER },
};
static const struct view list_view = { .table = "Devices", .order = "ID",
	.wants = is_usable, VIEW_COLUMNS(list_columns) };

static const struct view_column devices_columns[] = {
	{ "ID", "ID", VIEW_KNOWN },
	{ "UDID", "UDID", VIEW_TEXT },
	{ "STATE", "State", VIEW_TEXT },
	{ "STEP", "Step", VIEW_TEXT },
	{ "ATTEMPTS", "Attempts", VIEW_NUMBER },
	{ "KEY", "Key", VIEW_TEXT },
	{ "TRANSPORT", "Transport", VIEW_TEXT },
	{ "PRODUCT", "ProductID", VIEW_PRODUCT },
	{ "BUS-PORT", "LocationID", VIEW_PORT_PATH },
	{ "SPEED", "Speed", VIEW_SPEED },
	{ "CONFIG", "Configuration", VIEW_KNOWN },
	{ "MODE", "Mode", VIEW_KNOWN },
	{ "MUX", "MuxVersion", VIEW_KNOWN },
	{ "CONNECTIONS", "Connections", VIEW_NUMBER },
	/* What may have blanks in it stands last. */
	{ "SOURCE", "Source", VIEW_TEXT },
	{ "TROUBLE", "Trouble", VIEW_TEXT },
};
static const struct view devices_view = { .table = "Devices", .order = "ID",
	VIEW_COLUMNS(devices_columns) };

static bool
is_connected(plist_t client)
{
	const char *phase = admin_text(client, "Phase");

	return phase != NULL && strcmp(phase, "connected") == 0;
}

static const struct view_column connections_columns[] = {
	{ "CLIENT", "Number", VIEW_NUMBER },
	{ "PID", "PID", VIEW_KNOWN },
	{ "PROGRAM", "Program", VIEW_TEXT },
	{ "DEVICE", "DeviceID", VIEW_NUMBER },
	{ "UDID", "UDID", VIEW_TEXT },
	{ "SOURCE", "SourcePort", VIEW_NUMBER },
	{ "PORT", "Port", VIEW_NUMBER },
	{ "RX", "RxBytes", VIEW_BYTES },
	{ "TX", "TxBytes", VIEW_BYTES },
	{ "INFLIGHT", "InFlight", VIEW_BYTES },
	{ "WINDOW", "Window", VIEW_BYTES },
	{ "HELD", "Held", VIEW_BYTES },
	{ "QUEUED", "Queued", VIEW_NUMBER },
};
static const struct view connections_view = { .table = "Clients",
	.order = "Number", .wants = is_connected,
	VIEW_COLUMNS(connections_columns) };

static const struct view_column clients_columns[] = {
	{ "CLIENT", "Number", VIEW_NUMBER },
	{ "PHASE", "Phase", VIEW_TEXT },
	{ "PID", "PID", VIEW_KNOWN },
	{ "PROGRAM", "Program", VIEW_TEXT },
	{ "DEVICE", "DeviceID", VIEW_NUMBER },
	{ "PORT", "Port", VIEW_NUMBER },
	{ "RX", "RxBytes", VIEW_BYTES },
	{ "TX", "TxBytes", VIEW_BYTES },
};
static const struct view clients_view = { .table = "Clients",
	.order = "Number", VIEW_COLUMNS(clients_columns) };

static const struct view_column daemon_columns[] = {
	{ "VERSION", "Version", VIEW_TEXT },
	{ "PID", "PID", VIEW_NUMBER },
	{ "UPTIME", "UptimeMS", VIEW_DURATION },
	{ "LOGLEVEL", "LogLevel", VIEW_TEXT },
	{ "LOGDROPPED", "LogDropped", VIEW_NUMBER },
	{ "WORKERS", "Workers", VIEW_NUMBER },
	{ "PARKED", "WorkersParked", VIEW_NUMBER },
};
static const struct view daemon_view = { VIEW_COLUMNS(daemon_columns) };

static const struct view_column traffic_columns[] = {
	{ "ID", "ID", VIEW_KNOWN },
	{ "UDID", "UDID", VIEW_TEXT },
	{ "STATE", "State", VIEW_TEXT },
	{ "RX", "RxBytes", VIEW_BYTES },
	{ "RXPACKETS", "RxPackets", VIEW_NUMBER },
	{ "READS", "RxReads", VIEW_NUMBER },
	{ "EMPTY", "RxEmptyReads", VIEW_NUMBER },
	{ "READING", "ReadsInFlight", VIEW_NUMBER },
	{ "MALFORMED", "RxMalformed", VIEW_NUMBER },
	{ "STRAY", "RxStray", VIEW_NUMBER },
	{ "STALLS", "RxStalls", VIEW_NUMBER },
	{ "TX", "TxBytes", VIEW_BYTES },
	{ "TXPACKETS", "TxPackets", VIEW_NUMBER },
	{ "ZLPS", "TxZLPs", VIEW_NUMBER },
	{ "ACKS", "TxAcks", VIEW_NUMBER },
	{ "WRITING", "WritesInFlight", VIEW_NUMBER },
};
static const struct view traffic_view = { .table = "Devices", .order = "ID",
	VIEW_COLUMNS(traffic_columns) };

/* ---- Commands ---- */

/* The selected rows as columns or as JSON; the exit status. */
static int
show_rows(struct ctl *c, const struct view *v, const struct view_rows *r,
    struct cause *why)
{
	struct json j;

	if (!c->json)
		return view_print(v, r, c->out)
		    ? 0
		    : CTL_FAIL(why, "out of memory");
	json_init(&j);
	view_json(&j, r);
	return ctl_print_json(c, &j, why);
}

int
ctl_show_view(struct ctl *c, const struct view *v, plist_t status,
    struct cause *why)
{
	struct view_rows rows;
	int rc;

	if (!view_select(&rows, v, status))
		return CTL_FAIL(why, "out of memory");
	rc = show_rows(c, v, &rows, why);
	view_rows_fini(&rows);
	return rc;
}

int
ctl_show_row(struct ctl *c, const struct view *v, plist_t row,
    struct cause *why)
{
	const struct view_rows rows = { &row, row != NULL };

	return show_rows(c, v, &rows, why);
}

static int
ask_and_show(struct ctl *c, const struct view *v, struct cause *why)
{
	plist_t status = ctl_ask(c, "Status", NULL, NULL, why);
	int rc;

	if (status == NULL)
		return CTL_FAILED;
	rc = ctl_show_view(c, v, status, why);
	plist_free(status);
	return rc;
}

int
command_list(struct ctl *c, char **args, struct cause *why)
{
	(void)args;
	return ask_and_show(c, &list_view, why);
}

int
command_devices(struct ctl *c, char **args, struct cause *why)
{
	(void)args;
	return ask_and_show(c, &devices_view, why);
}

int
command_connections(struct ctl *c, char **args, struct cause *why)
{
	(void)args;
	return ask_and_show(c, &connections_view, why);
}

int
command_clients(struct ctl *c, char **args, struct cause *why)
{
	(void)args;
	return ask_and_show(c, &clients_view, why);
}

static int
show_stats(struct ctl *c, plist_t status, struct cause *why)
{
	int rc = ctl_show_row(c, &daemon_view,
	    plist_dict_get_item(status, "Daemon"), why);

	if (rc != 0)
		return rc;
	putc('\n', c->out);
	rc = ctl_show_view(c, &traffic_view, status, why);
	if (rc != 0)
		return rc;
	putc('\n', c->out);
	return ctl_show_view(c, &connections_view, status, why);
}

int
command_stats(struct ctl *c, char **args, struct cause *why)
{
	plist_t status = ctl_ask(c, "Status", NULL, NULL, why);
	struct json j;
	int rc;

	(void)args;
	if (status == NULL)
		return CTL_FAILED;
	if (c->json) {
		json_init(&j);
		plist_json_value(&j, NULL, status);
		rc = ctl_print_json(c, &j, why);
	} else {
		rc = show_stats(c, status, why);
	}
	plist_free(status);
	return rc;
}
