/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "usbnet/launch.h"

/* What the far side's shell is told to run, unless USBNET_EXPORTD says it.  It
 * is a system program, and not every login has the directories of those. */
#define FAR_COMMAND \
	"sh -c 'PATH=$PATH:/usr/local/sbin:/usr/sbin exec usbexportd --stdio'"

#define ARGUMENTS_MAX 40

/* A command line of ssh that is being written.  The texts live in it. */
struct line {
	const char *argv[ARGUMENTS_MAX];
	unsigned count;
	char control[PATH_MAX + 16];
	char inner[SOCK_ADDR_TEXT_MAX];
};

static void
add(struct line *l, const char *argument)
{
	l->argv[l->count++] = argument;
}

static void
add_setting(struct line *l, const char *setting)
{
	add(l, "-o");
	add(l, setting);
}

static void
begin(struct line *l, const struct launch_options *o, const char *control)
{
	l->count = 0;
	add(l, "ssh");
	snprintf(l->control, sizeof l->control, "ControlPath=%s", control);
	add_setting(l, l->control);
	if (o->ssh.port[0] != '\0') {
		add(l, "-p");
		add(l, o->ssh.port);
	}
}

static void
end(struct line *l, const struct launch_options *o, const char *command)
{
	add(l, "--");
	add(l, o->ssh.login);
	if (command != NULL)
		add(l, command);
	l->argv[l->count] = NULL;
}

/* In the child: becomes ssh.  Nobody is there to answer questions, so it is
 * told to ask none. */
static _Noreturn void
become(const struct line *l, int in, int out, int err)
{
	sigset_t none;

	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(err, STDERR_FILENO) >= 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		execvp("ssh", (char *const *)(uintptr_t)l->argv);
		fprintf(stderr, "cannot run ssh: %s\n", strerror(errno));
	}
	_exit(LAUNCH_NOT_FOUND);
}

pid_t
ssh_spawn(const struct launch_options *o, const struct sock_addr *inner,
    const char *control, int fd, int err)
{
	const char *command = getenv("USBNET_EXPORTD");
	struct line l;
	pid_t pid;

	begin(&l, o, control);
	add(&l, "-T");
	add_setting(&l, "BatchMode=yes");
	add_setting(&l, "LogLevel=ERROR"); /* no banners */
	add_setting(&l, "ConnectTimeout=10");
	add_setting(&l, "ServerAliveInterval=10");
	add_setting(&l, "ServerAliveCountMax=3");
	/* What a configuration may want for logging in by hand. */
	add_setting(&l, "ClearAllForwardings=yes");
	add_setting(&l, "RemoteCommand=none");
	add_setting(&l, "ControlMaster=auto");
	/* Seconds that it may outlive its last session, should nobody be left
	 * to end it. */
	add_setting(&l, "ControlPersist=300");
	if (inner != NULL) {
		add(&l, "-W");
		add(&l, sock_addr_text(l.inner, inner));
		command = NULL;
	} else if (command == NULL) {
		command = FAR_COMMAND;
	}
	end(&l, o, command);
	pid = fork();
	if (pid == 0)
		become(&l, fd, fd, err);
	return pid;
}

pid_t
ssh_spawn_exit(const struct launch_options *o, const char *control)
{
	struct line l;
	pid_t pid;
	int null;

	begin(&l, o, control);
	add(&l, "-O");
	add(&l, "exit");
	end(&l, o, NULL);
	pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		become(&l, null, null, null);
	}
	return pid;
}
