/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The commands of the control socket: what each may be given stands in the
 * table below, what it does is one function.  Each writes exactly one answer,
 * an error included.  A command that changes a device holds its lock meanwhile,
 * so its effect is there when the answer comes; only coming and going takes a
 * while, and `list` tells when it has happened.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "phone/answer.h"
#include "phone/farm.h"
#include "phone/hex.h"
#include "phone/phone.h"

#define ARGS_MAX 8 /* the command's name included */

struct call {
	struct farm *farm;
	struct gadget *gadget; /* of commands with a number */
	char *arg[ARGS_MAX]; /* what follows the name and the number, or NULL */
	struct json *j;
};

static void
succeed(struct call *c)
{
	json_object(c->j, NULL);
	json_bool(c->j, "ok", true);
	json_end(c->j);
}

/* False, and an error: the argument is no number up to `most`. */
static bool
get_number(struct call *c, const char *text, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = text != NULL ? strtoull(text, &end, 10) : 0;
	if (text != NULL && *text >= '0' && *text <= '9' && *end == '\0' &&
	    errno == 0 && *out <= most)
		return true;
	answer_error(c->j, "%s: expected a number up to %llu",
	    text != NULL ? text : "an argument is missing",
	    (unsigned long long)most);
	return false;
}

/* False, and an error: the argument is neither word. */
static bool
get_choice(struct call *c, const char *text, const char *yes, const char *no,
    bool *out)
{
	*out = text != NULL && strcmp(text, yes) == 0;
	if (*out || (text != NULL && strcmp(text, no) == 0))
		return true;
	answer_error(c->j, "expected %s or %s", yes, no);
	return false;
}

/* ---- Commands ----------------------------------------------------------- */

static void
do_list(struct call *c)
{
	farm_list(c->farm, c->j, NULL, gadget_describe);
}

static void
do_plug(struct call *c)
{
	gadget_plug(c->gadget);
	succeed(c);
}

static void
do_unplug(struct call *c)
{
	gadget_unplug(c->gadget);
	succeed(c);
}

static void
do_reset(struct call *c)
{
	gadget_bounce(c->gadget);
	succeed(c);
}

static void
set_stall(struct call *c, bool on)
{
	device_stall(gadget_lock(c->gadget), on);
	gadget_unlock(c->gadget);
	succeed(c);
}

static void
do_stall(struct call *c)
{
	set_stall(c, true);
}

static void
do_resume(struct call *c)
{
	set_stall(c, false);
}

/* The words are the client's line, which is ours to write to. */
static void
do_inject(struct call *c)
{
	char nothing[1] = "";
	char *bytes = c->arg[0] != NULL ? c->arg[0] : nothing;
	const long len = hex_read(bytes);
	struct device *d;
	int result;

	if (len < 0) {
		answer_error(c->j, "expected pairs of hexadecimal digits");
		return;
	}
	d = gadget_lock(c->gadget);
	result = mux_inject(&phone_of(d)->mux, bytes, (size_t)len);
	device_pump(d);
	gadget_unlock(c->gadget);
	if (result == 0)
		succeed(c);
	else
		answer_error(c->j, "more than %d bytes, or out of memory", MUX_INJECT_MAX);
}

static void
do_refuse(struct call *c)
{
	uint64_t port;
	bool off = false;

	if (!get_number(c, c->arg[0], 65535, &port))
		return;
	if (c->arg[1] != NULL && !get_choice(c, c->arg[1], "off", "on", &off))
		return;
	mux_refuse(&phone_of(gadget_lock(c->gadget))->mux, (uint16_t)port,
	    !off);
	gadget_unlock(c->gadget);
	succeed(c);
}

static void
do_slow(struct call *c)
{
	uint64_t rate;

	if (!get_number(c, c->arg[0], UINT64_C(1000000000000), &rate))
		return;
	device_slow(gadget_lock(c->gadget), rate);
	gadget_unlock(c->gadget);
	succeed(c);
}

/* Live connections are told at once, if the bus takes it. */
static void
do_window(struct call *c)
{
	struct device *d;
	uint64_t bytes;

	if (!get_number(c, c->arg[0], MUX_WINDOW_MAX, &bytes))
		return;
	d = gadget_lock(c->gadget);
	mux_set_window(&phone_of(d)->mux, (uint32_t)bytes);
	device_pump(d);
	gadget_unlock(c->gadget);
	succeed(c);
}

static void
do_seq(struct call *c)
{
	uint64_t seq;

	if (!get_number(c, c->arg[0], UINT32_MAX, &seq))
		return;
	phone_of(gadget_lock(c->gadget))->mux.set.first_seq = (uint32_t)seq;
	gadget_unlock(c->gadget);
	succeed(c);
}

static void
do_hang(struct call *c)
{
	bool on;

	if (!get_choice(c, c->arg[0], "on", "off", &on))
		return;
	device_hang(gadget_lock(c->gadget), on);
	gadget_unlock(c->gadget);
	succeed(c);
}

static void
do_mute(struct call *c)
{
	bool on;

	if (!get_choice(c, c->arg[0], "on", "off", &on))
		return;
	phone_of(gadget_lock(c->gadget))->mux.set.mute = on;
	gadget_unlock(c->gadget);
	succeed(c);
}

/* By direction it is the endpoint that matters most to that kind; any other is
 * named by its address. */
static bool
get_endpoint(struct call *c, const char *text, uint8_t *out)
{
	const struct kind *kind = c->gadget->device->kind;
	char *end;
	unsigned long n;
	bool in;

	if (text == NULL || strncmp(text, "0x", 2) != 0) {
		if (!get_choice(c, text, "in", "out", &in))
			return false;
		*out = in ? kind->main_in : kind->main_out;
		return true;
	}
	n = strtoul(text, &end, 16);
	*out = (uint8_t)n;
	if (*end == '\0' && n <= 0xff)
		return true;
	answer_error(c->j, "%s: expected an endpoint's address, 0x01 to 0x8f", text);
	return false;
}

static void
do_halt(struct call *c)
{
	uint8_t address;
	bool done;

	if (!get_endpoint(c, c->arg[0], &address))
		return;
	done = gadget_halt(c->gadget, address);
	if (done)
		succeed(c);
	else
		answer_error(c->j, "the %s has no such endpoint at the moment",
		    c->gadget->device->kind->name);
}

static void
report_all(struct gadget *g, struct json *j)
{
	gadget_report(g, j, true);
}

static void
do_counters(struct call *c)
{
	farm_list(c->farm, c->j, c->gadget, report_all);
}

/* A command that is the name of a kind, for its devices. */
static void
do_kind(struct call *c)
{
	struct device *d = gadget_lock(c->gadget);
	int count = 0;

	while (count < ARGS_MAX && c->arg[count] != NULL)
		count++;
	d->kind->command(d, c->arg, count, c->j);
	device_pump(d);
	gadget_unlock(c->gadget);
}

static void
do_quit(struct call *c)
{
	c->farm->quitting = true;
	succeed(c);
}

enum number {
	NO_NUMBER,
	MAY_HAVE_NUMBER,
	NEEDS_NUMBER,
	NEEDS_PHONE, /* the number of a phone */
	NEEDS_NAMED, /* of a device of the kind that the command is named after */
};

static const struct command {
	const char *name;
	enum number number; /* of a device, from 1 */
	int most;           /* arguments behind it */
	void (*run)(struct call *c);
} commands[] = {
	{ "list", NO_NUMBER, 0, do_list },
	{ "counters", MAY_HAVE_NUMBER, 0, do_counters },
	{ "plug", NEEDS_NUMBER, 0, do_plug },
	{ "unplug", NEEDS_NUMBER, 0, do_unplug },
	{ "reset", NEEDS_NUMBER, 0, do_reset },
	{ "stall", NEEDS_NUMBER, 0, do_stall },
	{ "resume", NEEDS_NUMBER, 0, do_resume },
	{ "slow", NEEDS_NUMBER, 1, do_slow },
	{ "hang", NEEDS_NUMBER, 1, do_hang },
	{ "halt", NEEDS_NUMBER, 1, do_halt },
	{ "mute", NEEDS_PHONE, 1, do_mute },
	{ "inject", NEEDS_PHONE, 1, do_inject },
	{ "refuse", NEEDS_PHONE, 2, do_refuse },
	{ "window", NEEDS_PHONE, 1, do_window },
	{ "seq", NEEDS_PHONE, 1, do_seq },
	{ "scm", NEEDS_NAMED, ARGS_MAX - 2, do_kind },
	{ "quit", NO_NUMBER, 0, do_quit },
};

/* Cuts the line into words: how many, or ARGS_MAX + 1 when there are more. */
static int
split(char *line, char *word[ARGS_MAX])
{
	char *rest = NULL;
	int n = 0;

	for (char *w = strtok_r(line, " \t\r", &rest); w != NULL;
	     w = strtok_r(NULL, " \t\r", &rest)) {
		if (n == ARGS_MAX)
			return ARGS_MAX + 1;
		word[n++] = w;
	}
	return n;
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

/* False, and an error: the command is for other kinds than the device's. */
static bool
check_kind(struct call *c, const struct command *command)
{
	const struct device *d = c->gadget->device;
	const bool named = command->number == NEEDS_NAMED;

	if (named ? strcmp(d->kind->name, command->name) == 0
		  : command->number != NEEDS_PHONE || d->kind == &kind_phone)
		return true;
	answer_error(c->j, "%s: device %u is a %s, not a %s", command->name,
	    d->id.index, d->kind->name, named ? command->name : kind_phone.name);
	return false;
}

/* Takes the device's number from the words.  False, and an error: none such,
 * or of the wrong kind. */
static bool
take_number(struct call *c, const struct command *command, char **word,
    int *count)
{
	uint64_t n;

	if (command->number == NO_NUMBER ||
	    (command->number == MAY_HAVE_NUMBER && *count == 0))
		return true;
	if (!get_number(c, *count > 0 ? word[0] : NULL, c->farm->count, &n))
		return false;
	if (n == 0) {
		answer_error(c->j, "devices are numbered from 1");
		return false;
	}
	c->gadget = &c->farm->gadgets[n - 1];
	if (!check_kind(c, command))
		return false;
	--*count;
	memmove(word, word + 1, (size_t)*count * sizeof *word);
	return true;
}

void
command_run(struct farm *f, char *line, struct json *j)
{
	struct call c = { .farm = f, .j = j };
	char *word[ARGS_MAX];
	int count = split(line, word);
	const struct command *command;

	if (count == 0) {
		answer_error(c.j, "an empty line is no command");
		return;
	}
	command = find_command(word[0]);
	if (command == NULL) {
		answer_error(c.j, "'%s' is no command", word[0]);
		return;
	}
	if (--count > 0)
		memmove(word, word + 1,
		    (size_t)(count < ARGS_MAX ? count : ARGS_MAX - 1) *
			sizeof *word);
	if (count >= ARGS_MAX) {
		answer_error(c.j, "%s: too many arguments", command->name);
		return;
	}
	if (!take_number(&c, command, word, &count))
		return;
	if (count > command->most) {
		answer_error(c.j, "%s: too many arguments", command->name);
		return;
	}
	for (int i = 0; i < count; i++)
		c.arg[i] = word[i];
	command->run(&c);
}
