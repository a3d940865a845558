/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "usbnet/launch.h"
#include "wire/usbip.h"

static const char usage_text[] =
    "usage: usbnet [OPTION...] [--] COMMAND [ARGUMENT...]\n"
    "       usbnet [OPTION...] 'COMMAND ARGUMENT...'\n"
    "\n"
    "Runs a command with the USB devices of another host: whatever it does "
    "through\n"
    "libusb is done there.\n"
    "\n"
    "  -h, --host HOST[:PORT]  a USB/IP server, or unix:PATH; can be repeated\n"
    "                          (localhost:3240)\n"
    "  -a, --auth [USER@]HOST[:SSHPORT]\n"
    "                          through ssh to usbexportd on that host; with "
    "-h, to\n"
    "                          servers that this host reaches\n"
    "      --virtual KIND[=COUNT][,OPTION...]\n"
    "                          devices simulated in the command's process; "
    "can be\n"
    "                          repeated: phone, sourcesink, cdc-acm, hid, "
    "dfu\n"
    "      --virtual-report FILE\n"
    "                          write there, at the end, what they have "
    "counted\n"
    "      --virtual-control PATH\n"
    "                          UNIX socket that takes muxphone's commands\n"
    "      --virtual-threads COUNT\n"
    "                          that simulate them\n"
    "  -l, --library LIBRARY   preload this library instead of usbnet's own\n"
    "  -t, --timeout MS        to connect, and to answer (3000)\n"
    "  -q, --quiet             no messages but errors\n"
    "  -?, --help              this text\n"
    "      --version           the version\n";

enum {
	OPTION_HELP = 256,
	OPTION_VERSION,
	OPTION_VIRTUAL,
	OPTION_VIRTUAL_REPORT,
	OPTION_VIRTUAL_CONTROL,
	OPTION_VIRTUAL_THREADS,
};

static const struct option long_options[] = {
	{ "host", required_argument, NULL, 'h' },
	{ "auth", required_argument, NULL, 'a' },
	{ "virtual", required_argument, NULL, OPTION_VIRTUAL },
	{ "virtual-report", required_argument, NULL, OPTION_VIRTUAL_REPORT },
	{ "virtual-control", required_argument, NULL, OPTION_VIRTUAL_CONTROL },
	{ "virtual-threads", required_argument, NULL, OPTION_VIRTUAL_THREADS },
	{ "library", required_argument, NULL, 'l' },
	{ "timeout", required_argument, NULL, 't' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int
complain(const char *what)
{
	fprintf(stderr, "usbnet: %s; see usbnet --help\n", what);
	return -1;
}

/* ---- Values of options ------------------------------------------------- */

static int
add_server(struct launch_options *o, const char *text)
{
	struct cause why;

	if (o->server_count == LAUNCH_SERVERS_MAX)
		return complain("too many servers");
	if (sock_addr_parse(&o->servers[o->server_count], text, USBIP_PORT,
		&why) < 0)
		return complain(why.text);
	/* Blanks stand between the addresses in USBNET_SERVERS. */
	if (strpbrk(text, " \t\n") != NULL)
		return complain("no blanks may stand in a server's address");
	o->server_count++;
	return 0;
}

static int
set_timeout(struct launch_options *o, const char *text)
{
	char *end;
	unsigned long ms;

	errno = 0;
	ms = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
	    ms == 0 || ms > 3600000)
		return complain("-t takes a number of milliseconds, up to an "
				"hour");
	o->timeout_ms = (int)ms;
	return 0;
}

static int
add_virtual(struct launch_options *o, const char *text)
{
	char *old = o->virtual_devices;

	if (*text == '\0' || strpbrk(text, " \t\n") != NULL)
		return complain("--virtual takes KIND[=COUNT][,OPTION...], "
				"without blanks");
	if (asprintf(&o->virtual_devices, "%s%s%s", old != NULL ? old : "",
		old != NULL ? " " : "", text) < 0) {
		o->virtual_devices = old;
		return complain("no memory for the virtual devices");
	}
	free(old);
	return 0;
}

static int
set_threads(struct launch_options *o, const char *text)
{
	char *end;
	const unsigned long n = strtoul(text, &end, 10);

	if (*text < '1' || *text > '9' || *end != '\0' || n > 64)
		return complain("--virtual-threads takes a number, up to 64");
	o->virtual_threads = text;
	return 0;
}

/* Splits `text` at the ':' before a port; false when there is none. */
static bool
has_port(const char *text, const char **host_end, const char **port)
{
	*host_end = text + strlen(text);
	*port = "";
	if (text[0] == '[') {
		const char *bracket = strchr(text, ']');

		if (bracket == NULL ||
		    (bracket[1] != ':' && bracket[1] != '\0'))
			return false;
		*host_end = bracket;
		*port = bracket[1] == ':' ? bracket + 2 : bracket + 1;
		return true;
	}
	/* More than one ':' is an IPv6 address without a port. */
	if (strchr(text, ':') != NULL &&
	    strchr(text, ':') == strrchr(text, ':')) {
		*host_end = strchr(text, ':');
		*port = *host_end + 1;
	}
	return **host_end == '\0' || **port != '\0';
}

/* Both go to ssh as arguments: nothing in them may look like an option. */
static bool
is_harmless(const char *text, size_t len)
{
	if (len == 0 || text[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return true;
}

int
ssh_target_parse(struct ssh_target *out, const char *text, struct cause *why)
{
	const char *at = strrchr(text, '@');
	const char *host = at != NULL ? at + 1 : text;
	const size_t user_len = (size_t)(host - text);
	const char *end, *port;
	size_t host_len;
	char *after;
	unsigned long number;

	if (!has_port(host, &end, &port))
		return cause_set(why, "'%s': expected [USER@]HOST[:SSHPORT]",
		    text);
	number = strtoul(port, &after, 10);
	if (*port != '\0' && (*port < '0' || *port > '9' || *after != '\0' ||
		number == 0 || number > 65535))
		return cause_set(why, "'%s' is no port of ssh", port);
	host += host[0] == '[';
	host_len = (size_t)(end - host);
	if (!is_harmless(host, host_len) ||
	    (at != NULL && !is_harmless(text, user_len - 1)) ||
	    user_len + host_len >= sizeof out->login)
		return cause_set(why, "'%s' names no host for ssh", text);
	snprintf(out->login, sizeof out->login, "%.*s%.*s", (int)user_len, text,
	    (int)host_len, host);
	out->port[0] = '\0';
	if (*port != '\0')
		snprintf(out->port, sizeof out->port, "%u",
		    (unsigned)(uint16_t)number);
	return 0;
}

static int
set_target(struct launch_options *o, const char *text)
{
	struct cause why;

	if (o->ssh.login[0] != '\0')
		return complain("only one -a is possible");
	return ssh_target_parse(&o->ssh, text, &why) < 0 ? complain(why.text)
							 : 0;
}

/* ---- The whole line ---------------------------------------------------- */

static int
set_option(struct launch_options *o, int c, char **argv)
{
	struct cause why;

	switch (c) {
	case 'h':
		return add_server(o, optarg);
	case 'a':
		return set_target(o, optarg);
	case OPTION_VIRTUAL:
		return add_virtual(o, optarg);
	case OPTION_VIRTUAL_REPORT:
		o->virtual_report = optarg;
		return 0;
	case OPTION_VIRTUAL_CONTROL:
		o->virtual_control = optarg;
		return 0;
	case OPTION_VIRTUAL_THREADS:
		return set_threads(o, optarg);
	case 'l':
		o->library = optarg;
		return 0;
	case 't':
		return set_timeout(o, optarg);
	case 'q':
		o->quiet = true;
		return 0;
	case OPTION_VERSION:
		puts("usbnet " PACKAGE_VERSION);
		return 1;
	case OPTION_HELP:
		fputs(usage_text, stdout);
		return 1;
	default: /* ':', or an option that is none, or -? */
		if (c == '?' && optopt == '?')
			return set_option(o, OPTION_HELP, argv);
		options_refuse(long_options, argv, c, &why);
		return complain(why.text);
	}
}

/* One argument is a command line, unless it is the path of a program as it
 * stands. */
static int
set_line(struct launch_options *o, const char *line)
{
	struct cause why;

	if (strchr(line, '/') != NULL && access(line, X_OK) == 0) {
		o->alone[0] = (char *)(uintptr_t)line; /* for execvp() */
		o->command = o->alone;
		return 0;
	}
	o->command = o->words = words_split(line, &why);
	return o->command != NULL ? 0 : complain(why.text);
}

static int
set_command(struct launch_options *o, int argc, char **argv)
{
	const char *line = argc > 0 ? argv[0] : NULL;

	/* As in `usbnet -h server -l "lsusb"`, where -l is for "launch". */
	if (argc == 0 && o->library != NULL) {
		line = o->library;
		o->library = NULL;
	}
	if (line == NULL)
		return complain("which command?");
	if (argc <= 1)
		return set_line(o, line);
	o->command = argv;
	return 0;
}

static int
check_together(struct launch_options *o)
{
	if (o->ssh.login[0] != '\0') {
		for (unsigned i = 0; i < o->server_count; i++)
			if (o->servers[i].is_unix)
				return complain("through ssh, -h takes only "
						"HOST[:PORT]");
		return 0;
	}
	return o->server_count > 0 || o->virtual_devices != NULL
	    ? 0
	    : add_server(o, "localhost");
}

int
launch_options_parse(struct launch_options *o, int argc, char **argv)
{
	int c, rc;

	*o = (struct launch_options){ .timeout_ms = LAUNCH_TIMEOUT_MS };
	opterr = 0;
	optopt = 0;
	while ((c = getopt_long(argc, argv, "+:h:a:l:t:q", long_options,
		    NULL)) != -1) {
		if ((rc = set_option(o, c, argv)) != 0)
			return rc;
		optopt = 0;
	}
	if (check_together(o) < 0)
		return -1;
	return set_command(o, argc - optind, argv + optind);
}

void
launch_options_fini(struct launch_options *o)
{
	free(o->words);
	free(o->virtual_devices);
}
