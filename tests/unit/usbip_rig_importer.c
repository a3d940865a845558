/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/sock.h"
#include "usbip_rig.h"

int
rig_connect(struct rig *r)
{
	const struct timeval patience = { .tv_sec = RIG_PATIENCE_S };
	struct sock_addr addr;
	struct cause why;
	int fd;

	RIG_EQ(sock_addr_parse(&addr, r->path, NULL, &why), 0);
	fd = sock_connect(&addr, RIG_PATIENCE_S * 1000, &why);
	RIG_CHECK(fd >= 0, "%s", why.text);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	return fd;
}

void
rig_send(int fd, const void *bytes, size_t len)
{
	RIG_CHECK(sock_send_all(fd, bytes, len) == 0, "send: %s",
	    strerror(errno));
}

void
rig_receive(int fd, void *bytes, size_t len)
{
	RIG_CHECK(sock_recv_all(fd, bytes, len) == 0, "receive: %s",
	    strerror(errno));
}

void
rig_expect_end(int fd)
{
	char byte;
	const ssize_t n = recv(fd, &byte, 1, 0);

	RIG_CHECK(n == 0 || (n < 0 && errno == ECONNRESET),
	    "expected the end, got %zd (%s)", n, n < 0 ? strerror(errno) : "");
}

/* ---- Operations --------------------------------------------------------- */

void
rig_send_devlist(int fd, uint32_t status)
{
	const struct usbip_op op = { USBIP_VERSION, USBIP_REQ_DEVLIST,
		status };
	uint8_t bytes[USBIP_OP_SIZE];

	usbip_op_encode(bytes, &op);
	rig_send(fd, bytes, sizeof bytes);
}

static struct usbip_op
receive_op(int fd)
{
	uint8_t bytes[USBIP_OP_SIZE];
	struct usbip_op op;

	rig_receive(fd, bytes, sizeof bytes);
	usbip_op_decode(&op, bytes);
	RIG_EQ(op.version, USBIP_VERSION);
	return op;
}

static void
receive_device(int fd, struct usbip_device_entry *out)
{
	uint8_t bytes[USBIP_DEVICE_SIZE];

	rig_receive(fd, bytes, sizeof bytes);
	usbip_device_decode(out, bytes);
}

void
rig_receive_devlist(int fd, char out[512])
{
	const struct usbip_op op = receive_op(fd);
	uint8_t count[4], interfaces[USBIP_INTERFACE_SIZE * 2];
	struct reader r;

	RIG_EQ(op.code, USBIP_REP_DEVLIST);
	RIG_EQ(op.status, USBIP_ST_OK);
	rig_receive(fd, count, sizeof count);
	r = reader_over(count, sizeof count);
	out[0] = '\0';
	for (uint32_t n = read_be32(&r); n > 0; n--) {
		struct usbip_device_entry dev;

		receive_device(fd, &dev);
		RIG_EQ(dev.interface_count, 2);
		rig_receive(fd, interfaces, sizeof interfaces);
		RIG_CHECK(memcmp(interfaces, "\0\0\0\0\377\0\0\0", 8) ==
		    0, "an interface is wrong");
		strncat(out, dev.busid, 500 - strlen(out));
		strncat(out, " ", 500 - strlen(out));
	}
}

void
rig_devlist(struct rig *r, char out[512])
{
	const int fd = rig_connect(r);

	rig_send_devlist(fd, 0);
	rig_receive_devlist(fd, out);
	rig_expect_end(fd);
	close(fd);
}

uint32_t
rig_try_import(int fd, const char *busid, struct usbip_device_entry *entry)
{
	const struct usbip_op rq = { USBIP_VERSION, USBIP_REQ_IMPORT, 0 };
	uint8_t bytes[USBIP_REQ_IMPORT_SIZE];
	struct usbip_device_entry dev;
	struct usbip_op op;

	usbip_op_encode(bytes, &rq);
	usbip_busid_encode(bytes + USBIP_OP_SIZE, busid);
	rig_send(fd, bytes, sizeof bytes);
	op = receive_op(fd);
	RIG_EQ(op.code, USBIP_REP_IMPORT);
	if (op.status == USBIP_ST_OK) {
		receive_device(fd, entry != NULL ? entry : &dev);
	}
	return op.status;
}

int
rig_import(struct rig *r, struct rig_device *d)
{
	const int fd = rig_connect(r);

	RIG_EQ(rig_try_import(fd, d->desc.device.busid, NULL), USBIP_ST_OK);
	return fd;
}

/* ---- URBs --------------------------------------------------------------- */

static uint32_t
devid_of(const struct rig_device *d)
{
	return usbip_devid(d->desc.device.bus, d->desc.device.address);
}

struct usbip_pdu
rig_submit_pdu(const struct rig_device *d, uint32_t seqnum, uint8_t endpoint,
    int32_t length)
{
	return (struct usbip_pdu){ .command = USBIP_CMD_SUBMIT,
		.seqnum = seqnum,
		.devid = devid_of(d),
		.direction = endpoint >> 7,
		.endpoint = endpoint & 0x7f,
		.submit = { .length = length } };
}

void
rig_send_pdu(int fd, const struct usbip_pdu *pdu)
{
	uint8_t bytes[USBIP_PDU_SIZE];

	usbip_pdu_encode(bytes, pdu);
	rig_send(fd, bytes, sizeof bytes);
}

void
rig_submit(int fd, const struct rig_device *d, uint32_t seqnum,
    uint8_t endpoint, int32_t length)
{
	const struct usbip_pdu pdu =
	    rig_submit_pdu(d, seqnum, endpoint, length);
	uint8_t *data;

	rig_send_pdu(fd, &pdu);
	if (pdu.direction == 1 || length == 0)
		return;
	data = malloc((size_t)length);
	RIG_CHECK(data != NULL, "out of memory");
	for (int32_t i = 0; i < length; i++)
		data[i] = rig_pattern((uint32_t)length, (uint32_t)i);
	rig_send(fd, data, (size_t)length);
	free(data);
}

void
rig_unlink(int fd, const struct rig_device *d, uint32_t seqnum,
    uint32_t victim)
{
	const struct usbip_pdu pdu = { .command = USBIP_CMD_UNLINK,
		.seqnum = seqnum,
		.devid = devid_of(d),
		.unlink.seqnum = victim };

	rig_send_pdu(fd, &pdu);
}

struct usbip_pdu
rig_receive_pdu(int fd)
{
	uint8_t bytes[USBIP_PDU_SIZE];
	struct usbip_pdu pdu;

	rig_receive(fd, bytes, sizeof bytes);
	RIG_EQ(usbip_pdu_decode(&pdu, bytes), 0);
	RIG_EQ(pdu.devid, 0);
	RIG_EQ(pdu.direction, 0);
	RIG_EQ(pdu.endpoint, 0);
	return pdu;
}

void
rig_expect_ret(int fd, uint32_t seqnum, int32_t status, int32_t actual)
{
	const struct usbip_pdu pdu = rig_receive_pdu(fd);

	RIG_EQ(pdu.command, USBIP_RET_SUBMIT);
	RIG_EQ(pdu.seqnum, seqnum);
	RIG_EQ(pdu.ret_submit.status, status);
	RIG_EQ(pdu.ret_submit.actual, actual);
}

void
rig_expect_unlinked(int fd, uint32_t seqnum, int32_t status)
{
	const struct usbip_pdu pdu = rig_receive_pdu(fd);

	RIG_EQ(pdu.command, USBIP_RET_UNLINK);
	RIG_EQ(pdu.seqnum, seqnum);
	RIG_EQ(pdu.ret_unlink.status, status);
}

void
rig_expect_data(int fd, uint32_t seqnum, uint32_t length)
{
	uint8_t *data = malloc(length + 1);

	RIG_CHECK(data != NULL, "out of memory");
	rig_expect_ret(fd, seqnum, USBIP_OK, (int32_t)length);
	rig_receive(fd, data, length);
	for (uint32_t i = 0; i < length; i++)
		RIG_EQ(data[i], rig_pattern(length, i));
	free(data);
}
