/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "base/clock.h"
#include "base/log.h"

/* ---- Background ---- */

/* To the parent that waits; -1 in the foreground. */
static int report_fd = -1;

/* The parent's part: never returns. */
static void
await_report(int fd)
{
	char text[512];
	ssize_t len = 0, n;

	while ((n = read(fd, text + len, sizeof text - 1 - (size_t)len)) > 0)
		len += n;
	text[len] = '\0';
	/* A child that dies without a word has failed as well. */
	if (strcmp(text, "\n") == 0)
		_exit(0);
	fprintf(stderr, "muxd: %s\n", len > 0 ? text : "ended unexpectedly");
	_exit(1);
}

static void
silence_standard_files(void)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

int
process_daemonise(struct cause *why)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return cause_set(why, "cannot start in the background: %s",
		    strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return cause_set(why, "cannot start in the background: %s",
		    strerror(errno));
	if (pid > 0) {
		close(fds[1]);
		await_report(fds[0]);
	}
	close(fds[0]);
	report_fd = fds[1];
	setsid();
	if (chdir("/") < 0)
		return cause_set(why, "cannot change to /: %s",
		    strerror(errno));
	return 0;
}

void
process_report(const char *failure)
{
	if (report_fd < 0)
		return;
	if (failure == NULL)
		failure = "\n";
	/* A parent that was killed does not wait for this. */
	(void)!write(report_fd, failure, strlen(failure));
	close(report_fd);
	report_fd = -1;
	silence_standard_files();
}

/* ---- Process id file ---- */

/* One that may be about to end is waited for; looked at this often. */
#define LEAVING_MS 5000
#define LEAVING_LOOK_MS 10

static int
pidfile_cause(const char *path, struct cause *why)
{
	return cause_set(why, "process id file %s: %s; choose another with "
	    "--pidfile, or NONE", path, strerror(errno));
}

/* Who holds the lock; 0: nobody, -1: errno. */
static pid_t
holder(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &lock) < 0)
		return -1;
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

static bool
is_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

/* A daemon that ended between our open() and our lock has removed the file. */
static bool
is_still_there(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 &&
	    ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static int
write_pid(int fd)
{
	char text[16];
	const int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len
	    ? 0
	    : -1;
}

/* The descriptor; 0 when it is held by *other; 0 and no *other when it is worth
 * another attempt; -1 and a cause. */
static int
try_pidfile(const char *path, pid_t *other, bool *leaving, struct cause *why)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	*other = 0;
	if (fd < 0)
		return pidfile_cause(path, why);
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		*other = holder(fd);
		*leaving = is_empty(fd);
	} else if (is_still_there(fd, path)) {
		if (write_pid(fd) == 0)
			return fd;
		*other = -1;
	}
	if (*other < 0)
		pidfile_cause(path, why);
	close(fd);
	return *other < 0 ? -1 : 0;
}

int
process_take_pidfile(const char *path, pid_t *other, struct cause *why)
{
	const struct moment limit = moment_after_ms(clock_now(), LEAVING_MS);
	bool leaving = false;
	int fd;

	while ((fd = try_pidfile(path, other, &leaving, why)) == 0) {
		if (*other == 0)
			continue;
		if (!leaving || !moment_before(clock_now(), limit))
			break;
		poll(NULL, 0, LEAVING_LOOK_MS);
	}
	return fd;
}

void
process_mark_pidfile(int fd, bool leaving)
{
	if (leaving ? ftruncate(fd, 0) < 0 : write_pid(fd) < 0)
		log_warning("process id file: %s", strerror(errno));
}

void
process_drop_pidfile(int fd, const char *path)
{
	/* Removed before the lock goes: nobody else's file is removed. */
	unlink(path);
	close(fd);
}

pid_t
process_find_other(const char *path, struct cause *why)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	pid_t other;

	if (fd < 0 && errno == ENOENT)
		return 0;
	other = fd < 0 ? -1 : holder(fd);
	if (other < 0)
		cause_set(why, "process id file %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return other;
}

bool
process_other_stays(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const bool stays = fd >= 0 && holder(fd) > 0 && !is_empty(fd);

	if (fd >= 0)
		close(fd);
	return stays;
}

void
process_await_leaving(const char *path)
{
	const struct moment limit = moment_after_ms(clock_now(), LEAVING_MS);

	while (process_other_stays(path) && moment_before(clock_now(), limit))
		poll(NULL, 0, LEAVING_LOOK_MS);
}

/*
 * A process descriptor stands for one process, whatever becomes of its number:
 * opened first, it is `other` if the file's holder still has that number then.
 */
static int
signal_holder(const char *path, pid_t other, int number)
{
	struct cause why;
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_send_signal)
	const int pidfd = (int)syscall(SYS_pidfd_open, other, 0);

	if (pidfd >= 0) {
		int rc = 0;

		if (process_find_other(path, &why) == other)
			rc = (int)syscall(SYS_pidfd_send_signal, pidfd, number,
			    NULL, 0);
		close(pidfd);
		return rc;
	}
	if (errno != ENOSYS)
		return -1;
#endif
	return process_find_other(path, &why) == other ? kill(other, number) : 0;
}

int
process_signal_other(const char *path, pid_t other, int number,
    struct cause *why)
{
	if (signal_holder(path, other, number) == 0 || errno == ESRCH)
		return 0;
	return cause_set(why, "cannot signal process %ld: %s", (long)other,
	    strerror(errno));
}

/* ---- User ---- */

int
process_find_user(const char *name, struct process_user *out,
    struct cause *why)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (pw == NULL)
		return cause_set(why, "unknown user '%s'; create it, or choose "
		    "another with --user", name);
	out->name = name;
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	return 0;
}

int
process_become(const struct process_user *user, struct cause *why)
{
	if (geteuid() == user->uid)
		return 0;
	if (initgroups(user->name, user->gid) < 0 || setgid(user->gid) < 0 ||
	    setuid(user->uid) < 0)
		return cause_set(why, "cannot become user '%s': %s; start "
		    "muxd as root, or as that user without --user", user->name,
		    strerror(errno));
	if (setuid(0) == 0)
		return cause_set(why, "user '%s' could become root again",
		    user->name);
	return 0;
}

/* ---- Limits ---- */

void
process_raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    limit.rlim_cur == limit.rlim_max)
		return;
	/* The soft limit counts: it is 1024 where nobody cared, and a client
	 * takes one descriptor, a worker another. */
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("open files stay limited to %llu: %s",
		    (unsigned long long)limit.rlim_cur, strerror(errno));
}
