/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The operations that come before URBs: lists of devices, and the import. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "usbip/importer.h"

/* ---- Import, and descriptions ---- */

static bool
send_request(int fd, uint16_t code, const char *busid)
{
	const struct usbip_op op = { .version = USBIP_VERSION, .code = code };
	uint8_t bytes[USBIP_REQ_IMPORT_SIZE];

	usbip_op_encode(bytes, &op);
	usbip_busid_encode(bytes + USBIP_OP_SIZE, busid);
	return sock_send_all(fd, bytes, sizeof bytes) == 0;
}

/* All of `len` bytes before the deadline: 0, or -1 with errno. */
static int
receive_until(int fd, uint8_t *into, size_t len, struct moment deadline)
{
	while (len > 0) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		const int left = moment_poll_timeout(clock_now(), deadline);
		ssize_t n = poll(&pfd, 1, left);

		if (n == 0)
			errno = ETIMEDOUT;
		if (n > 0) {
			n = recv(fd, into, len, MSG_DONTWAIT);
			if (n == 0)
				errno = ECONNRESET;
		}
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return -1;
		into += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What IMPORT and DEVINFO are answered with; `what` names the request. */
static int
receive_device(int fd, uint16_t code, const char *what, const char *busid,
    struct moment deadline, struct usbip_device_entry *out, uint32_t *status,
    struct cause *why)
{
	uint8_t bytes[USBIP_DEVICE_SIZE];
	struct usbip_op op;

	if (receive_until(fd, bytes, USBIP_OP_SIZE, deadline) < 0)
		return cause_set(why, "no answer to the %s of %s: %s", what,
		    busid, strerror(errno));
	usbip_op_decode(&op, bytes);
	if (op.version != USBIP_VERSION)
		return cause_set(why, "the server speaks version %04x of "
		    "USB/IP, not %04x", op.version, USBIP_VERSION);
	if (op.code != code)
		return cause_set(why, "the server answers the %s of %s with "
		    "operation %04x, not %04x", what, busid, op.code, code);
	*status = op.status;
	if (op.status != USBIP_ST_OK)
		return cause_set(why, "the server refuses the %s of %s: %s",
		    what, busid, usbip_status_text(op.status));
	if (receive_until(fd, bytes, sizeof bytes, deadline) < 0)
		return cause_set(why, "the answer to the %s of %s is cut "
		    "short: %s", what, busid, strerror(errno));
	usbip_device_decode(out, bytes);
	if (strcmp(out->busid, busid) != 0)
		return cause_set(why, "the server told of another device when "
		    "asked for %s", busid);
	return 0;
}

/* Connects and asks: the socket, or -1 and a cause. */
static int
ask(const struct sock_addr *server, uint16_t code, const char *busid,
    int timeout_ms, struct cause *why)
{
	const int fd = sock_connect(server, timeout_ms, why);

	if (fd < 0)
		return -1;
	sock_set_keepalive(fd);
	if (send_request(fd, code, busid))
		return fd;
	cause_set(why, "cannot ask for %s: %s", busid, strerror(errno));
	close(fd);
	return -1;
}

int
importer_attach(const struct sock_addr *server, const char *busid,
    int timeout_ms, struct usbip_device_entry *out, uint32_t *status,
    struct cause *why)
{
	const struct moment deadline =
	    moment_after_ms(clock_now(), timeout_ms);
	const int fd = ask(server, USBIP_REQ_IMPORT, busid, timeout_ms, why);

	*status = USBIP_ST_OK;
	if (fd < 0)
		return -1;
	if (receive_device(fd, USBIP_REP_IMPORT, "import", busid, deadline,
		out, status, why) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
receive_info(int fd, const char *busid, struct moment deadline,
    uint8_t **info, size_t *info_len, struct cause *why)
{
	uint8_t length[4];
	struct reader r = reader_over(length, sizeof length);
	uint8_t *bytes;

	if (receive_until(fd, length, sizeof length, deadline) < 0)
		return cause_set(why, "the description of %s is cut short: %s",
		    busid, strerror(errno));
	*info_len = read_be32(&r);
	if (*info_len > USBIP_INFO_MAX)
		return cause_set(why, "the server claims %zu bytes of "
		    "descriptors for %s", *info_len, busid);
	bytes = malloc(*info_len + 1);
	if (bytes == NULL)
		return cause_set(why, "no memory for the descriptors of %s",
		    busid);
	if (receive_until(fd, bytes, *info_len, deadline) < 0) {
		free(bytes);
		return cause_set(why, "the description of %s is cut short: %s",
		    busid, strerror(errno));
	}
	*info = bytes;
	return 0;
}

int
importer_ask_info(const struct sock_addr *server, const char *busid,
    int timeout_ms, struct usbip_device_entry *out, uint8_t **info,
    size_t *info_len, uint32_t *status, struct cause *why)
{
	const struct moment deadline =
	    moment_after_ms(clock_now(), timeout_ms);
	const int fd = ask(server, USBIP_REQ_DEVINFO, busid, timeout_ms, why);
	int rc;

	*status = USBIP_ST_OK;
	if (fd < 0)
		return -1;
	rc = receive_device(fd, USBIP_REP_DEVINFO, "description", busid,
	    deadline, out, status, why);
	if (rc == 0)
		rc = receive_info(fd, busid, deadline, info, info_len, why);
	close(fd);
	return rc;
}

/* ---- Lists ---- */

bool
importer_request_list(int fd, bool watch)
{
	const struct usbip_op op = { .version = USBIP_VERSION,
		.code = USBIP_REQ_DEVLIST,
		.status = watch ? USBIP_WATCH : 0 };
	uint8_t bytes[USBIP_OP_SIZE];

	usbip_op_encode(bytes, &op);
	return sock_send_all(fd, bytes, sizeof bytes) == 0;
}

struct source {
	int fd;
	importer_wait *wait;
	void *arg;
};

/* 1: all of it.  0: given up.  -1: errno, or 0 there when the server closed
 * before the first byte. */
static int
receive(const struct source *s, uint8_t *into, size_t len)
{
	const size_t wanted = len;

	while (len > 0) {
		ssize_t n;

		if (!s->wait(s->arg, s->fd))
			return 0;
		n = recv(s->fd, into, len, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n == 0)
			errno = len == wanted ? 0 : ECONNRESET;
		if (n <= 0)
			return -1;
		into += n;
		len -= (size_t)n;
	}
	return 1;
}

static int
receive_entry(const struct source *s, struct usbip_device_entry *e)
{
	uint8_t bytes[USBIP_DEVICE_SIZE];
	uint8_t interfaces[255 * USBIP_INTERFACE_SIZE];
	int rc = receive(s, bytes, sizeof bytes);

	if (rc <= 0)
		return rc;
	usbip_device_decode(e, bytes);
	rc = receive(s, interfaces,
	    (size_t)e->interface_count * USBIP_INTERFACE_SIZE);
	for (unsigned i = 0; rc > 0 && i < e->interface_count &&
	     i < USBIP_ENTRY_INTERFACES; i++)
		usbip_interface_decode(&e->interfaces[i],
		    interfaces + i * USBIP_INTERFACE_SIZE);
	return rc;
}

static int
receive_entries(const struct source *s, struct usbip_device_entry *entries,
    size_t count, struct cause *why)
{
	for (size_t i = 0; i < count; i++) {
		const int rc = receive_entry(s, &entries[i]);

		if (rc < 0)
			return cause_set(why, "its list of devices is cut "
			    "short: %s",
			    strerror(errno != 0 ? errno : ECONNRESET));
		if (rc == 0)
			return 0;
	}
	return 1;
}

int
importer_receive_list(int fd, importer_wait *wait, void *arg,
    struct usbip_device_entry **entries, size_t *count, struct cause *why)
{
	const struct source s = { fd, wait, arg };
	uint8_t head[USBIP_DEVLIST_HEAD_SIZE];
	struct reader r = reader_over(head + USBIP_OP_SIZE, 4);
	struct usbip_op op;
	int rc = receive(&s, head, sizeof head);

	if (rc == 0 || (rc < 0 && errno == 0))
		return 0;
	if (rc < 0)
		return cause_set(why, "no list of devices: %s",
		    strerror(errno));
	usbip_op_decode(&op, head);
	if (op.version != USBIP_VERSION || op.code != USBIP_REP_DEVLIST)
		return cause_set(why, "it speaks version %04x of USB/IP, not "
		    "%04x", op.version, USBIP_VERSION);
	if (op.status != USBIP_ST_OK)
		return cause_set(why, "it gives no list of devices: %s",
		    usbip_status_text(op.status));
	*count = read_be32(&r);
	if (*count > USBIP_DEVLIST_MAX)
		return cause_set(why, "it claims to have %zu devices", *count);
	*entries = calloc(*count + 1, sizeof **entries);
	if (*entries == NULL)
		return cause_set(why, "no memory for its %zu devices", *count);
	rc = receive_entries(&s, *entries, *count, why);
	if (rc <= 0)
		free(*entries);
	return rc;
}
