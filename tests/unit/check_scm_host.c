/* SPDX-License-Identifier: GPL-3.0-or-later */

/* This host's addresses, of lists that a system may give. */

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "scm/host.h"
#include "unit.h"

/* ---- Lists -------------------------------------------------------------- */

#define LIST_MAX 8
static struct ifaddrs list[LIST_MAX];
static struct sockaddr_storage sockets[2 * LIST_MAX];
static int length;

static struct sockaddr *
socket_of(int i, const char *text)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&sockets[i];
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sockets[i];

	if (text == NULL)
		return NULL;
	memset(&sockets[i], 0, sizeof sockets[i]);
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		in->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
		in6->sin6_family = AF_INET6;
	else
		sockets[i].ss_family = AF_PACKET; /* as a MAC address has */
	return (struct sockaddr *)&sockets[i];
}

static void
add(const char *address, const char *mask)
{
	struct ifaddrs *a = &list[length];

	ck_assert_int_lt(length, LIST_MAX);
	memset(a, 0, sizeof *a);
	a->ifa_name = (char[]){ "if0" };
	a->ifa_addr = socket_of(2 * length, address);
	a->ifa_netmask = socket_of(2 * length + 1, mask);
	if (length > 0)
		list[length - 1].ifa_next = a;
	length++;
}

static void
begin(void)
{
	length = 0;
}

static enum scm_special
special(const struct scm_host *h, const char *address)
{
	struct cause why;
	struct scm_ip ip;

	ck_assert_int_eq(scm_ip_parse(&ip, address, &why), 0);
	return scm_ip_special(&ip, h);
}

/* ---- Tests -------------------------------------------------------------- */

static const struct {
	const char *address, *mask;
	bool is_v4;
	unsigned bits;
} entries[] = {
	{ "192.0.2.10", "255.255.255.0", true, 24 },
	{ "192.0.2.10", "255.255.255.255", true, 32 },
	{ "192.0.2.10", "0.0.0.0", true, 0 },
	{ "192.0.2.10", "255.255.255.254", true, 31 },
	{ "192.0.2.10", "255.0.255.0", true, 8 }, /* what nobody has */
	{ "192.0.2.10", NULL, true, 32 },
	{ "192.0.2.10", "ffff::", true, 32 },
	{ "2001:db8::10", "ffff:ffff:ffff:ffff::", false, 64 },
	{ "2001:db8::10", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false,
	    128 },
	{ "2001:db8::10", "255.255.255.0", false, 128 },
	{ "2001:db8::10", NULL, false, 128 },
	{ "2001:db8::10", "fffe::", false, 15 },
};

START_TEST(an_entry_is_an_address_and_the_bits_of_its_network)
{
	struct scm_host h;

	begin();
	add(entries[_i].address, entries[_i].mask);
	ck_assert(scm_host_init(&h, list));
	ck_assert_uint_eq(h.count, 1);
	ck_assert(h.networks[0].ip.is_v4 == entries[_i].is_v4);
	ck_assert_uint_eq(h.networks[0].bits, entries[_i].bits);
	ck_assert_int_eq(special(&h, entries[_i].address), SCM_OWN);
	scm_host_fini(&h);
}
END_TEST

START_TEST(what_is_no_address_of_ip_is_left_out)
{
	struct scm_host h;

	begin();
	add("mac", NULL);
	add("192.0.2.10", "255.255.255.0");
	add(NULL, NULL); /* an interface without any */
	add("mac", "mac");
	add("2001:db8::10", "ffff:ffff:ffff:ffff::");
	ck_assert(scm_host_init(&h, list));
	ck_assert_uint_eq(h.count, 2);
	ck_assert_int_eq(special(&h, "192.0.2.10"), SCM_OWN);
	ck_assert_int_eq(special(&h, "192.0.2.255"), SCM_BROADCAST);
	ck_assert_int_eq(special(&h, "192.0.2.11"), SCM_PLAIN);
	ck_assert_int_eq(special(&h, "2001:db8::10"), SCM_OWN);
	ck_assert_int_eq(special(&h, "2001:db8::11"), SCM_PLAIN);
	scm_host_fini(&h);
}
END_TEST

START_TEST(a_host_without_addresses_has_none)
{
	struct scm_host h;

	ck_assert(scm_host_init(&h, NULL));
	ck_assert_uint_eq(h.count, 0);
	ck_assert_int_eq(special(&h, "192.0.2.10"), SCM_PLAIN);
	ck_assert_int_eq(special(&h, "127.0.0.1"), SCM_LOOPBACK);
	scm_host_fini(&h);
}
END_TEST

START_TEST(lists_are_equal_in_every_part_or_not)
{
	static const char *const others[][2] = {
		{ "192.0.2.10", "255.255.0.0" },
		{ "192.0.2.11", "255.255.255.0" },
		{ "::c000:20a", NULL },
	};
	struct scm_host a, b;

	begin();
	add("192.0.2.10", "255.255.255.0");
	ck_assert(scm_host_init(&a, list));
	add("mac", NULL);
	ck_assert(scm_host_init(&b, list));
	ck_assert(scm_host_equal(&a, &b));
	scm_host_fini(&b);
	add("10.0.0.1", NULL);
	ck_assert(scm_host_init(&b, list));
	ck_assert(!scm_host_equal(&a, &b));
	ck_assert(!scm_host_equal(&b, &a));
	scm_host_fini(&b);
	for (int i = 0; i < UNIT_COUNT(others); i++) {
		begin();
		add(others[i][0], others[i][1]);
		ck_assert(scm_host_init(&b, list));
		ck_assert_msg(!scm_host_equal(&a, &b), "%s", others[i][0]);
		scm_host_fini(&b);
	}
	scm_host_fini(&a);
}
END_TEST

START_TEST(this_hosts_are_those_that_the_system_lists)
{
	struct scm_host listed, h;
	struct ifaddrs *all;
	struct cause why;

	ck_assert_int_eq(getifaddrs(&all), 0);
	ck_assert(scm_host_init(&listed, all));
	freeifaddrs(all);
	ck_assert_msg(scm_host_list(&h, &why) == 0, "%s", why.text);
	ck_assert(scm_host_equal(&h, &listed));
	scm_host_fini(&h);
	scm_host_fini(&listed);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm/host");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t,
	    an_entry_is_an_address_and_the_bits_of_its_network, 0,
	    UNIT_COUNT(entries));
	tcase_add_test(t, what_is_no_address_of_ip_is_left_out);
	tcase_add_test(t, a_host_without_addresses_has_none);
	tcase_add_test(t, lists_are_equal_in_every_part_or_not);
	tcase_add_test(t, this_hosts_are_those_that_the_system_lists);
	suite_add_tcase(s, t);
	return unit_run(s);
}
