/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbnet/launch.h"

int
main(int argc, char **argv)
{
	return launch_main(argc, argv);
}
