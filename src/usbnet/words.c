/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "usbnet/launch.h"

/*
 * A command line in one argument.  No shell reads it: it would bring its
 * expansions along, and everything that it starts would be preloaded, too.  A
 * line that needs a shell is refused rather than run with other words than a
 * shell would make of it.
 */

struct splitter {
	const char *at;
	char *out;     /* where the next character goes */
	char **words;  /* found so far, with room for NULL */
	size_t count;
	bool in_word;
	struct cause *why;
};

/* What a shell would not take for itself where it stands. */
static bool
needs_shell(const struct splitter *s)
{
	if (strchr("|&;<>()$`*?[\n", *s->at) != NULL)
		return true;
	return !s->in_word && (*s->at == '~' || *s->at == '#');
}

static void
put(struct splitter *s, char c)
{
	if (!s->in_word)
		s->words[s->count++] = s->out;
	s->in_word = true;
	*s->out++ = c;
}

static void
end_word(struct splitter *s)
{
	if (s->in_word)
		*s->out++ = '\0';
	s->in_word = false;
}

static int
refuse(const struct splitter *s, char c)
{
	return cause_set(s->why, "'%c' in the command is for a shell: quote "
	    "it, or run: usbnet ... sh -c 'COMMAND'", c == '\n' ? ';' : c);
}

/* From behind an opening quote to behind the closing one. */
static int
take_quoted(struct splitter *s, char quote)
{
	if (!s->in_word) { /* even when there is nothing in it */
		s->words[s->count++] = s->out;
		s->in_word = true;
	}
	for (; *s->at != quote; s->at++) {
		if (*s->at == '\0')
			return cause_set(s->why, "a %c is missing at the end "
			    "of the command", quote);
		if (quote == '"' && (*s->at == '$' || *s->at == '`'))
			return refuse(s, *s->at);
		if (quote == '"' && *s->at == '\\' && s->at[1] != '\0' &&
		    strchr("\\\"$`", s->at[1]) != NULL)
			s->at++;
		put(s, *s->at);
	}
	s->at++;
	return 0;
}

static int
take_one(struct splitter *s)
{
	const char c = *s->at;

	if (c == ' ' || c == '\t') {
		end_word(s);
	} else if (c == '\'' || c == '"') {
		s->at++;
		return take_quoted(s, c);
	} else if (c == '\\') {
		if (s->at[1] == '\0')
			return cause_set(s->why,
			    "a character is missing behind the last \\");
		put(s, *++s->at);
	} else if (needs_shell(s)) {
		return refuse(s, c);
	} else {
		put(s, c);
	}
	s->at++;
	return 0;
}

char **
words_split(const char *text, struct cause *why)
{
	const size_t len = strlen(text);
	/* A word has a character and a blank at least, the last no blank. */
	const size_t words = len / 2 + 2;
	struct splitter s = { .at = text, .why = why };

	s.words = calloc(1, words * sizeof *s.words + len + 2);
	if (s.words == NULL) {
		cause_set(why, "no memory for the command");
		return NULL;
	}
	s.out = (char *)(s.words + words);
	while (*s.at != '\0')
		if (take_one(&s) < 0) {
			free(s.words);
			return NULL;
		}
	end_word(&s);
	if (s.count > 0)
		return s.words;
	cause_set(why, "the command is empty");
	free(s.words);
	return NULL;
}
