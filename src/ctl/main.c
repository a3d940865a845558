/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <locale.h>

#include "base/standard.h"
#include "ctl/muxctl.h"

int
main(int argc, char **argv)
{
	/* Without a standard output nothing must seem to have been printed. */
	standard_fill(O_RDONLY);
	/* Which characters a terminal can show. */
	setlocale(LC_CTYPE, "");
	return ctl_main(argc, argv, stdout, stderr);
}
