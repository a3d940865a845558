/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/muxctl.h"

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "wire/admin.h"

struct options {
	const char *address; /* NULL: not given, as below */
	const char *file;
	bool json, help, version;
};

static const struct option long_options[] = {
	{ "control", required_argument, NULL, 'c' },
	{ "file", required_argument, NULL, 'f' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void
print_help(FILE *to)
{
	fputs("Usage: muxctl [OPTION]... COMMAND [ARGUMENT]\n"
	      "Shows what a running muxd, or usbexportd, does, and gives it "
	      "orders.\n"
	      "\n", to);
	command_print_all(to);
	fputs("\n"
	      "A command may be shortened as far as it remains the only one.\n"
	      "\n"
	      "  -c, --control SOCKET   the daemon's: PATH, unix:PATH or "
	      "HOST:PORT\n"
	      "                         ($" ADMIN_SOCKET_VARIABLE ", or "
	      ADMIN_SOCKET_PATH ";\n"
	      "                         usb: $" ADMIN_EXPORT_SOCKET_VARIABLE
	      ", or\n"
	      "                         " ADMIN_EXPORT_SOCKET_PATH ")\n"
	      "  -f, --file FILE        scm policy test: ask FILE, not the "
	      "daemon\n"
	      "  -j, --json             JSON instead of columns\n"
	      "  -h, --help             print this\n"
	      "  -V, --version          print the version\n", to);
}

/* ---- Options ---- */

static int
parse_options(struct options *o, int argc, char **argv, struct cause *why)
{
	int c;

	*o = (struct options){ 0 };
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, ":c:f:jhV", long_options, NULL)) !=
	    -1)
		switch (c) {
		case 'c':
			o->address = optarg;
			break;
		case 'f':
			o->file = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			o->help = true;
			break;
		case 'V':
			o->version = true;
			break;
		default:
			return options_refuse(long_options, argv, c, why);
		}
	return 0;
}

/* The option, else the environment, else where the daemon is by default. */
static int
find_address(struct sock_addr *out, const struct options *o,
    const struct ctl_daemon *daemon, struct cause *why)
{
	const char *variable = getenv(daemon->variable);
	struct cause plain;

	if (o->address != NULL)
		return sock_addr_parse(out, o->address, NULL, &plain) == 0
		    ? 0
		    : cause_set(why, "-c: %s", plain.text);
	if (variable == NULL || *variable == '\0')
		return sock_addr_parse(out, daemon->path, NULL, why);
	return sock_addr_parse(out, variable, NULL, &plain) == 0
	    ? 0
	    : cause_set(why, "%s: %s", daemon->variable, plain.text);
}

/* The command and its arguments; NULL and a cause. */
static const struct command *
find_command(const struct options *o, int argc, char **argv,
    struct cause *why)
{
	const struct command *command;
	const int args = argc - optind - 1;

	if (args < 0) {
		cause_set(why, "a command is missing");
		return NULL;
	}
	command = command_find(argv[optind], why);
	if (command == NULL)
		return NULL;
	if (o->file != NULL && command->run != command_scm) {
		cause_set(why, "'%s' takes no --file", command->name);
		return NULL;
	}
	if (args <= command->args_max)
		return command;
	if (command->args_max == 0)
		cause_set(why, "'%s' takes no argument", command->name);
	else if (command->args_max == 1)
		cause_set(why, "'%s' takes one argument only", command->name);
	else
		cause_set(why, "'%s' takes %d arguments only", command->name,
		    command->args_max);
	return NULL;
}

/* ---- The program ---- */

static int
usage_error(FILE *err, const struct cause *why)
{
	fprintf(err, "muxctl: %s; see muxctl --help\n", why->text);
	return CTL_USAGE;
}

/* Output that did not reach its place is a failure, too. */
static int
finish_output(FILE *out, FILE *err, int status)
{
	if (fflush(out) == 0 && !ferror(out))
		return status;
	fprintf(err, "muxctl: cannot write the output: %s\n", strerror(errno));
	return CTL_FAILED;
}

static int
run(const struct command *command, char **args, struct ctl *c, FILE *err)
{
	struct cause why = { "" };
	int status;

	status = command->run(c, args, &why);
	control_close(&c->control);
	if (status != 0 && why.text[0] != '\0') {
		fflush(c->out);
		fputs("muxctl: ", err);
		format_print(err, why.text);
		putc('\n', err);
	}
	return finish_output(c->out, err, status);
}

int
ctl_main(int argc, char **argv, FILE *out, FILE *err)
{
	struct ctl c = { .control = { .fd = -1 }, .out = out };
	const struct command *command;
	struct options o;
	struct cause why;

	if (parse_options(&o, argc, argv, &why) < 0)
		return usage_error(err, &why);
	if (o.help || o.version) {
		if (o.help)
			print_help(out);
		else
			fputs("muxctl " PACKAGE_VERSION "\n", out);
		return finish_output(out, err, 0);
	}
	command = find_command(&o, argc, argv, &why);
	if (command == NULL ||
	    find_address(&c.address, &o, command->daemon, &why) < 0)
		return usage_error(err, &why);
	c.control.daemon = command->daemon->name;
	c.json = o.json;
	c.file = o.file;
	return run(command, argv + optind + 1, &c, err);
}
