/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <plist/plist.h>

#include "base/cursor.h"
#include "muxload.h"
#include "muxload_stream.h"
#include "wire/plist_guard.h"

static double
seconds_since(struct moment start)
{
	return (double)(clock_now().ns - start.ns) / 1e9;
}

static uint64_t
count_of(struct job *job, uint64_t fallback)
{
	uint64_t count = fallback;

	if (job->o->argument != NULL && !parse_size(job->o->argument, &count))
		job_fail(job, "'%s' is not a number", job->o->argument);
	return count;
}

/* ---- sizes ---- */

/* Sends and receives `size` bytes at the same time: an echo that cannot get
 * rid of its answer takes no more. */
static int
echo_duplex(struct job *job, int fd, const uint8_t *out, uint8_t *in,
    size_t size)
{
	size_t sent = 0, received = 0;

	while (received < size) {
		ssize_t n = 0, m;

		if (sent < size)
			n = send(fd, out + sent, size - sent,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return job_fail(job, "send: %s", strerror(errno));
		m = recv(fd, in + received, size - received, MSG_DONTWAIT);
		if (m == 0 || (m < 0 && errno != EAGAIN && errno != EINTR))
			return job_fail(job, "closed after %zu bytes of %zu",
			    received, size);
		sent += n > 0 ? (size_t)n : 0;
		received += m > 0 ? (size_t)m : 0;
		if (n <= 0 && m <= 0 && job_wait(job, fd,
			(short)(POLLIN | (sent < size ? POLLOUT : 0))) < 0)
			return -1;
	}
	job->sent += size;
	job->received += size;
	return 0;
}

/* Echoes `size` bytes, which are given to the daemon in one write. */
static int
echo_once(struct job *job, int fd, uint64_t size)
{
	uint8_t *out = malloc((size_t)size + 1), *in = malloc((size_t)size + 1);
	const uint64_t offset = job->sent;
	int rc;

	if (out == NULL || in == NULL) {
		rc = job_fail(job, "no memory for %llu bytes",
		    (unsigned long long)size);
	} else {
		stream_fill(out, job->o->seed + job->number, offset,
		    (size_t)size);
		rc = echo_duplex(job, fd, out, in, (size_t)size);
		if (rc == 0)
			rc = job_compare(job, 0, in, out, (size_t)size);
	}
	free(out);
	free(in);
	return rc;
}

/* Each item of "1,512,64K", in that order, on one connection. */
void
run_sizes(struct job *job)
{
	const struct moment start = clock_now();
	char *list, *item, *rest;
	uint64_t size;
	int fd, rc = 0;

	if (job->o->argument == NULL) {
		job_fail(job, "sizes needs a list: 1,512,64K");
		return;
	}
	fd = job_connect(job);
	if (fd < 0)
		return;
	list = strdup(job->o->argument);
	for (item = strtok_r(list, ",", &rest); item != NULL && rc == 0;
	     item = strtok_r(NULL, ",", &rest)) {
		/* Buffers of that size are made: a bound for slips. */
		if (!parse_size(item, &size) || size > 1u << 30)
			rc = job_fail(job, "'%s' is not a size up to 1G", item);
		else
			rc = echo_once(job, fd, size);
		if (rc == 0)
			job->cycles++;
	}
	free(list);
	close(fd);
	job->elapsed = seconds_since(start);
}

/* ---- connect ---- */

static int
connect_once(struct job *job, unsigned port)
{
	const enum muxclient_error wanted =
	    job->o->refused ? MUXCLIENT_REFUSED : MUXCLIENT_OK;
	int fd = -1;
	const enum muxclient_error error = muxclient_connect(job->mc,
	    job->device.id, (uint16_t)port, &fd);

	if (error == MUXCLIENT_OK)
		close(fd);
	if (error == wanted)
		return 0;
	return job_fail(job, "connection %llu to port %u: %s",
	    (unsigned long long)job->cycles + 1, port,
	    muxclient_strerror(error));
}

void
run_connect(struct job *job)
{
	const unsigned port = job->o->port != 0 ? job->o->port : 7;
	const uint64_t count = count_of(job, 1000);
	const struct moment start = clock_now();

	job->samples = calloc(count > 0 ? (size_t)count : 1, sizeof(uint64_t));
	if (job->samples == NULL)
		job_fail(job, "out of memory");
	while (job->error[0] == '\0' && job->cycles < count) {
		const struct moment before = clock_now();

		if (connect_once(job, port) < 0)
			break;
		job->samples[job->cycles++] =
		    (uint64_t)(clock_now().ns - before.ns);
		if (job->o->seconds > 0 &&
		    seconds_since(start) >= job->o->seconds)
			break;
	}
	job->elapsed = seconds_since(start);
}

/* ---- ping ---- */

/* Round trips of one chunk each. */
void
run_ping(struct job *job)
{
	const uint64_t count = count_of(job, 1000);
	const size_t size = job->o->chunk == 65536 ? 1
						   : (size_t)job->o->chunk;
	struct moment start;
	const int fd = job_connect(job);

	if (fd < 0)
		return;
	start = clock_now();
	job->samples = calloc(count > 0 ? (size_t)count : 1, sizeof(uint64_t));
	if (job->samples == NULL)
		job_fail(job, "out of memory");
	while (job->error[0] == '\0' && job->cycles < count) {
		const struct moment before = clock_now();

		if (echo_once(job, fd, size) < 0)
			break;
		job->samples[job->cycles++] =
		    (uint64_t)(clock_now().ns - before.ns);
	}
	close(fd);
	job->elapsed = seconds_since(start);
}

/* ---- idle ---- */

static void
wait_for_end_of_input(void)
{
	char c;
	ssize_t n;

	do
		n = read(STDIN_FILENO, &c, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
}

/* Each held connection must still be open, and silent. */
static void
check_still_open(struct job *job, int *fds, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct pollfd p = { .fd = fds[i], .events = POLLIN };

		if (poll(&p, 1, 0) != 0)
			job_fail(job, "idle connection %llu has ended",
			    (unsigned long long)i + 1);
	}
}

void
run_idle(struct job *job)
{
	const uint64_t count = count_of(job, 100);
	const struct moment start = clock_now();
	int *fds = calloc(count > 0 ? (size_t)count : 1, sizeof *fds);

	if (fds == NULL)
		job_fail(job, "out of memory");
	while (job->error[0] == '\0' && job->cycles < count) {
		const int fd = job_connect(job);

		if (fd >= 0)
			fds[job->cycles++] = fd;
	}
	job->elapsed = seconds_since(start);
	if (job->error[0] == '\0') {
		printf("%llu connections are open\n",
		    (unsigned long long)count);
		fflush(stdout);
		wait_for_end_of_input();
		check_still_open(job, fds, count);
	}
	for (uint64_t i = 0; i < job->cycles; i++)
		close(fds[i]);
	free(fds);
}

/* ---- greet ---- */

/* Who speaks first must be heard, without having been spoken to. */
void
run_greet(struct job *job)
{
	const struct moment start = clock_now();
	const int fd = job_connect(job);
	size_t len = 0;

	if (fd < 0)
		return;
	while (len < sizeof job->text - 1) {
		if (job_recv(job, fd, job->text + len, 1) < 0)
			break;
		if (job->text[len] == '\n')
			break;
		if (job->text[len] != '\r')
			len++;
	}
	job->text[len] = '\0';
	if (job->error[0] == '\0')
		echo_once(job, fd, 100);
	close(fd);
	job->elapsed = seconds_since(start);
}

/* ---- info ---- */

#define LOCKDOWN_MAX 65536 /* of one message */

static int
lockdown_send(struct job *job, int fd, const char *key)
{
	const plist_t dict = plist_new_dict();
	uint8_t head[4];
	struct writer w = writer_over(head, sizeof head);
	uint32_t len = 0;
	char *xml = NULL;
	int rc;

	plist_dict_set_item(dict, "Label", plist_new_string("muxload"));
	plist_dict_set_item(dict, "Request", plist_new_string("GetValue"));
	plist_dict_set_item(dict, "Key", plist_new_string(key));
	plist_to_xml(dict, &xml, &len);
	plist_free(dict);
	write_be32(&w, len);
	rc = job_send(job, fd, head, sizeof head);
	if (rc == 0)
		rc = job_send(job, fd, xml, len);
	plist_to_xml_free(xml);
	return rc;
}

static int
lockdown_value(struct job *job, int fd, const char *key, char *out,
    size_t size)
{
	uint8_t head[4], body[LOCKDOWN_MAX];
	struct reader r = reader_over(head, sizeof head);
	const char *text = NULL;
	plist_t dict, value;
	uint32_t len;

	if (lockdown_send(job, fd, key) < 0 ||
	    job_recv(job, fd, head, sizeof head) < 0)
		return -1;
	len = read_be32(&r);
	if (len > sizeof body)
		return job_fail(job, "lockdown's answer has %u bytes", len);
	if (job_recv(job, fd, body, len) < 0)
		return -1;
	dict = plist_guard_parse(body, len, PLIST_LIMITS_RECORD);
	if (dict == NULL)
		return job_fail(job, "lockdown's answer is no property list");
	value = plist_dict_get_item(dict, "Value");
	if (value != NULL && plist_get_node_type(value) == PLIST_STRING)
		text = plist_get_string_ptr(value, NULL);
	snprintf(out, size, "%s", text != NULL ? text : "");
	plist_free(dict);
	return text != NULL ? 0
			    : job_fail(job, "lockdown gives no %s", key);
}

void
run_info(struct job *job)
{
	const struct moment start = clock_now();
	const int fd = job_connect(job);
	char name[128], version[128];

	if (fd < 0)
		return;
	if (lockdown_value(job, fd, "DeviceName", name, sizeof name) == 0 &&
	    lockdown_value(job, fd, "ProductVersion", version,
		sizeof version) == 0)
		snprintf(job->text, sizeof job->text, "%s: %s, version %s",
		    job->device.udid, name, version);
	close(fd);
	job->elapsed = seconds_since(start);
}
