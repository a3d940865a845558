/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "usbnet/launch.h"
#include "usbnet/virtual.h"

int
module_find(char out[PATH_MAX], struct cause *why)
{
	if (library_find_built(out, "virtual/.libs/" VIRTUAL_MODULE_NAME))
		return 0;
	strcpy(out, PKGLIBDIR "/" VIRTUAL_MODULE_NAME);
	return access(out, R_OK) == 0
	    ? 0
	    : cause_set(why, "its module for virtual devices is missing: %s",
		  out);
}

int
module_check(const char *module, const char *devices, struct cause *why)
{
	void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	const struct virtual_ops *v =
	    handle != NULL ? dlsym(handle, VIRTUAL_SYMBOL) : NULL;
	const char *words;

	if (v == NULL) {
		words = dlerror();
		return cause_set(why, "cannot load the module for virtual "
		    "devices: %s", words != NULL ? words : module);
	}
	if (strcmp(v->version, PACKAGE_VERSION) != 0)
		return cause_set(why, "%s is of version %s, not %s", module,
		    v->version, PACKAGE_VERSION);
	return v->check(devices, why);
}
