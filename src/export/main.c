/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>

#include "base/standard.h"
#include "export/usbexportd.h"

int
main(int argc, char **argv)
{
	standard_fill(O_RDWR);
	return usbexportd_main(argc, argv);
}
