/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usbip_two.h"

struct rig rig;
struct rig_device one, two;

void
two_setup(void)
{
	rig_open(&rig);
	rig_device_init(&one, "3-1", 2);
	rig_device_init(&two, "3-2", 3);
	rig_plug(&rig, &one);
}

void
two_teardown(void)
{
	rig_close(&rig);
	rig_device_fini(&one);
	rig_device_fini(&two);
}
