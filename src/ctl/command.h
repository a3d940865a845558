/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_CTL_COMMAND_H
#define MUXD_CTL_COMMAND_H

/*
 * What muxctl can do: a table of commands.  A command opens the socket itself,
 * when it knows that its arguments are good.
 */

#include <stdbool.h>
#include <stdio.h>

#include "base/cause.h"
#include "base/json.h"
#include "ctl/control.h"

struct view;

/* Whom a command asks, and where that listens unless told otherwise. */
struct ctl_daemon {
	const char *name, *path, *variable;
};
extern const struct ctl_daemon ctl_muxd, ctl_usbexportd;

struct ctl {
	struct sock_addr address;
	struct control control;
	bool json;
	const char *file; /* --file; NULL: not given */
	FILE *out;
};

/* Exit statuses; 0 is success, and of a question yes. */
#define CTL_FAILED 1
#define CTL_USAGE 2
#define CTL_DENIED 3

/*
 * Runs the command with its arguments (ended by NULL, at most args_max of them)
 * and returns the exit status.  Fills `why` when that is not 0; an empty cause
 * (why->text[0] is 0 before) is not printed.
 */
typedef int command_run(struct ctl *c, char **args, struct cause *why);

struct command {
	const char *name;
	const char *args; /* for the help */
	const char *purpose;
	int args_max;
	command_run *run;
	const struct ctl_daemon *daemon;
};

/* The command that `word` names, in full or as far as it is the only one;
 * NULL and a cause otherwise. */
const struct command *command_find(const char *word, struct cause *why);
/* The table, for the help. */
void command_print_all(FILE *to);

/* command_status.c: what there is at this moment. */
command_run command_list, command_devices, command_connections,
    command_clients, command_stats;
/* command_watch.c: what happens. */
command_run command_watch;
/* command_daemon.c: orders. */
command_run command_log, command_rescan;
/* command_usb.c: to usbexportd. */
command_run command_usb;
/* command_scm.c: about devices that open sockets. */
command_run command_scm;

/* ---- For the commands' own files ---- */

/* cause_set(), with the status to return. */
#define CTL_FAIL(why, ...) (cause_set((why), __VA_ARGS__), CTL_FAILED)

/* The answer to a request, after opening the socket; NULL and a cause. */
plist_t ctl_ask(struct ctl *c, const char *type, const char *key,
    const char *text, struct cause *why);

/* The same with more than a text: a dictionary without MessageType, which it
 * frees. */
plist_t ctl_ask_with(struct ctl *c, const char *type, plist_t request,
    struct cause *why);

/* Shows the part of an answer that the view wants; the exit status. */
int ctl_show_view(struct ctl *c, const struct view *v, plist_t answer,
    struct cause *why);

/* Shows one dictionary of it as a row; NULL: none. */
int ctl_show_row(struct ctl *c, const struct view *v, plist_t row,
    struct cause *why);

/* What an order prints when it is obeyed: nothing, or {"result":0}. */
int ctl_print_obeyed(struct ctl *c, struct cause *why);

/* Prints the finished value as a line and ends the writer; the exit status. */
int ctl_print_json(struct ctl *c, struct json *j, struct cause *why);

#endif
