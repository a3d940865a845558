/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Devices from words: KIND[=COUNT][,OPTION[=VALUE]...] */

#include <stdlib.h>
#include <string.h>

#include "phone/kinds.h"
#include "phone/phone.h"
#include "virtual/world.h"

#define BLANKS " \t\n"

struct word {
	const struct kind *kind;
	unsigned count;
	const char *options; /* inside the word, or NULL */
};

/* Cuts the word's beginning off its options. */
static int
parse_word(struct word *w, char *text, struct cause *why)
{
	char *options = strchr(text, ','), *count;

	if (options != NULL)
		*options++ = '\0';
	w->options = options;
	w->count = 1;
	count = strchr(text, '=');
	if (count != NULL)
		*count++ = '\0';
	w->kind = kinds_find(text, why);
	if (w->kind == NULL)
		return -1;
	return count == NULL
	    ? 0
	    : kinds_number(&w->count, w->kind->name, count, 1,
		  IDENTITY_INDEX_MAX, why);
}

static int
make_identity(struct identity *id, unsigned index, const struct kind *kind,
    struct cause *why)
{
	if (kind == &kind_phone)
		return identity_init(id, index, NULL, 0, why);
	identity_init_kind(id, index, kind->name);
	return 0;
}

static int
check_unique(const struct world *w, const struct device *d, struct cause *why)
{
	for (unsigned i = 0; i < w->farm.count; i++)
		if (strcmp(w->farm.gadgets[i].device->id.udid,
			d->id.udid) == 0)
			return cause_set(why, "two devices would have the "
			    "serial number %s", d->id.udid);
	return 0;
}

static int
add_one(struct world *w, const struct word *word, struct cause *why)
{
	const unsigned i = w->farm.count;
	char *options = word->options != NULL ? strdup(word->options) : NULL;
	struct identity id;
	struct device *d = NULL;

	if (make_identity(&id, i + 1, word->kind, why) == 0)
		d = device_new(word->kind, &id, DESC_HIGH, options, why);
	free(options);
	if (d == NULL)
		return -1;
	if (check_unique(w, d, why) < 0) {
		device_free(d);
		return -1;
	}
	/* As behind a host that configures what is plugged in. */
	d->configured = true;
	w->units[i].gadget = &w->farm.gadgets[i];
	gadget_init(&w->farm.gadgets[i], &unit_bus, &w->units[i], NULL, d);
	w->farm.count++;
	return 0;
}

static int
make_room(struct world *w, unsigned more, struct cause *why)
{
	const size_t n = w->farm.count + more;
	struct gadget *gadgets;
	struct unit *units;

	if (n > IDENTITY_INDEX_MAX)
		return cause_set(why, "%zu devices: there are places for %u",
		    n, IDENTITY_INDEX_MAX);
	gadgets = calloc(n, sizeof *gadgets);
	units = calloc(n, sizeof *units);
	if (gadgets == NULL || units == NULL) {
		free(gadgets);
		free(units);
		return cause_set(why, "out of memory");
	}
	w->farm.gadgets = gadgets;
	w->units = units;
	return 0;
}

static int
take_words(struct world *w, struct word *words, unsigned count,
    struct cause *why)
{
	unsigned total = 0;

	for (unsigned i = 0; i < count; i++)
		total += words[i].count;
	if (make_room(w, total, why) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < words[i].count; j++)
			if (add_one(w, &words[i], why) < 0)
				return -1;
	return 0;
}

static int
parse(struct world *w, char *text, struct word *words, struct cause *why)
{
	char *rest = NULL;
	unsigned count = 0;

	for (char *t = strtok_r(text, BLANKS, &rest); t != NULL;
	     t = strtok_r(NULL, BLANKS, &rest))
		if (parse_word(&words[count++], t, why) < 0)
			return -1;
	return take_words(w, words, count, why);
}

int
world_describe(struct world *w, const char *description, struct cause *why)
{
	char *text = strdup(description);
	struct word *words = calloc(strlen(description) + 1, sizeof *words);
	int rc;

	memset(w, 0, sizeof *w);
	if (text == NULL || words == NULL)
		rc = cause_set(why, "out of memory");
	else
		rc = parse(w, text, words, why);
	free(text);
	free(words);
	return rc;
}
