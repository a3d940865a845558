/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A supervisor for tests, as systemd is one:
 *
 *	activate [-l NAME=ADDRESS]... [-w MICROSECONDS] [-1] -- COMMAND...
 *
 * Opens the sockets and waits at them; the first connection starts COMMAND with
 * the sockets passed (LISTEN_FDS) and somebody to tell (NOTIFY_SOCKET).  When it
 * has ended, the sockets are waited at again; what had connected meanwhile starts
 * it anew at once, and so does the exit status 75.  -1: COMMAND is started at
 * once, and once only.  Without -l nothing is passed.  -w asks for a watchdog.
 *
 * On standard output, a line each: "start PID", every line that COMMAND tells,
 * "mark" for a BARRIER=1, "end STATUS".  SIGTERM ends COMMAND, then this.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sock.h"

#define SOCKETS_MAX 16
#define FIRST_FD 3
#define STATUS_AGAIN 75

struct activator {
	int sockets[SOCKETS_MAX];
	char names[512]; /* LISTEN_FDNAMES */
	int socket_count;
	const char *watchdog;
	bool once;
	char **command;
	char notify_path[64];
	int notify_fd;
	int signal_fd;
	pid_t child; /* 0: none */
	bool ending;
};

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "activate: %s\n", what);
	exit(1);
}

/* ---- Sockets ---- */

static void
open_socket(struct activator *a, char *text)
{
	char *address = strchr(text, '=');
	struct sock_addr addr;
	struct cause why;
	int fd;

	if (address == NULL || a->socket_count == SOCKETS_MAX)
		die("-l takes NAME=ADDRESS, a few times");
	*address++ = '\0';
	if (sock_addr_parse(&addr, address, NULL, &why) < 0 ||
	    (fd = sock_listen(&addr, 0600, 1024, &why)) < 0)
		die(why.text);
	snprintf(a->names + strlen(a->names),
	    sizeof a->names - strlen(a->names), "%s%s",
	    a->socket_count > 0 ? ":" : "", text);
	a->sockets[a->socket_count++] = fd;
}

static void
open_notify(struct activator *a)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(a->notify_path, sizeof a->notify_path,
	    "/tmp/muxd-activate.%ld", (long)getpid());
	strcpy(un.sun_path, a->notify_path);
	a->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (a->notify_fd < 0 ||
	    bind(a->notify_fd, (struct sockaddr *)&un, sizeof un) < 0)
		die(strerror(errno));
}

/* ---- The service ---- */

/* In the child: never returns. */
static void
become_service(const struct activator *a)
{
	char number[24];
	sigset_t none;

	/* First out of the way, then to where they belong. */
	for (int i = 0; i < a->socket_count; i++)
		dup2(a->sockets[i], 100 + i);
	for (int i = 0; i < a->socket_count; i++)
		dup2(100 + i, FIRST_FD + i);
	for (int i = 0; i < a->socket_count; i++)
		close(100 + i);
	snprintf(number, sizeof number, "%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", a->notify_path, 1);
	if (a->socket_count > 0) {
		setenv("LISTEN_PID", number, 1);
		setenv("LISTEN_FDNAMES", a->names, 1);
		snprintf(number, sizeof number, "%d", a->socket_count);
		setenv("LISTEN_FDS", number, 1);
	}
	if (a->watchdog != NULL)
		setenv("WATCHDOG_USEC", a->watchdog, 1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(a->command[0], a->command);
	die(strerror(errno));
}

static void
start(struct activator *a)
{
	a->child = fork();
	if (a->child < 0)
		die(strerror(errno));
	if (a->child == 0)
		become_service(a);
	printf("start %ld\n", (long)a->child);
}

static void
take_news(struct activator *a)
{
	char text[512];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { text, sizeof text - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes };
	const ssize_t n = recvmsg(a->notify_fd, &msg, MSG_CMSG_CLOEXEC);
	int fd;

	if (n < 0)
		return;
	text[n] = '\0';
	if (CMSG_FIRSTHDR(&msg) != NULL) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
		close(fd);
	}
	printf("%s\n", strcmp(text, "BARRIER=1") == 0 ? "mark" : text);
}

/* Reaps the service; what it said last comes first. */
static void
note_end(struct activator *a)
{
	struct pollfd pfd = { .fd = a->notify_fd, .events = POLLIN };
	int status;

	if (a->child == 0 || waitpid(a->child, &status, WNOHANG) != a->child)
		return;
	while (poll(&pfd, 1, 0) == 1)
		take_news(a);
	a->child = 0;
	if (WIFEXITED(status))
		printf("end %d\n", WEXITSTATUS(status));
	else
		printf("end by signal %d\n", WTERMSIG(status));
	if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_AGAIN &&
	    !a->once && !a->ending)
		start(a);
	else if (a->once)
		a->ending = true;
}

static void
take_signal(struct activator *a)
{
	struct signalfd_siginfo info;

	if (read(a->signal_fd, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo == SIGCHLD) {
		note_end(a);
		return;
	}
	a->ending = true;
	if (a->child != 0)
		kill(a->child, SIGTERM);
}

/* ---- Loop ---- */

static void
serve(struct activator *a)
{
	struct pollfd pfd[2 + SOCKETS_MAX] = {
		{ .fd = a->signal_fd, .events = POLLIN },
		{ .fd = a->notify_fd, .events = POLLIN },
	};
	/* While the service runs, connections are its own affair. */
	const int count = 2 + (a->child == 0 && !a->once ? a->socket_count : 0);
	bool wanted = false;

	for (int i = 0; i < a->socket_count; i++)
		pfd[2 + i] = (struct pollfd){ a->sockets[i], POLLIN, 0 };
	if (poll(pfd, (nfds_t)count, -1) < 0)
		return;
	for (int i = 2; i < count; i++)
		wanted = wanted || pfd[i].revents != 0;
	if (pfd[1].revents != 0)
		take_news(a);
	if (pfd[0].revents != 0)
		take_signal(a);
	if (wanted && a->child == 0 && !a->ending)
		start(a);
}

int
main(int argc, char **argv)
{
	static struct activator a;
	sigset_t set;
	int c;

	while ((c = getopt(argc, argv, "+l:w:1")) != -1)
		switch (c) {
		case 'l':
			open_socket(&a, optarg);
			break;
		case 'w':
			a.watchdog = optarg;
			break;
		case '1':
			a.once = true;
			break;
		default:
			return 2;
		}
	if (optind == argc)
		die("no command");
	a.command = argv + optind;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	a.signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (a.signal_fd < 0)
		die(strerror(errno));
	open_notify(&a);
	if (a.once)
		start(&a);
	while (!a.ending || a.child != 0)
		serve(&a);
	unlink(a.notify_path);
	return 0;
}
