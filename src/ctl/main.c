/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <locale.h>

#include "ctl/muxctl.h"

int
main(int argc, char **argv)
{
	/* Which characters a terminal can show. */
	setlocale(LC_CTYPE, "");
	return ctl_main(argc, argv, stdout, stderr);
}
