/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/kinds.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "phone/phone.h"

static const struct kind *const kinds[] = {
	&kind_phone, &kind_sourcesink, &kind_acm, &kind_hid, &kind_dfu,
	&kind_scm,
};

const struct kind *
kinds_find(const char *text, struct cause *why)
{
	const size_t len = strcspn(text, ":");

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strlen(kinds[i]->name) == len &&
		    strncmp(kinds[i]->name, text, len) == 0)
			return kinds[i];
	cause_set(why,
	    "--device: '%.*s' is none of phone, sourcesink, cdc-acm, hid, "
	    "dfu and scm", (int)len, text);
	return NULL;
}

int
kinds_number(unsigned *out, const char *name, const char *value,
    unsigned least, unsigned most, struct cause *why)
{
	char *end = NULL;
	unsigned long n = 0;

	errno = 0;
	if (value != NULL)
		n = strtoul(value, &end, 10);
	if (value == NULL || *value < '0' || *value > '9' || *end != '\0' ||
	    errno != 0 || n < least || n > most)
		return cause_set(why,
		    "%s: '%s' is no number from %u to %u", name,
		    value != NULL ? value : "", least, most);
	*out = (unsigned)n;
	return 0;
}

int
kinds_word(unsigned *out, const char *name, const char *value,
    const char *const *words, struct cause *why)
{
	char all[80] = "";

	for (unsigned i = 0; words[i] != NULL; i++) {
		if (value != NULL && strcmp(value, words[i]) == 0) {
			*out = i;
			return 0;
		}
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s",
		    i > 0 ? ", " : "", words[i]);
	}
	return cause_set(why, "%s: '%s' is none of %s", name,
	    value != NULL ? value : "", all);
}

int
kinds_flag(bool *out, const char *name, const char *value, struct cause *why)
{
	if (value != NULL)
		return cause_set(why, "%s: takes no value", name);
	*out = true;
	return 0;
}

static int
take_speed(struct device *d, const char *name, const char *value,
    struct cause *why)
{
	static const char *const speeds[] = { "full", "high", "super", NULL };
	unsigned speed;

	if (kinds_word(&speed, name, value, speeds, why) < 0)
		return -1;
	d->profile.speed = (enum desc_speed)speed;
	return 0;
}

/* Before there is anything that it could hold up. */
static int
take_pace(struct device *d, const char *name, const char *value,
    struct cause *why)
{
	unsigned rate;

	if (kinds_number(&rate, name, value, 1, UINT_MAX, why) < 0)
		return -1;
	d->wires[0].rate = d->wires[1].rate = rate;
	return 0;
}

static int
take_duplex(struct device *d, const char *name, const char *value,
    struct cause *why)
{
	static const char *const words[] = { "full", "half", NULL };
	unsigned word;

	if (kinds_word(&word, name, value, words, why) < 0)
		return -1;
	d->half_duplex = word == 1;
	return 0;
}

static int
take_option(struct device *d, const char *name, const char *value,
    struct cause *why)
{
	if (strcmp(name, "speed") == 0)
		return take_speed(d, name, value, why);
	if (strcmp(name, "serial") == 0 && d->kind != &kind_phone)
		return identity_set_serial(&d->id, value, why);
	if (strcmp(name, "configured") == 0)
		return kinds_flag(&d->configured, name, value, why);
	if (strcmp(name, "pace") == 0)
		return take_pace(d, name, value, why);
	if (strcmp(name, "duplex") == 0)
		return take_duplex(d, name, value, why);
	if (d->kind->option == NULL)
		return cause_set(why, "there is no option '%s'", name);
	return d->kind->option(d, name, value, why);
}

int
kinds_take_options(struct device *d, char *options, struct cause *why)
{
	char *rest = NULL;

	if (options == NULL)
		return 0;
	for (char *o = strtok_r(options, ",", &rest); o != NULL;
	     o = strtok_r(NULL, ",", &rest)) {
		char *value = strchr(o, '=');
		struct cause what;

		if (value != NULL)
			*value++ = '\0';
		if (take_option(d, o, value, &what) < 0)
			return cause_set(why, "--device %s: %s", d->kind->name,
			    what.text);
	}
	return 0;
}
