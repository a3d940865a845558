/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/standard.h"

#include <fcntl.h>
#include <unistd.h>

void
standard_fill(int flags)
{
	int fd;

	do
		fd = open("/dev/null", flags);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}
