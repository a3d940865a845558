/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb/claim_mark.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usb/sysfs.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

/* 0 when there is none; no file has that number. */
static uint64_t
inode_of_link(int folder)
{
	struct stat st;

	return fstatat(folder, "driver", &st, AT_SYMLINK_NOFOLLOW) == 0
	    ? st.st_ino : 0;
}

void
claim_mark_init(struct claim_mark *m)
{
	m->folder = -1;
	m->inode = 0;
}

void
claim_mark_fini(struct claim_mark *m)
{
	if (m->folder >= 0)
		close(m->folder);
	claim_mark_init(m);
}

void
claim_mark_set(struct claim_mark *m, const char *key, int configuration,
    int interface)
{
	char path[256];

	claim_mark_fini(m);
	snprintf(path, sizeof path, "%s/%s:%d.%d", sysfs_root, key,
	    configuration, interface);
	m->folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->folder >= 0)
		m->inode = inode_of_link(m->folder);
}

bool
claim_mark_holds(const struct claim_mark *m)
{
	return m->inode == 0 || inode_of_link(m->folder) == m->inode;
}
