/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "usbnet/launch.h"

static int
fail(const struct cause *why)
{
	fprintf(stderr, "usbnet: %s\n", why->text);
	return LAUNCH_FAILED;
}

static int
cannot_run(const char *command)
{
	const int status = errno == ENOENT ? LAUNCH_NOT_FOUND
					   : LAUNCH_CANNOT_RUN;

	fprintf(stderr, "usbnet: cannot run %s: %s\n", command,
	    strerror(errno));
	return status;
}

/* The library, and whether it and the command get along.  0, or the exit
 * status after a message. */
static int
choose_library(const struct launch_options *o, char library[PATH_MAX])
{
	char command[PATH_MAX];
	struct cause why;
	int rc;

	if (command_find(command, o->command[0]) < 0)
		return cannot_run(o->command[0]);
	if (command_is_privileged(command)) {
		fprintf(stderr, "usbnet: %s takes on the rights of another "
		    "user, so nothing can be preloaded into it; run usbnet "
		    "with these rights\n", command);
		return LAUNCH_CANNOT_RUN;
	}
	if (library_find(library, o->library, &why) < 0 ||
	    (rc = library_check(library, command, &why)) < 0)
		return fail(&why);
	if (rc > 0 && !o->quiet)
		fprintf(stderr, "usbnet: warning: %s\n", why.text);
	return 0;
}

/* The server's address as text that holds wherever the command goes. */
static const char *
address_text(char out[SOCK_ADDR_TEXT_MAX], struct sock_addr addr)
{
	char *whole = addr.is_unix ? realpath(addr.path, NULL) : NULL;

	if (whole != NULL && strlen(whole) < sizeof addr.path &&
	    strpbrk(whole, " \t\n") == NULL)
		strcpy(addr.path, whole);
	free(whole);
	return sock_addr_text(out, &addr);
}

/* The servers as USBNET_SERVERS has them, once each of them has answered. */
static int
reach_servers(const struct launch_options *o,
    char servers[GATEWAY_SERVERS_SIZE], struct cause *why)
{
	char text[SOCK_ADDR_TEXT_MAX];
	size_t len = 0;

	servers[0] = '\0';
	if (o->ssh.login[0] != '\0')
		return gateway_start(o, servers, why);
	for (unsigned i = 0; i < o->server_count; i++) {
		if (probe_server(&o->servers[i], o->timeout_ms, why) < 0)
			return -1;
		len += (size_t)snprintf(servers + len,
		    GATEWAY_SERVERS_SIZE - len, "%s%s", i > 0 ? " " : "",
		    address_text(text, o->servers[i]));
		if (len >= GATEWAY_SERVERS_SIZE)
			return cause_set(why, "the servers' names are too "
			    "long");
	}
	return 0;
}

/* Before what is preloaded already. */
static int
set_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *all;
	int rc;

	if (old == NULL || *old == '\0')
		return setenv("LD_PRELOAD", library, 1);
	if (asprintf(&all, "%s:%s", library, old) < 0)
		return -1;
	rc = setenv("LD_PRELOAD", all, 1);
	free(all);
	return rc;
}

/* As it stands wherever the command goes. */
static int
set_path(const char *name, const char *path)
{
	char *whole;
	char dir[PATH_MAX];
	int rc;

	if (path == NULL)
		return unsetenv(name);
	if (path[0] == '/')
		return setenv(name, path, 1);
	if (getcwd(dir, sizeof dir) == NULL ||
	    asprintf(&whole, "%s/%s", dir, path) < 0)
		return -1;
	rc = setenv(name, whole, 1);
	free(whole);
	return rc;
}

/* The virtual devices, once it is known that there can be such.  0, or -1 and a
 * cause. */
static int
prepare_virtual(const struct launch_options *o, struct cause *why)
{
	char module[PATH_MAX];

	if (o->virtual_devices == NULL)
		return unsetenv("USBNET_VIRTUAL");
	if (module_find(module, why) < 0 ||
	    module_check(module, o->virtual_devices, why) < 0)
		return -1;
	if (setenv("USBNET_VIRTUAL", o->virtual_devices, 1) < 0 ||
	    setenv("USBNET_VIRTUAL_MODULE", module, 1) < 0 ||
	    (o->virtual_threads != NULL
		    ? setenv("USBNET_VIRTUAL_THREADS", o->virtual_threads, 1)
		    : unsetenv("USBNET_VIRTUAL_THREADS")) < 0 ||
	    set_path("USBNET_VIRTUAL_REPORT", o->virtual_report) < 0 ||
	    set_path("USBNET_VIRTUAL_CONTROL", o->virtual_control) < 0)
		return cause_set(why, "no memory for the environment");
	return 0;
}

static int
set_environment(const struct launch_options *o, const char *library,
    const char *servers)
{
	char timeout[16];

	snprintf(timeout, sizeof timeout, "%d", o->timeout_ms);
	if (setenv("USBNET_SERVERS", servers, 1) < 0 ||
	    setenv("USBNET_TIMEOUT", timeout, 1) < 0 ||
	    set_preload(library) < 0)
		return -1;
	return o->quiet ? setenv("USBNET_QUIET", "1", 1)
			: unsetenv("USBNET_QUIET");
}

/* Becomes the command.  Returns the exit status when that fails. */
static int
launch(const struct launch_options *o)
{
	char library[PATH_MAX], servers[GATEWAY_SERVERS_SIZE];
	struct cause why;
	const int rc = choose_library(o, library);

	if (rc != 0)
		return rc;
	if (prepare_virtual(o, &why) < 0 || reach_servers(o, servers, &why) < 0)
		return fail(&why);
	if (set_environment(o, library, servers) < 0) {
		cause_set(&why, "no memory for the environment");
		return fail(&why);
	}
	execvp(o->command[0], o->command);
	return cannot_run(o->command[0]);
}

int
launch_main(int argc, char **argv)
{
	struct launch_options o;
	int rc = launch_options_parse(&o, argc, argv);

	if (rc == 0)
		rc = launch(&o);
	else
		rc = rc > 0 ? 0 : LAUNCH_FAILED;
	launch_options_fini(&o);
	return rc;
}
