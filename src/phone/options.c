/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "phone/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "phone/phone.h"
#include "wire/usbip.h"

#define DEFAULT_ADDRESS "127.0.0.1:" USBIP_PORT

enum {
	OPTION_UDID = 256,
	OPTION_SERIAL,
	OPTION_SPEED,
	OPTION_MUX,
	OPTION_CONTROL,
	OPTION_REPORT,
	OPTION_DEVICE,
	OPTION_GADGET,
};

static const struct option long_options[] = {
	{ "phones", required_argument, NULL, 'n' },
	{ "listen", required_argument, NULL, 'l' },
	{ "device", required_argument, NULL, OPTION_DEVICE },
	{ "gadget", optional_argument, NULL, OPTION_GADGET },
	{ "udid", required_argument, NULL, OPTION_UDID },
	{ "serial", required_argument, NULL, OPTION_SERIAL },
	{ "speed", required_argument, NULL, OPTION_SPEED },
	{ "mux", required_argument, NULL, OPTION_MUX },
	{ "control", required_argument, NULL, OPTION_CONTROL },
	{ "report", required_argument, NULL, OPTION_REPORT },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void
print_help(void)
{
	puts("Usage: muxphone [OPTION]...\n"
	     "Virtual phones and other devices, offered over USB/IP.\n"
	     "\n"
	     "  -n, --phones COUNT     how many phones (1; 0 beside --device)\n"
	     "      --device KIND[:OPTION,...]\n"
	     "                         one more device, repeatable: phone,\n"
	     "                         sourcesink, cdc-acm, hid, dfu, scm\n"
	     "  -l, --listen ADDRESS   HOST:PORT or unix:PATH, repeatable\n"
	     "                         (" DEFAULT_ADDRESS ")\n"
	     "      --gadget[=OPTION,...]\n"
	     "                         phones at this machine's USB device\n"
	     "                         controllers: configurations=1|4, udc=NAME\n"
	     "      --udid UDID        of the first phone, the second, ...\n"
	     "      --serial 24|40     length of the other phones' serial\n"
	     "                         numbers (alternating)\n"
	     "      --speed SPEED      high or super (high)\n"
	     "      --mux VERSION      of the device protocol, 1 or 2 (2)\n"
	     "      --control PATH     UNIX socket that takes commands\n"
	     "      --report FILE      write the counters there at the end\n"
	     "  -v, --verbose          tell of every violation, and of what happens\n"
	     "  -h, --help             show this\n"
	     "  -V, --version          show the version\n"
	     "\n"
	     "The exit status is 1 when a host has violated the protocol.");
}

static int
parse_number(unsigned *out, const char *name, const char *text, unsigned least,
    unsigned most, struct cause *why)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
	    n < least || n > most)
		return cause_set(why, "--%s: '%s' is no number from %u to %u",
		    name, text, least, most);
	*out = (unsigned)n;
	return 0;
}

static int
add_listen(struct options *o, const char *text, struct cause *why)
{
	if (o->listen_count == OPTIONS_LISTEN_MAX)
		return cause_set(why, "--listen: %d addresses at most",
		    OPTIONS_LISTEN_MAX);
	return sock_addr_parse(&o->listen[o->listen_count++], text, USBIP_PORT,
	    why);
}

static int
parse_speed(struct options *o, const char *text, struct cause *why)
{
	if (strcmp(text, "high") == 0)
		o->speed = DESC_HIGH;
	else if (strcmp(text, "super") == 0)
		o->speed = DESC_SUPER;
	else
		return cause_set(why, "--speed: '%s' is neither high nor super",
		    text);
	return 0;
}

static int
parse_serial(struct options *o, const char *text, struct cause *why)
{
	if (parse_number(&o->serial_length, "serial", text, 24, 40, why) < 0)
		return -1;
	if (o->serial_length != 24 && o->serial_length != 40)
		return cause_set(why, "--serial: '%s' is neither 24 nor 40",
		    text);
	return 0;
}

/* Phones have numbers only. */
static int
add_device(struct options *o, char *text, struct cause *why)
{
	const struct kind *kind = kinds_find(text, why);
	char *colon = strchr(text, ':');

	if (kind == NULL)
		return -1;
	if (kind != &kind_phone)
		o->devices[o->device_count++] = (struct options_device){
			.kind = kind,
			.options = colon != NULL ? colon + 1 : NULL,
		};
	else if (colon != NULL)
		return cause_set(why,
		    "--device %s: a phone has no options here; those of all "
		    "phones are --speed, --mux, --serial and --udid", text);
	else
		o->more_phones++;
	return 0;
}

static int
take_gadget_option(struct options *o, const char *name, const char *value,
    struct cause *why)
{
	if (strcmp(name, "udc") == 0 && value != NULL && *value != '\0') {
		if (o->udc_count == OPTIONS_UDC_MAX)
			return cause_set(why, "--gadget: %d UDCs at most",
			    OPTIONS_UDC_MAX);
		o->udcs[o->udc_count++] = value;
		return 0;
	}
	if (strcmp(name, "configurations") != 0)
		return cause_set(why,
		    "--gadget: '%s' is neither configurations=1|4 nor "
		    "udc=NAME", name);
	if (value != NULL && strcmp(value, "4") == 0)
		o->configurations = 4;
	else if (value == NULL || strcmp(value, "1") != 0)
		return cause_set(why,
		    "--gadget: configurations: '%s' is neither 1 nor 4",
		    value != NULL ? value : "");
	return 0;
}

/* Cuts the text, which may be NULL, into pieces. */
static int
parse_gadget(struct options *o, char *text, struct cause *why)
{
	char *rest = NULL;

	o->gadget = true;
	if (text == NULL)
		return 0;
	for (char *name = strtok_r(text, ",", &rest); name != NULL;
	     name = strtok_r(NULL, ",", &rest)) {
		char *value = strchr(name, '=');

		if (value != NULL)
			*value++ = '\0';
		if (take_gadget_option(o, name, value, why) < 0)
			return -1;
	}
	return 0;
}

static int
take_option(struct options *o, int c, struct cause *why)
{
	switch (c) {
	case 'n':
		return parse_number(&o->count, "phones", optarg, 1,
		    IDENTITY_INDEX_MAX, why);
	case 'l':
		return add_listen(o, optarg, why);
	case OPTION_DEVICE:
		return add_device(o, optarg, why);
	case OPTION_GADGET:
		return parse_gadget(o, optarg, why);
	case OPTION_UDID:
		o->udids[o->udid_count++] = optarg;
		return 0;
	case OPTION_SERIAL:
		return parse_serial(o, optarg, why);
	case OPTION_SPEED:
		return parse_speed(o, optarg, why);
	case OPTION_MUX:
		return parse_number(&o->mux_version, "mux", optarg, 1, 2, why);
	case OPTION_CONTROL:
		o->control = optarg;
		return 0;
	case OPTION_REPORT:
		o->report = optarg;
		return 0;
	default:
		return cause_set(why, "try 'muxphone --help'");
	}
}

/* What the options leave open, and whether they go together. */
static int
complete(struct options *o, struct cause *why)
{
	o->count += o->more_phones;
	if (o->udid_count > o->count)
		o->count = o->udid_count;
	if (o->count + o->device_count == 0)
		o->count = 1;
	if (o->count + o->device_count > IDENTITY_INDEX_MAX)
		return cause_set(why, "%u devices: there are places for %u",
		    o->count + o->device_count, IDENTITY_INDEX_MAX);
	if (o->udc_count > o->count)
		return cause_set(why, "--gadget: %u UDCs for %u phones",
		    o->udc_count, o->count);
	/* A phone at a UDC is offered to nobody else. */
	if (o->listen_count == 0 && (!o->gadget || o->device_count > 0))
		return add_listen(o, DEFAULT_ADDRESS, why);
	return 0;
}

enum options_result
options_parse(struct options *o, int argc, char **argv, struct cause *why)
{
	int c;

	memset(o, 0, sizeof *o);
	o->speed = DESC_HIGH;
	o->mux_version = 2;
	o->configurations = 1;
	o->udids = calloc((size_t)argc, sizeof *o->udids);
	o->devices = calloc((size_t)argc, sizeof *o->devices);
	if (o->udids == NULL || o->devices == NULL) {
		cause_set(why, "out of memory");
		return OPTIONS_BAD;
	}
	while ((c = getopt_long(argc, argv, "n:l:vhV", long_options, NULL)) !=
	    -1)
		switch (c) {
		case 'v':
			o->verbose = true;
			break;
		case 'h':
			print_help();
			return OPTIONS_DONE;
		case 'V':
			puts("muxphone " PACKAGE_VERSION);
			return OPTIONS_DONE;
		default:
			if (take_option(o, c, why) < 0)
				return OPTIONS_BAD;
		}
	if (optind < argc) {
		cause_set(why, "'%s': muxphone takes options only",
		    argv[optind]);
		return OPTIONS_BAD;
	}
	return complete(o, why) < 0 ? OPTIONS_BAD : OPTIONS_RUN;
}

void
options_fini(struct options *o)
{
	free(o->udids);
	free(o->devices);
}
