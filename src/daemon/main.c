/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/muxd.h"

int
main(int argc, char **argv)
{
	return muxd_main(argc, argv);
}
