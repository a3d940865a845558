/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/farm.h"

int
main(int argc, char **argv)
{
	return muxphone_main(argc, argv);
}
