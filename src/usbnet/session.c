/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbnet/session.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int
session_start(struct session *s, const struct launch_options *o,
    const struct sock_addr *inner, const char *control, int fd)
{
	int err[2], error;

	if (pipe2(err, O_CLOEXEC) < 0)
		return -1;
	s->words_len = 0;
	s->err = err[0];
	s->err_ended = false;
	sock_set_nonblocking(s->err, true);
	s->pid = ssh_spawn(o, inner, control, fd, err[1]);
	error = errno;
	close(err[1]);
	if (s->pid > 0)
		return 0;
	close(s->err);
	s->pid = 0;
	errno = error;
	return -1;
}

void
session_take_words(struct session *s)
{
	char more[sizeof s->words / 2];
	ssize_t n;

	while ((n = read(s->err, more, sizeof more)) > 0) {
		if (s->words_len + (size_t)n > sizeof s->words) {
			s->words_len -= sizeof more;
			memmove(s->words, s->words + sizeof more,
			    s->words_len);
		}
		memcpy(s->words + s->words_len, more, (size_t)n);
		s->words_len += (size_t)n;
	}
	s->err_ended = n == 0;
}

struct pollfd
session_poll(const struct session *s)
{
	const bool wanted = s->pid != 0 && !s->err_ended;

	return (struct pollfd){ .fd = wanted ? s->err : -1,
		.events = POLLIN };
}

bool
session_last_words(const struct session *s, char *out, size_t size)
{
	size_t end = s->words_len, start, n = 0;

	while (end > 0 && isspace((unsigned char)s->words[end - 1]))
		end--;
	for (start = end; start > 0 && s->words[start - 1] != '\n';)
		start--;
	for (; start < end && n + 1 < size; start++)
		out[n++] = iscntrl((unsigned char)s->words[start])
		    ? ' ' : s->words[start];
	out[n] = '\0';
	return n > 0;
}

bool
session_reap(struct session *s)
{
	if (waitpid(s->pid, &s->status, WNOHANG) != s->pid)
		return false;
	session_take_words(s);
	close(s->err);
	s->pid = 0;
	return true;
}

bool
session_failed(const struct session *s)
{
	return WIFEXITED(s->status) && (WEXITSTATUS(s->status) == 255 ||
	    WEXITSTATUS(s->status) == LAUNCH_CANNOT_RUN ||
	    WEXITSTATUS(s->status) == LAUNCH_NOT_FOUND);
}
