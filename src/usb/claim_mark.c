/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb/claim_mark.h"

#include <stdio.h>
#include <sys/stat.h>

#include "usb/sysfs.h"

/* 0 when there is none; no file has that number. */
static uint64_t
inode_of(const char *link)
{
	struct stat st;

	return lstat(link, &st) == 0 ? st.st_ino : 0;
}

void
claim_mark_set(struct claim_mark *m, const char *key, int configuration,
    int interface)
{
	snprintf(m->link, sizeof m->link, "%s/%s:%d.%d/driver",
	    sysfs_root, key, configuration, interface);
	m->inode = inode_of(m->link);
}

bool
claim_mark_holds(const struct claim_mark *m)
{
	return m->inode == 0 || inode_of(m->link) == m->inode;
}
