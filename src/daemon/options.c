/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "daemon/paths.h"
#include "usbmux.h"
#include "wire/admin.h"

/* Long enough for a phone that is being reset, or moved to another port. */
#define IDLE_MS 10000

const char options_usage[] =
    "Usage: muxd [OPTION]...\n"
    "Multiplexes connections over USB to iOS devices; takes usbmuxd's options.\n"
    "\n"
    "  -f, --foreground       stay in the foreground, log to standard error\n"
    "  -v, --verbose          log more; repeat for still more\n"
    "  -l, --logfile FILE     log to FILE instead of syslog\n"
    "  -U, --user USER        change to USER once the sockets are open\n"
    "  -S, --socket ADDR      listen on ADDR:PORT or a PATH; may be repeated\n"
    "                         (" USBMUX_SOCKET_PATH ")\n"
    "      --control PATH     control socket for muxctl, or NONE\n"
    "                         (" ADMIN_SOCKET_PATH ")\n"
    "  -P, --pidfile PATH     keep the process id in PATH, or NONE\n"
    "                         (" PATHS_PIDFILE ")\n"
    "  -C, --config-dir DIR   keep pair records in DIR\n"
    "                         (" PATHS_RECORDS_DIR ")\n"
    "      --usbip HOST[:PORT]  also serve the phones of that USB/IP server;\n"
    "                         may be repeated (unix:PATH works, too)\n"
    "      --no-usb           leave the USB of this host alone\n"
    "      --scm-conf FILE    what devices that open sockets may connect to\n"
    "                         (" PATHS_SCM_CONF ")\n"
    "      --scm-audit FILE   account of their connections, instead of the log\n"
    "  -n, --disable-hotplug  look for phones at the start and on SIGUSR2 only\n"
    "  -z, --enable-exit      exit when nobody has been there for a while\n"
    "      --idle-time SECONDS  how long that is (10)\n"
    "  -p, --no-preflight     accepted; phones are never preflighted\n"
    "  -u, --udev             for udev rules: -n and -z\n"
    "  -s, --systemd          for systemd units: -z and -f\n"
    "  -x, --exit             ask the running daemon to exit if no phone is there\n"
    "  -X, --force-exit       ask the running daemon to exit\n"
    "  -h, --help             print this\n"
    "  -V, --version          print the version\n";

enum {
	OPT_USBIP = 256,
	OPT_NO_USB,
	OPT_CONTROL,
	OPT_IDLE_TIME,
	OPT_SCM_CONF,
	OPT_SCM_AUDIT,
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "foreground", no_argument, NULL, 'f' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "user", required_argument, NULL, 'U' },
	{ "disable-hotplug", no_argument, NULL, 'n' },
	{ "enable-exit", no_argument, NULL, 'z' },
	{ "no-preflight", no_argument, NULL, 'p' },
	{ "udev", no_argument, NULL, 'u' },
	{ "systemd", no_argument, NULL, 's' },
	{ "config-dir", required_argument, NULL, 'C' },
	{ "socket", required_argument, NULL, 'S' },
	{ "pidfile", required_argument, NULL, 'P' },
	{ "exit", no_argument, NULL, 'x' },
	{ "force-exit", no_argument, NULL, 'X' },
	{ "logfile", required_argument, NULL, 'l' },
	{ "version", no_argument, NULL, 'V' },
	{ "usbip", required_argument, NULL, OPT_USBIP },
	{ "no-usb", no_argument, NULL, OPT_NO_USB },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "idle-time", required_argument, NULL, OPT_IDLE_TIME },
	{ "scm-conf", required_argument, NULL, OPT_SCM_CONF },
	{ "scm-audit", required_argument, NULL, OPT_SCM_AUDIT },
	{ NULL, 0, NULL, 0 },
};

static const char *
none_is_null(const char *value)
{
	return strcmp(value, "NONE") == 0 ? NULL : value;
}

/* Adds to a list of values that may be repeated. */
static int
add(const char **list, size_t *count, size_t max, const char *value,
    const char *option, struct cause *why)
{
	if (*count == max)
		return cause_set(why, "%s may be given %zu times at most",
		    option, max);
	list[(*count)++] = value;
	return 0;
}

/* Seconds, of which thousandths count, up to a day. */
static int
take_idle_time(struct options *o, const char *value, struct cause *why)
{
	char *end;
	const double seconds = strtod(value, &end);

	if (end == value || *end != '\0' || !(seconds >= 0 && seconds <= 86400))
		return cause_set(why, "--idle-time '%s' is no number of "
		    "seconds up to 86400", value);
	o->idle_ms = (unsigned)(seconds * 1000);
	return 0;
}

static int
refuse(char **argv, int c, struct cause *why)
{
	struct cause plain;

	options_refuse(long_options, argv, c, &plain);
	return cause_set(why, "%s; see muxd --help", plain.text);
}

static int
take_option(struct options *o, int c, const char *value, struct cause *why)
{
	switch (c) {
	case 'h':
		o->action = OPTIONS_HELP;
		break;
	case 'V':
		o->action = OPTIONS_VERSION;
		break;
	case 'f':
		o->foreground = true;
		break;
	case 'v':
		o->verbosity++;
		break;
	case 'U':
		o->user = value;
		break;
	case 'n':
		o->no_hotplug = true;
		break;
	case 'z':
		o->exit_if_idle = true;
		break;
	case 'p':
		o->no_preflight = true;
		break;
	case 'u':
		o->no_hotplug = o->exit_if_idle = true;
		break;
	case 's':
		o->exit_if_idle = o->foreground = true;
		break;
	case 'C':
		o->config_dir = value;
		break;
	case 'S':
		return add(o->sockets, &o->socket_count, OPTIONS_SOCKETS_MAX,
		    value, "--socket", why);
	case 'P':
		o->pidfile = none_is_null(value);
		break;
	case 'x':
		o->action = OPTIONS_ASK_EXIT;
		break;
	case 'X':
		o->action = OPTIONS_FORCE_EXIT;
		break;
	case 'l':
		o->logfile = value;
		break;
	case OPT_USBIP:
		return add(o->usbip, &o->usbip_count, OPTIONS_SERVERS_MAX,
		    value, "--usbip", why);
	case OPT_NO_USB:
		o->no_usb = true;
		break;
	case OPT_IDLE_TIME:
		return take_idle_time(o, value, why);
	case OPT_CONTROL:
		o->control = none_is_null(value);
		break;
	case OPT_SCM_CONF:
		o->scm_conf = value;
		o->scm_conf_named = true;
		break;
	case OPT_SCM_AUDIT:
		o->scm_audit = none_is_null(value);
		break;
	}
	return 0;
}

static int
take_environment(struct options *o, struct cause *why)
{
	const char *mode = getenv("USBMUXD_DEFAULT_DEVICE_MODE");

	if (mode == NULL || *mode == '\0')
		return 0;
	if (mode[0] < '1' || mode[0] > '5' || mode[1] != '\0')
		return cause_set(why, "USBMUXD_DEFAULT_DEVICE_MODE is '%s'; "
		    "it must be 1, 2, 3, 4 or 5", mode);
	o->wanted_mode = mode[0] - '0';
	return 0;
}

int
options_parse(struct options *o, int argc, char **argv, struct cause *why)
{
	static const char short_options[] = ":hfvU:nzpusC:S:P:xXl:V";
	int c;

	*o = (struct options){
		.config_dir = PATHS_RECORDS_DIR,
		.pidfile = PATHS_PIDFILE,
		.control = ADMIN_SOCKET_PATH,
		.scm_conf = PATHS_SCM_CONF,
		.wanted_mode = 1,
		.idle_ms = IDLE_MS,
	};
	opterr = 0;
	while ((c = getopt_long(argc, argv, short_options, long_options,
		    NULL)) != -1) {
		if (c == '?' || c == ':')
			return refuse(argv, c, why);
		if (take_option(o, c, optarg, why) < 0)
			return -1;
	}
	if (optind < argc)
		return cause_set(why, "'%s' is no option; see muxd --help",
		    argv[optind]);
	if (o->socket_count == 0)
		o->sockets[o->socket_count++] = USBMUX_SOCKET_PATH;
	if (o->no_usb && o->usbip_count == 0 && o->action == OPTIONS_RUN)
		return cause_set(why, "--no-usb leaves no source of phones; "
		    "name one with --usbip HOST[:PORT]");
	return take_environment(o, why);
}
