/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes read, `room` of them unless the file ends before; -1 and errno. */
static ssize_t
read_all(int fd, char *out, size_t room)
{
	size_t have = 0;

	while (have < room) {
		const ssize_t n = read(fd, out + have, room - have);

		if (n == 0)
			break;
		if (n > 0)
			have += (size_t)n;
		else if (errno != EINTR)
			return -1;
	}
	return (ssize_t)have;
}

/* errno, or what is wrong with what was opened, which is `most` bytes long at
 * most.  0: nothing is. */
static int
check_kind(int fd, size_t most)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	return (uintmax_t)st.st_size > most ? EFBIG : 0;
}

static char *
read_open(int fd, size_t most, size_t *len)
{
	char *text = NULL;
	ssize_t n;
	int error = check_kind(fd, most);

	/* It may grow meanwhile: a byte more than it may have is looked for. */
	if (error == 0 && (text = malloc(most + 1)) == NULL)
		error = ENOMEM;
	if (error == 0) {
		n = read_all(fd, text, most + 1);
		error = n < 0 ? errno : (size_t)n > most ? EFBIG : 0;
		*len = error == 0 ? (size_t)n : 0;
	}
	if (error != 0) {
		free(text);
		errno = error;
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

static const char *
words_of(int error)
{
	switch (error) {
	case EINVAL:
		return "not a regular file";
	case EFBIG:
		return "too long for what it is";
	default:
		return strerror(error);
	}
}

char *
file_read(const char *path, size_t most, size_t *len, struct cause *why)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = fd >= 0 ? read_open(fd, most, len) : NULL;
	const int error = errno;

	if (fd >= 0)
		close(fd);
	if (text == NULL)
		cause_set(why, "%s: %s", path, words_of(error));
	errno = error;
	return text;
}
