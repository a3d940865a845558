/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/options.h"

#include <string.h>

#include "base/options.h"
#include "wire/admin.h"
#include "wire/usbip.h"

#define DEFAULT_ADDRESS "127.0.0.1:" USBIP_PORT

const char options_usage[] =
    "Usage: usbexportd [OPTION]...\n"
    "Offers the USB devices of this host over USB/IP.  Stays in the foreground.\n"
    "\n"
    "  -l, --listen ADDRESS   HOST:PORT, [V6]:PORT or unix:PATH; repeatable\n"
    "                         (" DEFAULT_ADDRESS ")\n"
    "  -l, --local            without a value: " DEFAULT_ADDRESS "\n"
    "      --stdio            serve one peer on standard input and output\n"
    "      --allow-from CIDR  who may come, as 192.168.1.0/24; repeatable\n"
    "                         (everybody who reaches the socket)\n"
    "\n"
    "  -d, --device VID:PID[:SERIAL]\n"
    "                         export this device; repeatable\n"
    "  -b, --busid BUSID      the same by its place, as 1-4.2; repeatable\n"
    "      --all              export all others, too, but keyboards and\n"
    "                         security keys (as without -d and -b)\n"
    "      --deny CLASS       export nothing of this class (hexadecimal);\n"
    "                         repeatable\n"
    "\n"
    "      --control PATH     control socket for muxctl, or NONE\n"
    "                         (" ADMIN_EXPORT_SOCKET_PATH ")\n"
    "  -v, --verbose          log more; repeat for still more\n"
    "  -q, --quiet            log errors only\n"
    "  -?, -h, --help         print this\n"
    "  -V, --version          print the version\n";

enum {
	OPT_STDIO = 256,
	OPT_ALLOW,
	OPT_ALL,
	OPT_DENY,
	OPT_CONTROL,
	OPT_LISTEN,
};

/* -l stands for both --listen and --local: its value may be in the next word,
 * which getopt would take with a required value only, or be missing. */
static const char letters[] = ":l::d:b:vqhV";
static const struct option long_options[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "local", optional_argument, NULL, 'l' },
	{ "stdio", no_argument, NULL, OPT_STDIO },
	{ "allow-from", required_argument, NULL, OPT_ALLOW },
	{ "device", required_argument, NULL, 'd' },
	{ "busid", required_argument, NULL, 'b' },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "deny", required_argument, NULL, OPT_DENY },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int
add_listen(struct options *o, const char *text, struct cause *why)
{
	struct cause plain;

	if (o->listen_count == OPTIONS_LISTEN_MAX)
		return cause_set(why, "-l can be given %d times at most",
		    OPTIONS_LISTEN_MAX);
	if (sock_addr_parse(&o->listen[o->listen_count], text, USBIP_PORT,
		&plain) < 0)
		return cause_set(why, "-l: %s", plain.text);
	o->listen_count++;
	return 0;
}

static int
add_allowed(struct options *o, const char *text, struct cause *why)
{
	struct cause plain;

	if (o->allow_count == OPTIONS_ALLOW_MAX)
		return cause_set(why, "--allow-from can be given %d times at "
		    "most; name larger networks", OPTIONS_ALLOW_MAX);
	if (cidr_parse(&o->allow[o->allow_count], text, &plain) < 0)
		return cause_set(why, "--allow-from: %s", plain.text);
	o->allow_count++;
	return 0;
}

/* The value of -l, from the next word unless that is an option. */
static const char *
local_value(int argc, char **argv)
{
	if (optarg != NULL)
		return optarg;
	if (optind < argc && argv[optind][0] != '-')
		return argv[optind++];
	return DEFAULT_ADDRESS;
}

static int
refuse(char **argv, int c, struct cause *why)
{
	struct cause plain;

	options_refuse(long_options, argv, c, &plain);
	return cause_set(why, "%s; see usbexportd --help", plain.text);
}

static int
take_option(struct options *o, int c, int argc, char **argv, struct cause *why)
{
	switch (c) {
	case OPT_LISTEN:
		return add_listen(o, optarg, why);
	case 'l':
		return add_listen(o, local_value(argc, argv), why);
	case OPT_ALLOW:
		return add_allowed(o, optarg, why);
	case 'd':
		return policy_add_id(&o->policy, optarg, why);
	case 'b':
		return policy_add_busid(&o->policy, optarg, why);
	case OPT_DENY:
		return policy_deny(&o->policy, optarg, why);
	case OPT_STDIO:
		o->stdio = true;
		break;
	case OPT_ALL:
		o->policy.all = true;
		break;
	case OPT_CONTROL:
		o->control = strcmp(optarg, "NONE") == 0 ? NULL : optarg;
		o->control_wanted = true;
		break;
	case 'v':
		o->verbosity++;
		break;
	case 'q':
		o->quiet = true;
		break;
	case 'h':
		o->action = OPTIONS_HELP;
		break;
	case 'V':
		o->action = OPTIONS_VERSION;
		break;
	default:
		/* "-?" is to getopt an option that it does not know. */
		if (c != '?' || optopt != '?')
			return refuse(argv, c, why);
		o->action = OPTIONS_HELP;
		break;
	}
	return 0;
}

/* What the options leave open, and whether they go together. */
static int
complete(struct options *o, struct cause *why)
{
	if (o->stdio && o->listen_count > 0)
		return cause_set(why, "--stdio serves one peer and does not "
		    "listen; leave out -l");
	if (o->stdio && o->allow_count > 0)
		return cause_set(why, "--stdio serves whoever has started it; "
		    "leave out --allow-from");
	/* Each peer of --stdio has a process of its own, so the usual place is
	 * not for them. */
	if (!o->control_wanted && !o->stdio)
		o->control = ADMIN_EXPORT_SOCKET_PATH;
	if (!o->stdio && o->listen_count == 0)
		return add_listen(o, DEFAULT_ADDRESS, why);
	return 0;
}

int
options_parse(struct options *o, int argc, char **argv, struct cause *why)
{
	int c;

	memset(o, 0, sizeof *o);
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, letters, long_options, NULL)) != -1)
		if (take_option(o, c, argc, argv, why) < 0)
			return -1;
	if (o->action != OPTIONS_RUN)
		return 0;
	if (optind < argc)
		return cause_set(why, "'%.60s': usbexportd takes options only; "
		    "see usbexportd --help", argv[optind]);
	return complete(o, why);
}
