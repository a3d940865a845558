/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/sock.h"
#include "unit.h"

static const struct {
	const char *text, *default_port;
	bool is_unix;
	const char *host, *port; /* host: the path, too */
	const char *again;	 /* NULL: as `text` */
} good[] = {
	{ "unix:/run/x", NULL, true, "/run/x", "", NULL },
	{ "UNIX:/run/x", NULL, true, "/run/x", "", "unix:/run/x" },
	{ "/run/x", NULL, true, "/run/x", "", "unix:/run/x" },
	{ "unix:name", NULL, true, "name", "", NULL },
	{ "./x", "1", true, "./x", "", "unix:./x" },
	{ "unix:/a:1", "2", true, "/a:1", "", NULL },
	{ "localhost:80", NULL, false, "localhost", "80", NULL },
	{ "127.0.0.1:0", NULL, false, "127.0.0.1", "0", NULL },
	{ "h:65535", NULL, false, "h", "65535", NULL },
	{ "h:00080", NULL, false, "h", "80", "h:80" },
	{ "h", "3240", false, "h", "3240", "h:3240" },
	{ "h:1", "3240", false, "h", "1", NULL },
	{ "[::1]:22", NULL, false, "::1", "22", NULL },
	{ "[::1]", "3240", false, "::1", "3240", "[::1]:3240" },
	{ "[fe80::1%lo]:22", NULL, false, "fe80::1%lo", "22", NULL },
};

START_TEST(an_address_is_read_and_written)
{
	const char *again =
	    good[_i].again != NULL ? good[_i].again : good[_i].text;
	char text[SOCK_ADDR_TEXT_MAX];
	struct sock_addr a;
	struct cause why = { "untouched" };

	memset(&a, 0xff, sizeof a);
	ck_assert_int_eq(sock_addr_parse(&a, good[_i].text,
			     good[_i].default_port, &why), 0);
	ck_assert_int_eq(a.is_unix, good[_i].is_unix);
	ck_assert_str_eq(a.is_unix ? a.path : a.host, good[_i].host);
	ck_assert_str_eq(a.port, good[_i].port);
	ck_assert_ptr_eq(sock_addr_text(text, &a), text);
	ck_assert_str_eq(text, again);
	ck_assert_str_eq(why.text, "untouched");
}
END_TEST

static const struct {
	const char *text, *default_port, *sentence;
} bad[] = {
	{ "", NULL, "'' names no host" },
	{ "", "80", "'' names no host" },
	{ ":80", NULL, "':80' names no host" },
	{ "[]:80", NULL, "'[]:80' names no host" },
	{ "h", NULL, "'h': expected HOST:PORT or unix:PATH" },
	{ "[::1]", NULL, "'[::1]': expected HOST:PORT or unix:PATH" },
	{ "[::1:80", NULL, "'[::1:80': ']' is missing" },
	{ "[::1]80", NULL, "'[::1]80': expected HOST:PORT or unix:PATH" },
	{ "[::1]x:80", "1", "'[::1]x:80': expected HOST:PORT or unix:PATH" },
	{ "h:", "80", "'' is not a port number" },
	{ "h:65536", NULL, "'65536' is not a port number" },
	{ "h:-1", NULL, "'-1' is not a port number" },
	{ "h:+1", NULL, "'+1' is not a port number" },
	{ "h: 1", NULL, "' 1' is not a port number" },
	{ "h:1x", NULL, "'1x' is not a port number" },
	{ "h:0x10", NULL, "'0x10' is not a port number" },
	{ "h:http", NULL, "'http' is not a port number" },
	{ "h:99999999999999999999", NULL,
	    "'99999999999999999999' is not a port number" },
	{ "unix:", NULL, "'': a socket path has 1 to 107 characters" },
	/* Which of the colons ends the host cannot be told. */
	{ "::1", "3240", "'::1': write an IPv6 address as [V6]:PORT" },
	{ "::1:80", NULL, "'::1:80': write an IPv6 address as [V6]:PORT" },
	{ "fe80::1:22", NULL, "'fe80::1:22': write an IPv6 address as [V6]:PORT" },
};

START_TEST(what_is_no_address_is_refused_with_a_sentence)
{
	struct sock_addr a;
	struct cause why = { "" };

	ck_assert_int_eq(sock_addr_parse(&a, bad[_i].text,
			     bad[_i].default_port, &why), -1);
	ck_assert_str_eq(why.text, bad[_i].sentence);
}
END_TEST

START_TEST(names_are_taken_up_to_their_room)
{
	char text[600], back[SOCK_ADDR_TEXT_MAX];
	struct sock_addr a;
	struct cause why;

	snprintf(text, sizeof text, "/%0106d", 0);
	ck_assert_int_eq(sock_addr_parse(&a, text, NULL, &why), 0);
	ck_assert_str_eq(a.path, text);
	snprintf(text, sizeof text, "/%0107d", 0);
	ck_assert_int_eq(sock_addr_parse(&a, text, NULL, &why), -1);
	snprintf(text, sizeof text, "%0255d:65535", 0);
	ck_assert_int_eq(sock_addr_parse(&a, text, NULL, &why), 0);
	ck_assert_str_eq(sock_addr_text(back, &a), text);
	snprintf(text, sizeof text, "%0256d:65535", 0);
	ck_assert_int_eq(sock_addr_parse(&a, text, NULL, &why), -1);
	snprintf(text, sizeof text, "[%0256d]:65535", 0);
	ck_assert_int_eq(sock_addr_parse(&a, text, NULL, &why), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base/sock: addresses");
	TCase *tc = tcase_create("addresses");

	tcase_add_loop_test(tc, an_address_is_read_and_written, 0,
	    UNIT_COUNT(good));
	tcase_add_loop_test(tc, what_is_no_address_is_refused_with_a_sentence, 0,
	    UNIT_COUNT(bad));
	tcase_add_test(tc, names_are_taken_up_to_their_room);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
