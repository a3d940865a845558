/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

static struct flock
whole_file(short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET };
}

int
process_take_pidfile(const char *path, pid_t *other, struct cause *why)
{
	struct flock lock = whole_file(F_WRLCK);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	char text[16];
	int len;

	*other = 0;
	if (fd < 0)
		return cause_set(why, "process id file %s: %s; choose another "
		    "with --pidfile, or NONE", path, strerror(errno));
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		lock = whole_file(F_WRLCK);
		if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
			*other = lock.l_pid;
		close(fd);
		return 0;
	}
	len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)len) != len) {
		cause_set(why, "process id file %s: %s", path,
		    strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
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
	struct flock lock = whole_file(F_WRLCK);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return cause_set(why, "process id file %s: %s", path,
		    strerror(errno));
	rc = fcntl(fd, F_GETLK, &lock);
	close(fd);
	if (rc < 0)
		return cause_set(why, "process id file %s: %s", path,
		    strerror(errno));
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
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

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	/* The soft limit counts: it is 1024 where nobody cared, and a client
	 * takes one descriptor, a worker another. */
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("open files stay limited to %llu: %s",
		    (unsigned long long)limit.rlim_cur, strerror(errno));
}
