/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/xattr.h>
#endif

#include "base/cursor.h"
#include "usbnet/launch.h"

/* The heads of ELF files (System V ABI, chapters 4 and 5), as far as they tell
 * what fits what. */

enum {
	ELF_HEAD = 64,	/* of 64-bit files; others have less */
	ELF_PARTS_MAX = 64, /* program headers that are looked at */
	PART_INTERPRETER = 3, /* PT_INTERP: the dynamic linker */
};

static uint64_t
number(const struct binary *b, const uint8_t *at, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n |= (uint64_t)at[i] << 8 * (b->big_endian ? len - 1 - i : i);
	return n;
}

/* Fills the rest from a head that is one: where the program headers are, and
 * how many of what size. */
static void
read_parts(struct binary *out, int fd, const uint8_t head[ELF_HEAD])
{
	const uint64_t at = out->is_64 ? number(out, head + 32, 8)
				       : number(out, head + 28, 4);
	const size_t size = number(out, head + (out->is_64 ? 54 : 42), 2);
	const size_t count = number(out, head + (out->is_64 ? 56 : 44), 2);
	uint8_t type[4];

	for (size_t i = 0; i < count && i < ELF_PARTS_MAX; i++) {
		if (pread(fd, type, sizeof type, (off_t)(at + i * size)) !=
		    sizeof type)
			return;
		if (number(out, type, sizeof type) == PART_INTERPRETER)
			out->dynamic = true;
	}
}

int
binary_read(struct binary *out, const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t head[ELF_HEAD];
	ssize_t n;

	*out = (struct binary){ 0 };
	if (fd < 0)
		return -1;
	n = pread(fd, head, sizeof head, 0);
	if (n == sizeof head && memcmp(head, "\177ELF", 4) == 0) {
		out->elf = true;
		out->is_64 = head[4] == 2;
		out->big_endian = head[5] == 2;
		out->machine = (uint16_t)number(out, head + 18, 2);
		read_parts(out, fd, head);
	}
	close(fd);
	return 0;
}

static bool
is_runnable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    access(path, X_OK) == 0;
}

/* Of the directories of PATH, `len` characters at `dir`; an empty one is the
 * current. */
static bool
is_in(char out[PATH_MAX], const char *dir, size_t len, const char *name)
{
	const int n = snprintf(out, PATH_MAX, "%.*s%s%s", (int)len, dir,
	    len > 0 ? "/" : "./", name);

	return n > 0 && n < PATH_MAX && is_runnable(out);
}

int
command_find(char out[PATH_MAX], const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/') != NULL || *name == '\0') {
		snprintf(out, PATH_MAX, "%s", name);
		return access(name, X_OK);
	}
	if (path == NULL)
		path = "/bin:/usr/bin";
	for (;;) {
		const size_t len = strcspn(path, ":");

		if (is_in(out, path, len, name))
			return 0;
		if (path[len] == '\0')
			break;
		path += len + 1;
	}
	errno = ENOENT;
	return -1;
}

bool
command_is_privileged(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if ((st.st_mode & S_ISUID) != 0 && st.st_uid != getuid())
		return true;
	if ((st.st_mode & S_ISGID) != 0 && (st.st_mode & S_IXGRP) != 0 &&
	    st.st_gid != getgid())
		return true;
#ifdef __linux__
	return getuid() != 0 &&
	    getxattr(path, "security.capability", NULL, 0) > 0;
#else
	return false;
#endif
}
