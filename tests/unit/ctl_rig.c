/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl_rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sock.h"
#include "ctl/muxctl.h"
#include "unit.h"
#include "wire/admin.h"

struct rig rig;

/* ---- The daemon ---- */

static void
take_request(int fd, uint32_t *tag)
{
	uint8_t bytes[USBMUX_HEADER_SIZE], payload[1024];
	struct client_header h;
	plist_t request;
	const char *level, *busid;

	ck_assert_int_eq(sock_recv_all(fd, bytes, sizeof bytes), 0);
	ck_assert(client_header_read(&h, bytes, sizeof payload));
	ck_assert_uint_eq(h.version, USBMUX_VERSION_PLIST);
	ck_assert_uint_eq(h.message, USBMUX_PLIST);
	ck_assert_int_eq(sock_recv_all(fd, payload,
	    h.length - sizeof bytes), 0);
	request = admin_parse_request(payload, h.length - sizeof bytes);
	ck_assert_ptr_nonnull(request);
	level = admin_text(request, "Level");
	busid = admin_text(request, "BusID");
	snprintf(rig.request, sizeof rig.request, "%s",
	    admin_text(request, "MessageType"));
	snprintf(rig.level, sizeof rig.level, "%s",
	    level != NULL ? level : "");
	snprintf(rig.busid, sizeof rig.busid, "%s",
	    busid != NULL ? busid : "");
	rig.asked = request;
	*tag = h.tag;
}

static void
say(int fd, struct client_frame frame)
{
	/* The client may have had enough already. */
	sock_send_all(fd, frame.bytes, frame.len);
	free(frame.bytes);
}

static void *
serve(void *arg)
{
	const int fd = accept(rig.listener, NULL, NULL);
	uint32_t tag;
	char byte;

	(void)arg;
	ck_assert_int_ge(fd, 0);
	take_request(fd, &tag);
	tag += rig.tag_offset;
	if (rig.raw.bytes != NULL)
		say(fd, rig.raw);
	for (size_t i = 0; i < rig.count; i++) {
		say(fd, admin_frame(tag, rig.says[i]));
		tag = 0;
	}
	if (rig.hold)
		ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
	close(fd);
	return NULL;
}

void
rig_set_up(void)
{
	struct sock_addr addr;
	struct cause why;

	strcpy(rig.dir, "/tmp/muxd-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig.dir));
	snprintf(rig.path, sizeof rig.path, "%s/control", rig.dir);
	ck_assert_int_eq(sock_addr_parse(&addr, rig.path, NULL, &why), 0);
	rig.listener = sock_listen(&addr, 0600, 4, &why);
	ck_assert_int_ge(rig.listener, 0);
	unsetenv(ADMIN_SOCKET_VARIABLE);
	setenv("TZ", "UTC", 1);
}

void
rig_tear_down(void)
{
	if (rig.asked != NULL)
		plist_free(rig.asked);
	unlink(rig.path);
	rmdir(rig.dir);
}

/* ---- Running muxctl ---- */

static int
run_to(FILE *out, const char *const *args)
{
	char *argv[16] = { (char *)"muxctl" };
	size_t err_len;
	FILE *err;
	int argc = 1, status;

	if (rig.asked != NULL)
		plist_free(rig.asked);
	rig.asked = NULL;
	free(rig.err);
	err = open_memstream(&rig.err, &err_len);
	/* getopt() changes the order, not the words. */
	for (; args[argc - 1] != NULL; argc++)
		argv[argc] = (char *)args[argc - 1];
	status = ctl_main(argc, argv, out, err);
	fclose(err);
	return status;
}

int
rig_run_served_to(FILE *out, const char *const *args)
{
	pthread_t daemon;
	int status;

	ck_assert_int_eq(pthread_create(&daemon, NULL, serve, NULL), 0);
	status = run_to(out, args);
	pthread_join(daemon, NULL);
	return status;
}

/* `how` with its output going to rig.out. */
static int
collect(int (*how)(FILE *out, const char *const *args),
    const char *const *args)
{
	size_t out_len;
	FILE *out;
	int status;

	free(rig.out);
	out = open_memstream(&rig.out, &out_len);
	status = how(out, args);
	fclose(out);
	return status;
}

int
rig_run(const char *const *args)
{
	return collect(run_to, args);
}

int
rig_run_served(const char *const *args)
{
	return collect(rig_run_served_to, args);
}

void
assert_contains(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "'%s' is missing in: %s",
	    part, text);
}

/* ---- What the daemon says ---- */

void
rig_set(plist_t dict, const char *key, const char *text)
{
	plist_dict_set_item(dict, key, plist_new_string(text));
}

void
rig_set_number(plist_t dict, const char *key, uint64_t n)
{
	plist_dict_set_item(dict, key, plist_new_uint(n));
}

void
rig_say(plist_t dict)
{
	ck_assert_uint_lt(rig.count, RIG_SAYS_MAX);
	rig.says[rig.count++] = dict;
}

void
rig_say_result(uint64_t number)
{
	plist_t dict = plist_new_dict();

	rig_set(dict, "MessageType", "Result");
	rig_set_number(dict, "Number", number);
	rig_say(dict);
}

plist_t
rig_device(uint64_t id, const char *udid, const char *state)
{
	plist_t dict = plist_new_dict();

	rig_set_number(dict, "ID", id);
	rig_set(dict, "UDID", udid);
	rig_set(dict, "State", state);
	rig_set_number(dict, "ProductID", 0x12a8);
	rig_set_number(dict, "LocationID", 0x01420000);
	rig_set_number(dict, "Speed", 480000000);
	rig_set_number(dict, "Connections", id * 10);
	return dict;
}

static plist_t
client(uint64_t number, const char *phase, const char *program)
{
	plist_t dict = plist_new_dict();

	rig_set_number(dict, "Number", number);
	rig_set(dict, "Phase", phase);
	rig_set(dict, "Program", program);
	rig_set_number(dict, "PID", 0);
	if (strcmp(phase, "connected") != 0)
		return dict;
	rig_set_number(dict, "DeviceID", 2);
	rig_set(dict, "UDID", "BB");
	rig_set_number(dict, "SourcePort", 3);
	rig_set_number(dict, "Port", 62078);
	rig_set_number(dict, "RxBytes", 1 << 20);
	rig_set_number(dict, "TxBytes", 100);
	rig_set_number(dict, "InFlight", 0);
	rig_set_number(dict, "Window", 131072);
	rig_set_number(dict, "Held", 0);
	rig_set_number(dict, "Queued", 1);
	return dict;
}

void
rig_say_status(void)
{
	plist_t status = plist_new_dict(), self = plist_new_dict(),
		devices = plist_new_array(), clients = plist_new_array();

	rig_set(self, "Version", "9.9");
	rig_set_number(self, "UptimeMS", 5000);
	rig_set(self, "Novelty", "yes");
	plist_array_append_item(devices, rig_device(2, "BB", "ready"));
	plist_array_append_item(devices, rig_device(0, "", "failed"));
	plist_array_append_item(devices, rig_device(1, "AA", "ready"));
	plist_array_append_item(devices, rig_device(3, "CC", "handshake"));
	plist_array_append_item(clients, client(9, "listening", "xcode"));
	plist_array_append_item(clients, client(8, "connected",
	    "evil\033[2J\nprogram"));
	plist_dict_set_item(status, "Daemon", self);
	plist_dict_set_item(status, "Devices", devices);
	plist_dict_set_item(status, "Clients", clients);
	rig_say(status);
}
