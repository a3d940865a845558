/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fakemuxd_serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <plist/plist.h>

#include "base/cursor.h"
#include "base/sock.h"
#include "muxload_stream.h"
#include "wire/plist_guard.h"

#define GREETING "fakemuxd: at your service\r\n"

void
serve_init(void)
{
	pattern_init();
}

bool
serve_knows(uint16_t port)
{
	return port == 1 || port == 7 || port == 9 || port == 19 ||
	    port == 62078;
}

static void
serve_echo(int fd)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
		if (sock_send_all(fd, buf, (size_t)n) < 0)
			return;
}

static void
serve_discard(int fd)
{
	char buf[65536];

	while (recv(fd, buf, sizeof buf, 0) > 0)
		continue;
}

static void
serve_chargen(int fd)
{
	uint64_t sent = 0;

	while (sock_send_all(fd, pattern_at(sent), PATTERN_RUN) == 0)
		sent += PATTERN_RUN;
}

/* Answers every GetValue with the name of its key. */
static void
serve_lockdown(int fd)
{
	uint8_t head[4], buf[8192];
	struct reader r;
	struct writer w;
	uint32_t len;
	plist_t dict;
	char *xml;

	for (;;) {
		if (sock_recv_all(fd, head, 4) < 0)
			return;
		r = reader_over(head, 4);
		len = read_be32(&r);
		if (len > sizeof buf || sock_recv_all(fd, buf, len) < 0)
			return;
		dict = plist_guard_parse(buf, len, PLIST_LIMITS_REQUEST);
		if (dict == NULL)
			return;
		plist_dict_set_item(dict, "Value",
		    plist_copy(plist_dict_get_item(dict, "Key")));
		plist_to_xml(dict, &xml, &len);
		plist_free(dict);
		w = writer_over(head, 4);
		write_be32(&w, len);
		sock_send_all(fd, head, 4);
		sock_send_all(fd, xml, len);
		plist_to_xml_free(xml);
	}
}

void
serve_port(int fd, uint16_t port)
{
	switch (port) {
	case 1:
		sock_send_all(fd, GREETING, strlen(GREETING));
		serve_echo(fd);
		break;
	case 7:
		serve_echo(fd);
		break;
	case 9:
		serve_discard(fd);
		break;
	case 19:
		serve_chargen(fd);
		break;
	default:
		serve_lockdown(fd);
		break;
	}
}
