/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "usbnet/launch.h"

#define LIBRARY_NAME "libusb-1.0.so.0"

/* Where src/ is in the build tree, seen from the launcher there. */
static const char *const in_build_tree[] = {
	"src/",
	"../src/", /* from .libs/ */
};

/* The directory of the running program, with a '/'; "" when unknown. */
static void
own_directory(char out[PATH_MAX])
{
	const ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	out[n > 0 ? n : 0] = '\0';
	slash = strrchr(out, '/');
	if (slash != NULL)
		slash[1] = '\0';
	else
		out[0] = '\0';
}

/* What was built with us, when we run from a build tree: another one that is
 * installed would be of another version. */
bool
library_find_built(char out[PATH_MAX], const char *file)
{
	char dir[PATH_MAX];
	char path[PATH_MAX + 64];

	own_directory(dir);
	if (dir[0] == '\0')
		return false;
	for (size_t i = 0; i < sizeof in_build_tree / sizeof *in_build_tree;
	    i++) {
		if (snprintf(path, sizeof path, "%s%s%s", dir,
			in_build_tree[i], file) >= (int)sizeof path)
			continue;
		if (access(path, R_OK) == 0 && realpath(path, out) != NULL)
			return true;
	}
	return false;
}

int
library_find(char out[PATH_MAX], const char *asked, struct cause *why)
{
	if (asked != NULL && realpath(asked, out) == NULL) {
		if (strchr(asked, '/') != NULL)
			return cause_set(why, "the library %s is not "
			    "there: %s", asked, strerror(errno));
		/* A name alone: the dynamic linker looks for it. */
		snprintf(out, PATH_MAX, "%s", asked);
	} else if (asked == NULL &&
	    !library_find_built(out, "usbnet/.libs/" LIBRARY_NAME)) {
		snprintf(out, PATH_MAX, "%s", PKGLIBDIR "/" LIBRARY_NAME);
		if (access(out, R_OK) < 0)
			return cause_set(why, "its library is missing: %s: %s; "
			    "install it, or name one with -l", out,
			    strerror(errno));
	}
	if (strpbrk(out, ": \t\n") != NULL)
		return cause_set(why, "the library's path '%s' has a blank or "
		    "a colon, with which none can be preloaded", out);
	return 0;
}

/* Loads it here, for the dynamic linker's own words about what is wrong. */
static int
try_to_load(const char *library, struct cause *why)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	const char *words;
	int rc = 0;

	if (handle == NULL) {
		words = dlerror();
		return cause_set(why, "cannot load the library: %s",
		    words != NULL ? words : library);
	}
	if (dlsym(handle, "libusb_init") == NULL)
		rc = cause_set(why, "%s is no libusb-1.0: it has no "
		    "libusb_init", library);
	dlclose(handle);
	return rc;
}

static bool
is_same_kind(const struct binary *a, const struct binary *b)
{
	return a->is_64 == b->is_64 && a->big_endian == b->big_endian &&
	    a->machine == b->machine;
}

int
library_check(const char *library, const char *command, struct cause *why)
{
	struct binary lib, program, ourselves;

	if (binary_read(&ourselves, "/proc/self/exe") < 0)
		ourselves.elf = false;
	if (binary_read(&lib, library) < 0 || !lib.elf || !ourselves.elf ||
	    is_same_kind(&lib, &ourselves)) {
		if (try_to_load(library, why) < 0)
			return -1;
	}
	if (binary_read(&program, command) < 0 || !program.elf)
		return 0; /* not readable, or a script */
	if (!program.dynamic) {
		cause_set(why, "%s is linked statically, so it uses the USB of "
		    "this host; only programs that it starts do not", command);
		return 1;
	}
	if (lib.elf && !is_same_kind(&lib, &program))
		return cause_set(why, "the library %s is made for another "
		    "architecture than %s; name one of the same with -l",
		    library, command);
	return 0;
}
