/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_LAUNCH_H
#define MUXD_USBNET_LAUNCH_H

/*
 * usbnet, the launcher: makes sure that all is well, sets LD_PRELOAD and the
 * variables that the drop-in libusb reads, and becomes the command.
 *
 * The command is the process that the caller started: its exit status, signals
 * and terminal are its own.  What must live beside it, the gateway over ssh, is
 * a process of its own that ends with it.
 *
 * One thread.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/sock.h"

/* A server is a bus, and libusb numbers buses with a byte; nobody types more
 * of them than this. */
#define LAUNCH_SERVERS_MAX 32

#define LAUNCH_TIMEOUT_MS 3000 /* to connect, and to answer one operation */

/* Exit statuses, as env(1) and nice(1) have them. */
enum launch_status {
	LAUNCH_FAILED = 125,	 /* usbnet itself */
	LAUNCH_CANNOT_RUN = 126, /* the command is there, and cannot be run */
	LAUNCH_NOT_FOUND = 127,
};

/* ---- Command line (options.c) ---- */

struct ssh_target {
	char login[320]; /* [USER@]HOST, as ssh takes it; "": none */
	char port[6];	 /* "": what ssh's configuration says */
};

/* Not to be copied: `command` may point into it. */
struct launch_options {
	struct sock_addr servers[LAUNCH_SERVERS_MAX];
	unsigned server_count; /* 0: with ssh its host's usbexportd, with
				* virtual devices none */
	struct ssh_target ssh;
	const char *library; /* NULL: the one that came with us */
	/* Devices of the command's own process (virtual.h). */
	char *virtual_devices; /* descriptions, with blanks between; owned */
	const char *virtual_threads, *virtual_report, *virtual_control;
	int timeout_ms;
	bool quiet;
	char **command; /* ends with NULL */
	char **words;	/* of a command line; owned, or NULL */
	char *alone[2]; /* the command, when it is one path */
};

/* 0; 1 when the text has been printed that was asked for; -1 after a complaint
 * on standard error. */
int launch_options_parse(struct launch_options *o, int argc, char **argv);
void launch_options_fini(struct launch_options *o);

/* [USER@]HOST[:PORT], [USER@][V6]:PORT.  0, or -1 and a cause. */
int ssh_target_parse(struct ssh_target *out, const char *text,
    struct cause *why);

/* ---- One command line as words (words.c) ---- */

/*
 * Splits as a shell would: blanks, quotes, backslashes.  What else means
 * something to a shell is refused unless it is quoted.  The words, ended by
 * NULL, are one block, the caller's to free(); NULL and a cause.
 */
char **words_split(const char *text, struct cause *why);

/* ---- Programs and libraries (binary.c, library.c) ---- */

struct binary {
	bool elf; /* else nothing below is known: a script */
	bool is_64, big_endian;
	uint16_t machine;
	bool dynamic; /* a program that the dynamic linker starts */
};

/* 0, or -1 with errno. */
int binary_read(struct binary *out, const char *path);

/* Where execvp() would find the command: 0, or -1 with errno. */
int command_find(char out[PATH_MAX], const char *name);

/* The library to preload: what was asked for, else the one of our build tree,
 * else the installed one.  0, or -1 and a cause. */
int library_find(char out[PATH_MAX], const char *asked, struct cause *why);

/* Where the build has put a file of src/ that is not installed beside us, seen
 * from our own place.  False: we have been installed. */
bool library_find_built(char out[PATH_MAX], const char *file);

/* That the dynamic linker will load it into that command.  0, or -1 and a
 * cause; 1 and a cause for a warning: the command will not notice it. */
int library_check(const char *library, const char *command, struct cause *why);

/* The command runs with rights that its caller lacks, so the system ignores
 * LD_PRELOAD. */
bool command_is_privileged(const char *path);

/* ---- Virtual devices (module.c) ---- */

/* The module that simulates them, found as the library is.  0, or -1 and a
 * cause. */
int module_find(char out[PATH_MAX], struct cause *why);
/* That it can be loaded, and understands the description.  The same. */
int module_check(const char *module, const char *devices, struct cause *why);

/* ---- Servers (probe.c) ---- */

/* Asks for a list of devices over `fd`; `name` is for the cause.  `wait` as in
 * usbip/importer.h.  0, or -1 and a cause: nobody answers, or not in USB/IP. */
typedef bool probe_wait(void *arg, int fd);
int probe_fd(int fd, const char *name, probe_wait *wait, void *arg,
    struct cause *why);

/* Connects and asks. */
int probe_server(const struct sock_addr *server, int timeout_ms,
    struct cause *why);

/* ---- Through ssh (ssh.c, gateway.c) ---- */

/*
 * Starts ssh with both its standard input and output on `fd`, and its standard
 * error on `err`; it brings `inner` (NULL: a usbexportd that it starts) from
 * the target's side.  All of its sessions share one connection by way of the
 * socket `control`.  Its process id, or -1 with errno.
 */
pid_t ssh_spawn(const struct launch_options *o, const struct sock_addr *inner,
    const char *control, int fd, int err);

/* Starts what ends the shared connection. */
pid_t ssh_spawn_exit(const struct launch_options *o, const char *control);

/* Room for as many addresses of UNIX sockets. */
#define GATEWAY_SERVERS_SIZE (LAUNCH_SERVERS_MAX * 128)

/*
 * Starts the process that serves UNIX sockets in a private directory, joins
 * each connection to an ssh of its own, and ends, with all that is its own,
 * when the calling process ends, whatever program that has become.  Returns
 * when the far side has answered: 0 and the sockets' addresses, with blanks
 * between; or -1 and a cause.
 */
int gateway_start(const struct launch_options *o,
    char servers[GATEWAY_SERVERS_SIZE], struct cause *why);

/* ---- The program (usbnet.c) ---- */

/* Returns only its exit status when there is no command to become. */
int launch_main(int argc, char **argv);

#endif
