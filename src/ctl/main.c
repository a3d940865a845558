/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

#include "ctl/muxctl.h"

/* Started without a standard output, the daemon's socket would become it.  What
 * takes its place cannot be written to, as the closed one could not. */
static void
fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int
main(int argc, char **argv)
{
	fill_standard_descriptors();
	/* Which characters a terminal can show. */
	setlocale(LC_CTYPE, "");
	return ctl_main(argc, argv, stdout, stderr);
}
