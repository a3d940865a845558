/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/command.h"

#include <string.h>

#include "wire/admin.h"

const struct ctl_daemon ctl_muxd = { "muxd", ADMIN_SOCKET_PATH,
	ADMIN_SOCKET_VARIABLE };
const struct ctl_daemon ctl_usbexportd = { "usbexportd",
	ADMIN_EXPORT_SOCKET_PATH, ADMIN_EXPORT_SOCKET_VARIABLE };

static const struct command commands[] = {
	{ "list", "", "phones that clients can use", 0, command_list,
	    &ctl_muxd },
	{ "devices", "", "everything plugged in, and how far it has come", 0,
	    command_devices, &ctl_muxd },
	{ "connections", "", "connections between clients and phones", 0,
	    command_connections, &ctl_muxd },
	{ "clients", "", "every client, whatever it does", 0,
	    command_clients, &ctl_muxd },
	{ "stats", "", "counters of the daemon, its devices and connections",
	    0, command_stats, &ctl_muxd },
	{ "watch", "", "what happens, as it happens", 0, command_watch,
	    &ctl_muxd },
	{ "log", "[LEVEL]", "show the log level, or change it", 1,
	    command_log, &ctl_muxd },
	{ "rescan", "", "look for phones again, also those given up", 0,
	    command_rescan, &ctl_muxd },
	{ "scm", "list", "devices that open sockets here, and their sockets",
	    5, command_scm, &ctl_muxd },
	{ "scm", "stats", "what they did, and what they were not let do", 5,
	    command_scm, &ctl_muxd },
	{ "scm", "policy test DEVICE ADDRESS PORT[/udp]",
	    "whether a device may connect there", 5, command_scm,
	    &ctl_muxd },
	{ "scm", "reload", "read scm.conf again", 5, command_scm,
	    &ctl_muxd },
	{ "usb", "list", "devices that usbexportd exports, and who has them",
	    2, command_usb, &ctl_usbexportd },
	{ "usb", "kick BUSID", "take a device from its importer", 2,
	    command_usb, &ctl_usbexportd },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

/* A command whose arguments are worth a line each stands in the table once for
 * each, in a row. */
static bool
is_repeated(size_t i)
{
	return i > 0 && strcmp(commands[i].name, commands[i - 1].name) == 0;
}

/* The names that begin with `word`, for a message. */
static void
list_matches(char *out, size_t size, const char *word)
{
	size_t used = 0;

	*out = '\0';
	for (size_t i = 0; i < COMMANDS; i++) {
		int n;

		if (strncmp(commands[i].name, word, strlen(word)) != 0 ||
		    is_repeated(i))
			continue;
		n = snprintf(out + used, size - used, "%s%s",
		    used > 0 ? ", " : "", commands[i].name);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

const struct command *
command_find(const char *word, struct cause *why)
{
	const struct command *found = NULL;
	unsigned matches = 0;
	char names[100];

	for (size_t i = 0; i < COMMANDS; i++) {
		if (strncmp(commands[i].name, word, strlen(word)) != 0 ||
		    is_repeated(i))
			continue;
		if (strcmp(commands[i].name, word) == 0)
			return &commands[i];
		found = &commands[i];
		matches++;
	}
	if (matches == 1)
		return found;
	list_matches(names, sizeof names, matches > 0 ? word : "");
	if (matches > 0)
		cause_set(why, "'%.40s' is the beginning of several commands: "
		    "%s", word, names);
	else
		cause_set(why, "there is no command '%.40s'; there are %s",
		    word, names);
	return NULL;
}

void
command_print_all(FILE *to)
{
	/* What is too long for its column has a line of its own. */
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-11s %-10s%s%s\n", commands[i].name,
		    commands[i].args,
		    strlen(commands[i].args) > 10 ? "\n                         "
						 : " ",
		    commands[i].purpose);
}

plist_t
ctl_ask_with(struct ctl *c, const char *type, plist_t request,
    struct cause *why)
{
	if (c->control.fd < 0 &&
	    control_open(&c->control, &c->address, why) < 0) {
		plist_free(request);
		return NULL;
	}
	return control_ask(&c->control, type, request, why);
}

plist_t
ctl_ask(struct ctl *c, const char *type, const char *key, const char *text,
    struct cause *why)
{
	plist_t request = plist_new_dict();

	if (key != NULL)
		plist_dict_set_item(request, key, plist_new_string(text));
	return ctl_ask_with(c, type, request, why);
}

int
ctl_print_json(struct ctl *c, struct json *j, struct cause *why)
{
	const char *text = json_text(j);
	int status = 0;

	if (text != NULL)
		fprintf(c->out, "%s\n", text);
	else
		status = CTL_FAIL(why, "out of memory");
	json_fini(j);
	return status;
}

int
ctl_print_obeyed(struct ctl *c, struct cause *why)
{
	struct json j;

	if (!c->json)
		return 0;
	json_init(&j);
	json_object(&j, NULL);
	json_uint(&j, "result", 0);
	json_end(&j);
	return ctl_print_json(c, &j, why);
}
