/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Source ports, a reader's table of routes, rosters and snapshots. */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/protocol.h"
#include "daemon/routes.h"
#include "daemon/snapshot.h"
#include "fake_transport.h"
#include "unit.h"

static struct fake fake;
static struct mailbox manager;
static struct waker *waker;
static struct device *d;
static struct client *client;
static int far_end;

static void
begin(void)
{
	int fds[2];

	fake_init(&fake, "1-3");
	waker = waker_new();
	mailbox_init_waker(&manager, waker);
	d = device_new(7, &fake.source, &fake.ident, &protocol_mux, &manager);
	ck_assert_ptr_nonnull(d);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	far_end = fds[1];
	client = client_new(fds[0], 3, false, waker, &manager);
	ck_assert_ptr_nonnull(client);
}

static void
end(void)
{
	close(client->fd);
	close(far_end);
	client_put(client);
	device_put(d);
	waker_put(waker);
	fake_fini(&fake);
}

/* The client's worker is nobody yet. */
static const char *
name_of_client(void) ROLE_UNCHECKED
{
	return client_name(client);
}

START_TEST(a_device_and_a_client_have_names)
{
	char comm[32] = "", name[sizeof client->name];
	FILE *f = fopen("/proc/self/comm", "r");

	ck_assert_str_eq(d->name, "device 7 (fake 1-3)");
	if (f != NULL) {
		ck_assert_ptr_nonnull(fgets(comm, sizeof comm, f));
		fclose(f);
		snprintf(name, sizeof name, "client 3 (pid %ld %.*s)",
		    (long)getpid(), (int)strcspn(comm, "\n"), comm);
		ck_assert_str_eq(name_of_client(), name);
	}
	ck_assert(client->is_unix);
}
END_TEST

/* ---- Ports.  No thread runs: the test is the manager, the reader, and who
 * else it needs to be. ---- */

static uint16_t
take_port(void) ROLE_UNCHECKED
{
	return device_take_port(d);
}

static void
give_port(uint16_t port) ROLE_UNCHECKED
{
	device_give_port(d, port);
}

START_TEST(every_port_but_zero_is_given_out_once)
{
	for (unsigned port = 1; port <= 65535; port++)
		HOLDS(take_port() == port, "port %u", port);
	ck_assert_uint_eq(take_port(), 0);
	ck_assert_uint_eq(take_port(), 0);
	/* One comes back: that one, wherever it is. */
	for (int i = 0; i < 3; i++) {
		static const uint16_t some[] = { 40000, 1, 65535 };

		give_port(some[i]);
		ck_assert_uint_eq(take_port(), some[i]);
		ck_assert_uint_eq(take_port(), 0);
	}
}
END_TEST

/* Not the one that was given back last: the phone may still speak to it. */
START_TEST(ports_go_round)
{
	for (unsigned i = 0; i < 3 * 65535; i++) {
		const uint16_t port = take_port();

		HOLDS(port == i % 65535 + 1, "turn %u: port %u", i, port);
		give_port(port);
	}
}
END_TEST

START_TEST(ports_in_use_are_passed_over)
{
	for (int i = 0; i < 10; i++)
		take_port();
	give_port(4);
	give_port(6);
	for (unsigned port = 11; port <= 65535; port++)
		HOLDS(take_port() == port, "port %u", port);
	ck_assert_uint_eq(take_port(), 4);
	ck_assert_uint_eq(take_port(), 6);
	ck_assert_uint_eq(take_port(), 0);
}
END_TEST

/* ---- Routes ---- */

static struct route *
find(uint16_t port) ROLE_UNCHECKED
{
	return routes_find(d, port);
}

static struct route *
add(uint16_t port) ROLE_UNCHECKED
{
	struct route *r = route_new(client, d, port);

	HOLDS(r != NULL && routes_add(d, r), "no memory");
	return r;
}

static struct route *
remove_port(uint16_t port) ROLE_UNCHECKED
{
	return routes_remove(d, port);
}

static struct route *
remove_any(void) ROLE_UNCHECKED
{
	return routes_remove_any(d);
}

START_TEST(a_route_is_found_by_its_port)
{
	static const uint16_t ports[] = { 0, 1, 255, 256, 257, 32768, 65535 };
	struct route *r[UNIT_COUNT(ports)];

	for (int i = 0; i < UNIT_COUNT(ports); i++)
		ck_assert_ptr_null(find(ports[i]));
	for (int i = 0; i < UNIT_COUNT(ports); i++)
		r[i] = add(ports[i]);
	for (int i = 0; i < UNIT_COUNT(ports); i++)
		ck_assert_ptr_eq(find(ports[i]), r[i]);
	ck_assert_ptr_null(find(2));
	ck_assert_ptr_null(find(512));
	for (int i = 0; i < UNIT_COUNT(ports); i++) {
		ck_assert_ptr_eq(remove_port(ports[i]), r[i]);
		ck_assert_ptr_null(find(ports[i]));
		ck_assert_ptr_null(remove_port(ports[i]));
		route_put(r[i]);
	}
	ck_assert_ptr_null(remove_any());
}
END_TEST

START_TEST(all_routes_can_be_removed)
{
	unsigned n = 0;
	struct route *r;

	for (unsigned port = 0; port <= 65535; port++)
		add((uint16_t)port);
	while ((r = remove_any()) != NULL) {
		ck_assert_ptr_null(find(r->port));
		route_put(r);
		n++;
	}
	ck_assert_uint_eq(n, 65536);
}
END_TEST

START_TEST(a_route_holds_its_client_and_its_device)
{
	struct route *r = route_new(client, d, 5);

	ck_assert_ptr_eq(r->client, client);
	ck_assert_uint_eq(r->port, 5);
	ck_assert_ptr_eq(route_of_add(&r->add_msg), r);
	ck_assert_ptr_eq(route_of_remove(&r->remove_msg), r);
	ck_assert_ptr_eq(route_of_gone(&r->gone_msg), r);
	ck_assert_uint_eq(atomic_load(&client->refs.count), 2);
	ck_assert_uint_eq(atomic_load(&d->refs.count), 2);
	ck_assert_ptr_eq(route_get(r), r);
	route_put(r);
	ck_assert_uint_eq(atomic_load(&client->refs.count), 2);
	ck_assert_uint_eq(atomic_load(&d->routes_alive), 1);
	route_put(r);
	ck_assert_uint_eq(atomic_load(&client->refs.count), 1);
	ck_assert_uint_eq(atomic_load(&d->refs.count), 1);
	ck_assert_uint_eq(atomic_load(&d->routes_alive), 0);
}
END_TEST

/* ---- Rosters and snapshots ---- */

START_TEST(a_roster_lives_as_long_as_somebody_reads_it)
{
	struct roster *r = roster_new(3), *empty = roster_new(0);

	ck_assert_uint_eq(r->count, 3);
	ck_assert_uint_eq(empty->count, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(r->devices[i].id, 0);
	ck_assert_ptr_eq(roster_get(r), r);
	roster_put(r);
	r->devices[2].id = 9; /* the leak checker sees a use after the end */
	roster_put(r);
	roster_put(empty);
	roster_put(NULL);
}
END_TEST

START_TEST(a_snapshot_has_room_for_its_rows)
{
	struct snapshot *s = snapshot_new(2, 3, 1),
	    *none = snapshot_new(0, 0, 0);

	ck_assert_uint_eq(s->device_count, 0);
	ck_assert_uint_eq(s->client_count, 0);
	memset(s->devices, 1, 2 * sizeof *s->devices);
	memset(s->clients, 1, 3 * sizeof *s->clients);
	ck_assert_ptr_nonnull(none);
	snapshot_free(s);
	snapshot_free(none);
	snapshot_free(NULL);
}
END_TEST

START_TEST(every_state_has_a_name)
{
	ck_assert_str_eq(device_state_name(DEVICE_BRINGUP), "bring-up");
	ck_assert_str_eq(device_state_name(DEVICE_HANDSHAKE), "handshake");
	ck_assert_str_eq(device_state_name(DEVICE_READY), "ready");
	ck_assert_str_eq(device_state_name(DEVICE_ENDING), "ending");
	ck_assert_str_eq(device_state_name((enum device_state)99), "?");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon: tables");
	TCase *tc = tcase_create("tables");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, a_device_and_a_client_have_names);
	tcase_add_test(tc, every_port_but_zero_is_given_out_once);
	tcase_add_test(tc, ports_go_round);
	tcase_add_test(tc, ports_in_use_are_passed_over);
	tcase_add_test(tc, a_route_is_found_by_its_port);
	tcase_add_test(tc, all_routes_can_be_removed);
	tcase_add_test(tc, a_route_holds_its_client_and_its_device);
	tcase_add_test(tc, a_roster_lives_as_long_as_somebody_reads_it);
	tcase_add_test(tc, a_snapshot_has_room_for_its_rows);
	tcase_add_test(tc, every_state_has_a_name);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
