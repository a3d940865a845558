/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb_trees.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake_libusb.h"
#include "usb/sysfs.h"
#include "usb/transport_libusb.h"

static char tree[64], devices[96], nodes[96];

bool
can_open_directly(void)
{
#if defined(__linux__) && LIBUSB_API_VERSION >= 0x01000109
	return true;
#else
	return false;
#endif
}

void
show_trees(void)
{
	const char *folder = fake_show();

	snprintf(tree, sizeof tree, "%s", folder);
	snprintf(devices, sizeof devices, "%s/devices", folder);
	snprintf(nodes, sizeof nodes, "%s/nodes", folder);
	sysfs_root = devices;
	sysfs_nodes = nodes;
}

void
choose_direct(void)
{
	libusb_context *finder;

	ck_assert_int_eq(libusb_init(&finder), 0);
	local_choose_way(finder);
	libusb_exit(finder);
	ck_assert(local_is_direct());
}

static int
files_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	int count = 0;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		char link[300], path[256] = "";

		snprintf(link, sizeof link, "/proc/self/fd/%s", e->d_name);
		if (readlink(link, path, sizeof path - 1) > 0 &&
		    strncmp(path, tree, strlen(tree)) == 0)
			count++;
	}
	closedir(dir);
	return count;
}

void
hide_trees(void)
{
	if (tree[0] == '\0')
		return;
	ck_assert_int_eq(files_open(), 0);
	fake_hide();
}
