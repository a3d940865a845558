/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Runs tests of the kernel's module usbtest on a device that it is bound to:
 *
 *	usbtest NODE CASE ITERATIONS LENGTH VARY SGLEN
 *
 * NODE is the device's /dev/bus/usb/BUS/ADDRESS; the case numbers and what the
 * other parameters mean to each are in the kernel's drivers/usb/misc/usbtest.c.
 * Prints the time that it took.  2: the device has not what the case needs.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The module has no header for user space; this is its interface of 64 bits. */
struct usbtest_param {
	uint32_t test_num, iterations, length, vary, sglen;
	int64_t duration_sec, duration_usec;
};
#define USBTEST_REQUEST _IOWR('U', 100, struct usbtest_param)

static uint32_t
number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 0);
}

int
main(int argc, char **argv)
{
	struct usbtest_param p = { 0 };
	struct usbdevfs_ioctl wrapped = { .ioctl_code = (int)USBTEST_REQUEST,
		.data = &p };
	int fd;

	if (argc != 7) {
		fprintf(stderr, "usage: usbtest NODE CASE ITERATIONS LENGTH "
		    "VARY SGLEN\n");
		return 1;
	}
	p.test_num = number(argv[2]);
	p.iterations = number(argv[3]);
	p.length = number(argv[4]);
	p.vary = number(argv[5]);
	p.sglen = number(argv[6]);
	fd = open(argv[1], O_RDWR);
	if (fd < 0) {
		fprintf(stderr, "usbtest: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	if (ioctl(fd, USBDEVFS_IOCTL, &wrapped) < 0) {
		const int error = errno;

		fprintf(stderr, "usbtest: case %u: %s\n", p.test_num,
		    strerror(error));
		return error == EOPNOTSUPP ? 2 : 1;
	}
	printf("case %u: %u times %u bytes, %u.%03u s\n", p.test_num,
	    p.iterations, p.length, (unsigned)p.duration_sec,
	    (unsigned)(p.duration_usec / 1000));
	return 0;
}
