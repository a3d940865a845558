/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The command that shows what happens, for as long as the daemon lives. */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ctl/command.h"
#include "ctl/format.h"
#include "ctl/plist_json.h"
#include "wire/admin.h"

#define TIME_MAX 64

/* ---- A line of text ---- */

/* "2026-11-21 17:04:05.123", local time. */
static const char *
local_time(char out[TIME_MAX], const struct timespec *when)
{
	struct tm tm = { 0 };
	size_t len;

	localtime_r(&when->tv_sec, &tm);
	len = strftime(out, TIME_MAX, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(out + len, TIME_MAX - len, ".%03ld", when->tv_nsec / 1000000);
	return out;
}

/* The text at `key`, with what stands before it; nothing when there is none. */
static void
print_text(FILE *to, const char *before, plist_t dict, const char *key)
{
	const char *text = admin_text(dict, key);

	if (text == NULL || *text == '\0')
		return;
	fputs(before, to);
	format_print(to, text);
}

static void
print_where(FILE *to, plist_t device)
{
	char path[FORMAT_MAX], speed[FORMAT_MAX];

	fprintf(to, "  product %04" PRIx64 " at %s, %s",
	    admin_number(device, "ProductID"),
	    format_port_path(path,
		(uint32_t)admin_number(device, "LocationID")),
	    format_speed(speed, admin_number(device, "Speed")));
}

/* Any event: what a newer daemon may say has at least its name shown. */
static void
print_line(FILE *to, const char *name, const struct timespec *when,
    plist_t event)
{
	plist_t device = plist_dict_get_item(event, "Device");
	plist_t about = device != NULL ? device : event;
	const uint64_t id = device != NULL ? admin_number(device, "ID")
					   : admin_number(event, "DeviceID");
	char time[TIME_MAX];

	fprintf(to, "%s  ", local_time(time, when));
	format_print(to, name);
	if (id != 0)
		fprintf(to, "  %" PRIu64, id);
	print_text(to, "  ", about, "UDID");
	print_text(to, "  ", about, "Source");
	print_text(to, " ", about, "Key");
	if (device != NULL)
		print_where(to, device);
	print_text(to, ": ", about, "Reason");
	putc('\n', to);
}

/* ---- A line of JSON ---- */

/* "2026-11-21T16:04:05.123Z". */
static const char *
utc_time(char out[TIME_MAX], const struct timespec *when)
{
	struct tm tm = { 0 };
	size_t len;

	gmtime_r(&when->tv_sec, &tm);
	len = strftime(out, TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + len, TIME_MAX - len, ".%03ldZ",
	    when->tv_nsec / 1000000);
	return out;
}

/* One flat object, with the same names in all events: what is in Device moves
 * up, and DeviceID is "id" as it is there. */
static int
print_json(struct ctl *c, const char *name, const struct timespec *when,
    plist_t event, struct cause *why)
{
	plist_t device = plist_dict_get_item(event, "Device");
	char time[TIME_MAX];
	struct json j;

	json_init(&j);
	json_object(&j, NULL);
	json_string(&j, "time", utc_time(time, when));
	json_string(&j, "event", name);
	if (plist_dict_get_item(event, "DeviceID") != NULL)
		json_uint(&j, "id", admin_number(event, "DeviceID"));
	if (device != NULL)
		plist_json_members(&j, device);
	plist_dict_remove_item(event, "MessageType");
	plist_dict_remove_item(event, "DeviceID");
	plist_dict_remove_item(event, "Device");
	plist_json_members(&j, event);
	json_end(&j);
	return ctl_print_json(c, &j, why);
}

/* ---- The command ---- */

static int
print_event(struct ctl *c, plist_t event, struct cause *why)
{
	const char *type = admin_text(event, "MessageType");
	char name[PLIST_JSON_KEY_MAX];
	struct timespec now;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	plist_json_key(name, type != NULL ? type : "unknown");
	if (c->json)
		rc = print_json(c, name, &now, event, why);
	else
		print_line(c->out, name, &now, event);
	/* Whoever reads this waits for it; ctl_main() tells of errors. */
	if (rc == 0 && fflush(c->out) != 0)
		rc = CTL_FAILED;
	return rc;
}

int
command_watch(struct ctl *c, char **args, struct cause *why)
{
	plist_t event = ctl_ask(c, "Watch", NULL, NULL, why);
	int rc = 0;

	(void)args;
	if (event == NULL)
		return CTL_FAILED;
	plist_free(event);
	while (rc == 0) {
		event = control_next_event(&c->control, fileno(c->out), why);
		/* Without a cause, nobody reads us any more. */
		if (event == NULL)
			return why->text[0] != '\0' ? CTL_FAILED : 0;
		rc = print_event(c, event, why);
		plist_free(event);
	}
	return rc;
}
