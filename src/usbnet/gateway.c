/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "usbnet/session.h"

/*
 * The gateway: a process beside the command, that joins connections to UNIX
 * sockets to sessions of ssh.  No byte goes through it: a session has the
 * connection itself as its standard input and output.
 *
 * It is nobody's child, so that a command which waits for its children does not
 * meet it, and in a session of its own, so that no key on the terminal reaches
 * it or ssh.  It ends when the launcher's process does, which has become the
 * command by then, and takes the private directory with it.
 */

/* A program opens one connection a device, and some for lists.  Beyond this,
 * connections wait until others have ended. */
#define SESSIONS_MAX 64
/* For ssh to log in, with a slow name server and a slow machine; the timeout
 * for USB/IP comes on top. */
#define LOGIN_MS 20000
#define END_MS 2000 /* for ssh to end */
/* Where a process cannot be polled for, one looks this often. */
#define LOOK_MS 500
/* Longer ones would leave no room for a socket's name (108, of which ssh wants
 * 17 for itself). */
#define BASE_MAX 60

struct gateway {
	const struct launch_options *o;
	pid_t launcher;
	int launcher_fd; /* readable when it has ended; -1: look for it */
	char dir[BASE_MAX + 32];
	char control[BASE_MAX + 48];
	unsigned count;
	int listeners[LAUNCH_SERVERS_MAX];
	struct session sessions[SESSIONS_MAX];
};

static volatile sig_atomic_t asked_to_end;

static void
on_end(int sig)
{
	(void)sig;
	asked_to_end = 1;
}

static void
on_child(int sig)
{
	(void)sig; /* that a poll returns is all */
}

/* ---- Sessions ---------------------------------------------------------- */

static struct session *
free_session(struct gateway *g)
{
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (g->sessions[i].pid == 0)
			return &g->sessions[i];
	return NULL;
}

static const struct sock_addr *
inner_of(const struct gateway *g, unsigned i)
{
	return g->o->server_count > 0 ? &g->o->servers[i] : NULL;
}

/* Joins `fd`, which stays the caller's, to a session.  NULL with errno. */
static struct session *
start_session(struct gateway *g, unsigned listener, int fd)
{
	struct session *s = free_session(g);

	if (s != NULL)
		return session_start(s, g->o, inner_of(g, listener),
		    g->control, fd) == 0 ? s : NULL;
	errno = EAGAIN;
	return NULL;
}

static void
reap_sessions(struct gateway *g)
{
	char words[200];

	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = &g->sessions[i];

		if (s->pid != 0 && session_reap(s) && session_failed(s) &&
		    !g->o->quiet && !asked_to_end &&
		    session_last_words(s, words, sizeof words))
			fprintf(stderr, "usbnet: ssh to %s failed: %s\n",
			    g->o->ssh.login, words);
	}
}

/* ---- Waiting ----------------------------------------------------------- */

static bool
launcher_has_ended(const struct gateway *g)
{
	struct pollfd pfd = { .fd = g->launcher_fd, .events = POLLIN };

	if (asked_to_end)
		return true;
	if (g->launcher_fd >= 0)
		return poll(&pfd, 1, 0) > 0;
	return kill(g->launcher, 0) < 0 && errno == ESRCH;
}

/* poll() that a signal interrupts; `fds` has room for the launcher's behind. */
static void
wait_for(const struct gateway *g, struct pollfd *fds, unsigned n,
    struct moment deadline)
{
	sigset_t none;
	int ms = moment_poll_timeout(clock_now(), deadline);
	struct timespec ts;

	if (g->launcher_fd < 0 && (ms < 0 || ms > LOOK_MS))
		ms = LOOK_MS;
	fds[n] = (struct pollfd){ .fd = g->launcher_fd, .events = POLLIN };
	ts = (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
	sigemptyset(&none);
	if (ppoll(fds, n + 1, ms < 0 ? NULL : &ts, &none) < 0)
		for (unsigned i = 0; i <= n; i++)
			fds[i].revents = 0;
}

/* ---- Whether the far side answers -------------------------------------- */

struct patience {
	struct gateway *g;
	struct session *session;
	struct moment deadline;
};

static bool
wait_for_answer(void *arg, int fd)
{
	struct patience *p = arg;
	struct pollfd fds[3];

	while (!launcher_has_ended(p->g) &&
	    moment_before(clock_now(), p->deadline)) {
		fds[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
		fds[1] = session_poll(p->session);
		wait_for(p->g, fds, 2, p->deadline);
		if (fds[1].revents != 0)
			session_take_words(p->session);
		if (fds[0].revents != 0)
			return true;
	}
	return false;
}

static bool
has_ended_before(struct gateway *g, struct session *s, struct moment deadline)
{
	struct pollfd fds[1];

	while (!session_reap(s)) {
		if (launcher_has_ended(g) ||
		    !moment_before(clock_now(), deadline))
			return false;
		wait_for(g, fds, 0, deadline);
	}
	return true;
}

/* Turns `what` into ssh's own words, if it has any.  `inner` is what it was
 * asked to reach, NULL: usbexportd. */
static int
explain(struct gateway *g, struct session *s, const char *inner,
    const struct cause *what, struct cause *why)
{
	const char *port = g->o->ssh.port, *login = g->o->ssh.login;
	char words[128] = "it says nothing";

	if (!has_ended_before(g, s, moment_after_ms(clock_now(), END_MS))) {
		kill(s->pid, SIGTERM); /* and is reaped at the end */
		return cause_set(why, "%s", what->text);
	}
	if (s->words_len > 0)
		session_last_words(s, words, sizeof words);
	if (inner != NULL && session_failed(s))
		return cause_set(why, "ssh to %s does not get to %s: %s",
		    login, inner, words);
	if (WIFEXITED(s->status) && WEXITSTATUS(s->status) == LAUNCH_NOT_FOUND)
		return cause_set(why, "ssh to %s: %s; is usbexportd installed "
		    "there?", login, words);
	if (session_failed(s) || s->words_len > 0)
		return cause_set(why, "ssh to %s failed: %s; try it by hand: "
		    "ssh %s%s%s%s", login, words, *port != '\0' ? "-p " : "",
		    port, *port != '\0' ? " " : "", login);
	return cause_set(why, "%s", what->text);
}

static int
check_far_side(struct gateway *g, unsigned listener, struct cause *why)
{
	struct patience p = { .g = g, .deadline = moment_after_ms(clock_now(),
	    LOGIN_MS + g->o->timeout_ms) };
	const struct sock_addr *addr = inner_of(g, listener);
	char name[sizeof g->o->ssh.login + 16], text[SOCK_ADDR_TEXT_MAX];
	const char *inner = addr != NULL ? sock_addr_text(text, addr) : NULL;
	struct cause what;
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return cause_set(why, "no socket for ssh: %s",
		    strerror(errno));
	p.session = start_session(g, listener, pair[1]);
	close(pair[1]);
	if (p.session == NULL) {
		close(pair[0]);
		return cause_set(why, "cannot start ssh: %s",
		    strerror(errno));
	}
	snprintf(name, sizeof name, "%s behind ssh",
	    inner != NULL ? inner : g->o->ssh.login);
	rc = probe_fd(pair[0], name, wait_for_answer, &p, &what);
	close(pair[0]);
	return rc == 0 ? 0 : explain(g, p.session, inner, &what, why);
}

/* ---- The private directory --------------------------------------------- */

/* In it there will be paths in ssh's settings and in lists with blanks. */
static bool
is_plain(const char *path)
{
	return path != NULL && path[0] == '/' && strlen(path) <= BASE_MAX &&
	    strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789/._-+") == strlen(path);
}

static int
make_directory(struct gateway *g, struct cause *why)
{
	const char *bases[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"),
		"/tmp" };

	for (unsigned i = 0; i < sizeof bases / sizeof *bases; i++) {
		if (!is_plain(bases[i]))
			continue;
		snprintf(g->dir, sizeof g->dir, "%s/usbnet.XXXXXX", bases[i]);
		if (mkdtemp(g->dir) != NULL) /* with mode 0700 */
			return 0;
	}
	g->dir[0] = '\0';
	return cause_set(why, "cannot make a private directory in /tmp: %s",
	    strerror(errno));
}

static void
remove_directory(const struct gateway *g)
{
	DIR *dir;
	const struct dirent *entry;

	if (g->dir[0] == '\0' || (dir = opendir(g->dir)) == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(g->dir);
}

/* ---- Its life ---------------------------------------------------------- */

static int
listen_at(struct gateway *g, unsigned i, char *servers, struct cause *why)
{
	struct sock_addr addr = { .is_unix = true };

	snprintf(addr.path, sizeof addr.path, "%s/%u", g->dir, i + 1);
	g->listeners[i] = sock_listen(&addr, 0600, SESSIONS_MAX, why);
	if (g->listeners[i] < 0)
		return -1;
	sock_set_nonblocking(g->listeners[i], true);
	snprintf(servers + strlen(servers),
	    GATEWAY_SERVERS_SIZE - strlen(servers), "%sunix:%s",
	    i > 0 ? " " : "", addr.path);
	return 0;
}

static int
gateway_open(struct gateway *g, char *servers, struct cause *why)
{
	if (make_directory(g, why) < 0)
		return -1;
	snprintf(g->control, sizeof g->control, "%s/ctl", g->dir);
	servers[0] = '\0';
	for (unsigned i = 0; i < g->count; i++)
		if (check_far_side(g, i, why) < 0 ||
		    listen_at(g, i, servers, why) < 0)
			return -1;
	return 0;
}

static void
accept_one(struct gateway *g, unsigned listener)
{
	const int fd = accept4(g->listeners[listener], NULL, NULL,
	    SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (start_session(g, listener, fd) == NULL && !g->o->quiet)
		fprintf(stderr, "usbnet: cannot start ssh: %s\n",
		    strerror(errno));
	close(fd);
}

static void
gateway_run(struct gateway *g)
{
	struct pollfd fds[LAUNCH_SERVERS_MAX + SESSIONS_MAX + 1];

	while (!launcher_has_ended(g)) {
		const bool room = free_session(g) != NULL;
		unsigned n = 0;

		for (unsigned i = 0; i < g->count; i++)
			fds[n++] = (struct pollfd){
				.fd = room ? g->listeners[i] : -1,
				.events = POLLIN };
		for (unsigned i = 0; i < SESSIONS_MAX; i++)
			fds[n++] = session_poll(&g->sessions[i]);
		wait_for(g, fds, n, MOMENT_NEVER);
		for (unsigned i = 0; i < SESSIONS_MAX; i++)
			if (fds[g->count + i].revents != 0)
				session_take_words(&g->sessions[i]);
		reap_sessions(g);
		for (unsigned i = 0; i < g->count; i++)
			if (fds[i].revents != 0)
				accept_one(g, i);
	}
}

static void
signal_sessions(struct gateway *g, int sig)
{
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (g->sessions[i].pid != 0)
			kill(g->sessions[i].pid, sig);
}

/* Ends what ssh has running, and waits for it, but not for ever. */
static void
gateway_close(struct gateway *g)
{
	const struct moment deadline = moment_after_ms(clock_now(), END_MS);
	struct pollfd fds[1];
	bool killed = false;
	pid_t pid;

	asked_to_end = 1;
	if (access(g->control, F_OK) == 0)
		ssh_spawn_exit(g->o, g->control);
	signal_sessions(g, SIGTERM);
	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
		if (pid > 0)
			continue;
		if (!killed && !moment_before(clock_now(), deadline)) {
			signal_sessions(g, SIGKILL);
			killed = true;
		}
		if (killed)
			break;
		/* The launcher has ended, so that is not what to wait for. */
		g->launcher_fd = -1;
		wait_for(g, fds, 0, deadline);
	}
	remove_directory(g);
}

static void
set_signals(void)
{
	struct sigaction sa = { .sa_handler = on_end };
	sigset_t ours;

	sigemptyset(&ours);
	for (const int *sig = (const int[]){ SIGTERM, SIGINT, SIGHUP, SIGQUIT,
		 0 }; *sig != 0; sig++) {
		sigaddset(&ours, *sig);
		sigaction(*sig, &sa, NULL);
	}
	sa.sa_handler = on_child;
	sigaddset(&ours, SIGCHLD);
	sigaction(SIGCHLD, &sa, NULL);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Leaves the caller's input and output alone, and says what is to be said only
 * on its standard error. */
static void
leave_terminal(bool quiet)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (quiet)
		dup2(null, STDERR_FILENO);
}

/* All that the gateway's process does.  `report` gets '+' and the addresses, or
 * '-' and a sentence. */
static _Noreturn void
gateway_main(struct gateway *g, int report)
{
	char text[1 + GATEWAY_SERVERS_SIZE] = "+";
	struct cause why;
	int rc;

	leave_terminal(g->o->quiet);
	set_signals();
	rc = gateway_open(g, text + 1, &why);
	if (rc < 0)
		snprintf(text, sizeof text, "-%s", why.text);
	if (write(report, text, strlen(text)) < 0)
		rc = -1; /* nobody reads it: the launcher has ended */
	close(report);
	if (rc == 0)
		gateway_run(g);
	gateway_close(g);
	_exit(0);
}

/* ---- The launcher's side ----------------------------------------------- */

/* A descriptor that is readable when this process has ended. */
static int
watch_self(void)
{
#ifdef SYS_pidfd_open
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
#else
	return -1;
#endif
}

static size_t
read_all(int fd, char *out, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len + 1 < size) {
		n = read(fd, out + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	out[len] = '\0';
	return len;
}

int
gateway_start(const struct launch_options *o,
    char servers[GATEWAY_SERVERS_SIZE], struct cause *why)
{
	static struct gateway g; /* of the process that becomes it */
	char text[1 + GATEWAY_SERVERS_SIZE];
	int report[2];
	pid_t pid;

	g = (struct gateway){ .o = o, .launcher = getpid(),
		.launcher_fd = watch_self(),
		.count = o->server_count > 0 ? o->server_count : 1 };
	if (pipe2(report, O_CLOEXEC) < 0)
		return cause_set(why, "no pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(report[0]);
		if (fork() == 0)
			gateway_main(&g, report[1]);
		_exit(0);
	}
	close(report[1]);
	if (g.launcher_fd >= 0)
		close(g.launcher_fd);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (read_all(report[0], text, sizeof text) == 0)
		cause_set(why, "the process that serves ssh could not be "
		    "started");
	else if (text[0] != '+')
		cause_set(why, "%s", text + 1);
	else
		memcpy(servers, text + 1, strlen(text));
	close(report[0]);
	return text[0] == '+' ? 0 : -1;
}
