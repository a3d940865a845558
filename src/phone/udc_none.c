/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the system has no FunctionFS, or its headers are too old. */
#include "phone/udc.h"

const struct gadget_bus gadget_bus_udc;

struct udc *
udc_new(const char *name, const struct desc_profile *p, struct cause *why)
{
	(void)name;
	(void)p;
	cause_set(why,
	    "--gadget: this muxphone was built for a system without "
	    "FunctionFS; build it on Linux, with headers of 5.2 or later");
	return NULL;
}

void
udc_free(struct udc *u)
{
	(void)u;
}
