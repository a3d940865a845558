/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "muxload.h"

int
job_fail(struct job *job, const char *fmt, ...)
{
	va_list ap;

	if (job->error[0] != '\0')
		return -1;
	va_start(ap, fmt);
	vsnprintf(job->error, sizeof job->error, fmt, ap);
	va_end(ap);
	return -1;
}

static unsigned
job_port(const struct job *job)
{
	const struct command *c = commands;

	while (strcmp(c->name, job->o->command) != 0)
		c++;
	return job->o->port != 0 ? job->o->port : c->port;
}

int
job_connect(struct job *job)
{
	const unsigned port = job_port(job);
	enum muxclient_error error;
	int fd = -1;

	error = muxclient_connect(job->mc, job->device.id, (uint16_t)port, &fd);
	if (error != MUXCLIENT_OK)
		return job_fail(job, "cannot connect to port %u: %s", port,
		    muxclient_strerror(error));
	return fd;
}

int
job_wait(struct job *job, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, (int)(job->o->patience * 1000));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	return job_fail(job, "not a byte for %.0f s, after %llu sent and "
	    "%llu received", job->o->patience,
	    (unsigned long long)job->sent, (unsigned long long)job->received);
}

int
job_send(struct job *job, int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		const ssize_t n =
		    send(fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			at += n;
			len -= (size_t)n;
			job->sent += (uint64_t)n;
		} else if (errno != EAGAIN && errno != EINTR) {
			return job_fail(job, "send after %llu bytes: %s",
			    (unsigned long long)job->sent, strerror(errno));
		} else if (job_wait(job, fd, POLLOUT) < 0) {
			return -1;
		}
	}
	return 0;
}

int
job_recv(struct job *job, int fd, void *bytes, size_t len)
{
	char *at = bytes;

	while (len > 0) {
		const ssize_t n = recv(fd, at, len, MSG_DONTWAIT);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
			job->received += (uint64_t)n;
		} else if (n == 0) {
			return job_fail(job, "closed after %llu bytes, %zu "
			    "too early", (unsigned long long)job->received,
			    len);
		} else if (errno != EAGAIN && errno != EINTR) {
			return job_fail(job, "receive after %llu bytes: %s",
			    (unsigned long long)job->received,
			    strerror(errno));
		} else if (job_wait(job, fd, POLLIN) < 0) {
			return -1;
		}
	}
	return 0;
}

int
job_compare(struct job *job, uint64_t offset, const uint8_t *got,
    const uint8_t *wanted, size_t len)
{
	size_t i = 0;

	if (memcmp(got, wanted, len) == 0)
		return 0;
	while (got[i] == wanted[i])
		i++;
	return job_fail(job, "byte %llu is 0x%02x and should be 0x%02x",
	    (unsigned long long)(offset + i), got[i], wanted[i]);
}

bool
parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	unsigned shift = 0;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno != 0)
		return false;
	if (*end != '\0') {
		unit = strchr(units, *end);
		if (unit == NULL || end[1] != '\0')
			return false;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (*out > UINT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}
