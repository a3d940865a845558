/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Commands to usbexportd, whose control socket is like muxd's. */

#include <string.h>

#include "ctl/command.h"
#include "ctl/view.h"
#include "wire/admin.h"

static const struct view_column columns[] = {
	{ "BUSID", "BusID", VIEW_TEXT },
	{ "VENDOR", "VendorID", VIEW_PRODUCT },
	{ "PRODUCT", "ProductID", VIEW_PRODUCT },
	{ "SPEED", "Speed", VIEW_SPEED },
	{ "SERIAL", "Serial", VIEW_TEXT },
	{ "STATE", "State", VIEW_TEXT },
	{ "IMPORTER", "Importer", VIEW_TEXT },
	{ "SINCE", "SinceMS", VIEW_DURATION },
	{ "URBS", "InFlight", VIEW_NUMBER },
	{ "RX", "RxBytes", VIEW_BYTES },
	{ "TX", "TxBytes", VIEW_BYTES },
	/* What may have blanks in it stands last. */
	{ "NAME", "Product", VIEW_TEXT },
	{ "REASON", "Reason", VIEW_TEXT },
};
static const struct view view = { .table = "Devices", .order = "Bus",
	VIEW_COLUMNS(columns) };

static int
list(struct ctl *c, struct cause *why)
{
	plist_t answer = ctl_ask(c, "USBList", NULL, NULL, why);
	int rc;

	if (answer == NULL)
		return CTL_FAILED;
	rc = ctl_show_view(c, &view, answer, why);
	plist_free(answer);
	return rc;
}

static int
kick(struct ctl *c, const char *busid, struct cause *why)
{
	plist_t answer = ctl_ask(c, "USBKick", "BusID", busid, why);
	bool kicked, exported;

	if (answer == NULL)
		return CTL_FAILED;
	kicked = admin_number(answer, "Kicked") != 0;
	exported = admin_number(answer, "Exported") != 0;
	plist_free(answer);
	if (kicked)
		return ctl_print_obeyed(c, why);
	if (exported)
		return CTL_FAIL(why, "nobody has imported device %.40s", busid);
	return CTL_FAIL(why, "no device %.40s is exported; 'muxctl usb list' "
	    "shows those that are", busid);
}

int
command_usb(struct ctl *c, char **args, struct cause *why)
{
	if (args[0] != NULL && strcmp(args[0], "list") == 0 && args[1] == NULL)
		return list(c, why);
	if (args[0] != NULL && strcmp(args[0], "kick") == 0 && args[1] != NULL)
		return kick(c, args[1], why);
	cause_set(why, "write 'usb list', or 'usb kick BUSID' with a device's "
	    "place");
	return CTL_USAGE;
}
