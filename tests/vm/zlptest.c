/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A host that forgets a zero-length packet:
 *
 *	zlptest NODE OUT IN PACKET
 *
 * NODE is the /dev/bus/usb/BUS/ADDRESS of a phone of mux version 1 whose
 * interface 0 has in configuration 1 the endpoints OUT and IN, with packets of
 * PACKET bytes.
 * Opens a connection to its port 7, sends a frame of exactly one full packet
 * without the ZLP that ends it, and wants silence; then sends the ZLP, and
 * wants the echo, which ends with a ZLP of the phone's.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "wire/mux.h"
#include "wire/tcp.h"

/* How long the phone must say nothing, and how long it may take. */
#define SILENCE_MS 500
#define PATIENCE_MS 10000

#define FRAME_HEAD (MUX_HEADER_V1_LEN + TCP_HEADER_LEN)

static int fd;
static unsigned out_endpoint, in_endpoint;
static uint8_t frame[16384], heard[16384];

static void __attribute__((format(printf, 1, 2), noreturn))
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("zlptest: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static int
transfer(unsigned endpoint, void *bytes, size_t len, unsigned ms)
{
	struct usbdevfs_bulktransfer t = { .ep = endpoint,
		.len = (unsigned)len,
		.timeout = ms,
		.data = bytes };

	return ioctl(fd, USBDEVFS_BULK, &t);
}

static void
send_bytes(size_t len)
{
	if (transfer(out_endpoint, frame, len, PATIENCE_MS) != (int)len)
		die("cannot send %zu bytes: %s", len, strerror(errno));
}

/* Leaves out what is text for a log. */
static size_t
receive(unsigned ms)
{
	struct mux_header h;
	struct reader r;
	int n;

	do {
		n = transfer(in_endpoint, heard, sizeof heard, ms);
		if (n < 0 && errno == ETIMEDOUT)
			return 0;
		if (n < 0)
			die("cannot read: %s", strerror(errno));
		r = reader_over(heard, (size_t)n);
	} while (mux_header_read(&r, 1, &h) && h.protocol == MUX_CONTROL);
	return (size_t)n;
}

static void
say_version(void)
{
	struct writer w = writer_over(frame, sizeof frame);
	const struct mux_header h = { .protocol = MUX_VERSION, .length = 20 };
	const struct mux_version v = { 1, 0 };

	mux_header_write(&w, 1, &h);
	mux_version_write(&w, &v);
	send_bytes(writer_used(&w));
	if (receive(PATIENCE_MS) != 20)
		die("no answer to VERSION");
}

/* A frame of `len` bytes in all, headers included. */
static void
make_segment(unsigned flags, unsigned seq, size_t len)
{
	struct writer w = writer_over(frame, sizeof frame);
	const struct mux_header h = { .protocol = MUX_TCP,
		.length = (uint32_t)len };
	const struct tcp_header t = { .sport = 1000, .dport = 7, .seq = seq,
		.ack = seq, .flags = (uint8_t)flags, .window = 131072 };

	mux_header_write(&w, 1, &h);
	tcp_header_write(&w, &t);
	for (size_t i = FRAME_HEAD; i < len; i++)
		write_u8(&w, (uint8_t)i);
}

static void
open_connection(void)
{
	make_segment(TCP_SYN, 0, FRAME_HEAD);
	send_bytes(FRAME_HEAD);
	if (receive(PATIENCE_MS) != FRAME_HEAD)
		die("no answer to SYN");
	make_segment(TCP_ACK, 1, FRAME_HEAD);
	send_bytes(FRAME_HEAD);
}

int
main(int argc, char **argv)
{
	unsigned configuration = 1, interface = 0;
	size_t packet, n;

	if (argc != 5)
		die("usage: zlptest NODE OUT IN PACKET");
	fd = open(argv[1], O_RDWR);
	/* A rule of udev's may have taken the kernel's choice away. */
	if (fd < 0 ||
	    ioctl(fd, USBDEVFS_SETCONFIGURATION, &configuration) < 0 ||
	    ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface) < 0)
		die("%s: %s", argv[1], strerror(errno));
	out_endpoint = (unsigned)strtoul(argv[2], NULL, 0);
	in_endpoint = (unsigned)strtoul(argv[3], NULL, 0);
	packet = strtoul(argv[4], NULL, 0);
	if (packet <= FRAME_HEAD || packet > sizeof frame)
		die("packets of %zu bytes", packet);

	say_version();
	open_connection();
	make_segment(TCP_ACK, 1, packet);
	send_bytes(packet);
	n = receive(SILENCE_MS);
	if (n != 0)
		die("%zu bytes came back before the ZLP was sent", n);
	printf("%zu bytes without a ZLP: nothing for %d ms\n", packet,
	    SILENCE_MS);
	send_bytes(0);
	do
		n = receive(PATIENCE_MS);
	while (n == FRAME_HEAD); /* an acknowledgement */
	if (n != packet ||
	    memcmp(heard + FRAME_HEAD, frame + FRAME_HEAD,
		packet - FRAME_HEAD) != 0)
		die("%zu bytes came back behind the ZLP", n);
	printf("with it: the echo\n");
	return 0;
}
