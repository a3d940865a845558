/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * scm.conf(5), from text.  A line is a row of words; the first says what it is
 * about, the second which devices.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scm/policy_int.h"

#define WORD_MAX 256
#define WORDS_MAX 8

struct word {
	unsigned column; /* in bytes, from 1 */
	char text[WORD_MAX];
};

struct line {
	const char *name; /* of the file */
	unsigned number;  /* from 1 */
	size_t count;
	struct word words[WORDS_MAX];
};

static int
fail_at(const struct line *l, unsigned column, struct cause *why,
    const char *what)
{
	return cause_set(why, "%.60s:%u:%u: %s", l->name, l->number, column,
	    what);
}

/* The word is no `what`. */
static int
fail_word(const struct line *l, size_t i, struct cause *why, const char *what)
{
	return cause_set(why, "%.60s:%u:%u: '%.40s' is no %s", l->name,
	    l->number, l->words[i].column, l->words[i].text, what);
}

/* ---- Words -------------------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The word at text[*at], in quotes or not. */
static int
split_word(struct line *l, const char *text, size_t len, size_t *at,
    struct cause *why)
{
	const bool quoted = text[*at] == '"';
	const size_t start = *at;
	struct word *w = &l->words[l->count];
	size_t n = 0;

	if (l->count == WORDS_MAX)
		return fail_at(l, (unsigned)start + 1, why,
		    "more words than any line has; remove them, or put a # "
		    "before them");
	w->column = (unsigned)start + 1;
	*at += quoted;
	while (*at < len &&
	    (quoted ? text[*at] != '"' : !is_blank(text[*at]))) {
		if ((unsigned char)text[*at] < ' ' || text[*at] == 0x7f)
			return fail_at(l, (unsigned)*at + 1, why,
			    "a control character; the file has to be plain "
			    "text");
		if (n == WORD_MAX - 1)
			return fail_at(l, w->column, why,
			    "a word of more than 255 characters; write it "
			    "shorter, or as several lines");
		w->text[n++] = text[(*at)++];
	}
	if (quoted && *at == len)
		return fail_at(l, w->column, why,
		    "this quotation mark is not closed; add one at its end");
	*at += quoted;
	w->text[n] = '\0';
	l->count++;
	return 0;
}

static int
split_line(struct line *l, const char *text, size_t len, struct cause *why)
{
	size_t at = 0;

	l->count = 0;
	while (at < len) {
		if (is_blank(text[at]))
			at++;
		else if (text[at] == '#')
			break;
		else if (split_word(l, text, len, &at, why) < 0)
			return -1;
	}
	return 0;
}

/* ---- Numbers ------------------------------------------------------------ */

/* Digits, and what is behind them; NULL: none, or more than `most`. */
static const char *
parse_number(const char *text, uint64_t most, uint64_t *out)
{
	uint64_t v = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		const uint64_t digit = (uint64_t)(*at - '0');

		if (v > (most - digit) / 10 || digit > most)
			return NULL;
		v = v * 10 + digit;
	}
	*out = v;
	return at > text ? at : NULL;
}

/* Exactly `digits` hexadecimal digits; what is behind them, or NULL. */
static const char *
parse_hex(const char *text, size_t digits, uint16_t *out)
{
	char number[5];

	if (strspn(text, "0123456789abcdefABCDEF") != digits)
		return NULL;
	memcpy(number, text, digits);
	number[digits] = '\0';
	*out = (uint16_t)strtoul(number, NULL, 16);
	return text + digits;
}

/* ---- Devices ------------------------------------------------------------ */

static bool
is_busid(const char *text)
{
	const size_t bus = strspn(text, "0123456789");

	return bus > 0 && text[bus] == '-' && text[bus + 1] != '\0' &&
	    text[bus + 1 + strspn(text + bus + 1, "0123456789.")] == '\0';
}

bool
scm_identity_parse(struct scm_identity *out, const char *text)
{
	const char *at = parse_hex(text, 4, &out->vendor);

	out->serial = out->busid = "";
	if (at != NULL && *at == ':')
		at = parse_hex(at + 1, 4, &out->product);
	else
		at = NULL;
	if (at == NULL) {
		out->vendor = out->product = 0;
		out->busid = text;
		return is_busid(text);
	}
	if (*at == '\0')
		return true;
	out->serial = at + 1;
	return *at == ':' && at[1] != '\0';
}

/* A copy of the word, or nothing of none; false when out of memory. */
static bool
copy(char **out, const char *word)
{
	if (*word == '\0')
		return true;
	*out = strdup(word);
	return *out != NULL;
}

static int
parse_who(const struct line *l, size_t i, struct scm_who *who,
    struct cause *why)
{
	struct scm_identity id;

	who->any = strcmp(l->words[i].text, "*") == 0;
	if (who->any)
		return 0;
	if (!scm_identity_parse(&id, l->words[i].text))
		return fail_word(l, i, why, "device; write VID:PID or "
		    "VID:PID:SERIAL, as 2fe0:8b01 (lsusb shows them), a "
		    "place, as 1-4.2, or *");
	who->vendor = id.vendor;
	who->product = id.product;
	return copy(&who->serial, id.serial) && copy(&who->busid, id.busid)
	    ? 0
	    : fail_at(l, 1, why, "no memory for it");
}

/* ---- Rules for addresses ------------------------------------------------ */

static int
parse_protocol(const struct line *l, size_t i, struct scm_rule *r,
    struct cause *why)
{
	const char *text = l->words[i].text;

	r->tcp = strcmp(text, "tcp") == 0 || strcmp(text, "*") == 0;
	r->udp = strcmp(text, "udp") == 0 || strcmp(text, "*") == 0;
	return r->tcp || r->udp
	    ? 0
	    : fail_word(l, i, why, "protocol; write tcp, udp, or * for both");
}

static int
parse_where(const struct line *l, size_t i, struct scm_rule *r,
    struct cause *why)
{
	struct cause reason;

	r->everywhere = strcmp(l->words[i].text, "*") == 0;
	if (r->everywhere ||
	    scm_network_parse(&r->network, l->words[i].text, &reason) == 0)
		return 0;
	return cause_set(why, "%.60s:%u:%u: %.160s", l->name, l->number,
	    l->words[i].column, reason.text);
}

/* PORT or FIRST-LAST; what is behind it, or NULL. */
static const char *
parse_range(const char *text, struct scm_ports *ports)
{
	uint64_t first, last;
	const char *at = parse_number(text, 65535, &first);

	last = first;
	if (at != NULL && *at == '-')
		at = parse_number(at + 1, 65535, &last);
	if (at == NULL || first == 0 || first > last)
		return NULL;
	*ports = (struct scm_ports){ (uint16_t)first, (uint16_t)last };
	return at;
}

static int
parse_ports(const struct line *l, size_t i, struct scm_rule *r,
    struct cause *why)
{
	const char *at = l->words[i].text;

	if (strcmp(at, "*") == 0) {
		r->ports[r->port_count++] = (struct scm_ports){ 1, 65535 };
		return 0;
	}
	for (;;) {
		if (r->port_count == SCM_PORTS_MAX)
			return fail_at(l, l->words[i].column, why,
			    "more than 32 ranges of ports; write two lines");
		at = parse_range(at, &r->ports[r->port_count++]);
		if (at == NULL || (*at != ',' && *at != '\0'))
			return fail_word(l, i, why, "list of ports; write "
			    "numbers from 1 to 65535 and ranges, as "
			    "80,443,8000-8100, or *");
		if (*at++ == '\0')
			return 0;
	}
}

static int
parse_addresses(const struct line *l, struct scm_rule *r, struct cause *why)
{
	return parse_protocol(l, 2, r, why) < 0 ||
		parse_where(l, 3, r, why) < 0 || parse_ports(l, 4, r, why) < 0
	    ? -1
	    : 0;
}

/* ---- Other rules -------------------------------------------------------- */

#define K UINT64_C(1024)
#define HOUR_MS UINT64_C(3600000)
static const struct limit {
	const char *name;
	enum scm_limit limit;
	bool is_time, is_bytes;
	uint64_t least, most; /* times in milliseconds */
	const char *remedy;
} limits[] = {
	{ "sockets", SCM_LIMIT_SOCKETS, false, false, 1, SCM_SOCKETS_MAX,
	    "number of sockets; write one from 1 to 128" },
	{ "connects-per-second", SCM_LIMIT_CONNECTS, false, false, 0, 1000000,
	    "number of connects; write one up to 1000000, 0 for no limit" },
	{ "bytes-per-second", SCM_LIMIT_BYTES, false, true, 0, K * K * K * 900,
	    "number of bytes; write one, as 500K or 20M, 0 for no limit" },
	{ "buffered", SCM_LIMIT_BUFFERED, false, true, 64 * K, K * K * K,
	    "number of bytes; write one from 64K to 1G" },
	{ "connect-timeout", SCM_LIMIT_CONNECT_TIMEOUT, true, false, 1000,
	    300000, "time; write one from 1s to 5m" },
	{ "idle-timeout", SCM_LIMIT_IDLE_TIMEOUT, true, false, 0,
	    HOUR_MS * 24 * 7,
	    "time; write one up to 168h, as 90s or 2h, 0 for no limit" },
};

/* What a suffix multiplies with; 0: no suffix of such a limit. */
static uint64_t
unit_of(const struct limit *limit, const char *suffix)
{
	static const struct {
		const char *suffix;
		bool is_time;
		uint64_t factor;
	} units[] = {
		{ "K", false, K }, { "M", false, K * K },
		{ "G", false, K * K * K }, { "", true, 1000 },
		{ "s", true, 1000 }, { "m", true, 60000 },
		{ "h", true, HOUR_MS },
	};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(units[i].suffix, suffix) == 0 &&
		    (units[i].is_time ? limit->is_time : limit->is_bytes))
			return units[i].factor;
	return *suffix == '\0' ? 1 : 0;
}

static int
parse_limit(const struct line *l, struct scm_rule *r, struct cause *why)
{
	const struct limit *limit = NULL;
	const char *suffix;
	uint64_t factor;

	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		if (strcmp(limits[i].name, l->words[2].text) == 0)
			limit = &limits[i];
	if (limit == NULL)
		return fail_word(l, 2, why, "limit; write sockets, "
		    "connects-per-second, bytes-per-second, buffered, "
		    "connect-timeout or idle-timeout");
	r->limit = limit->limit;
	suffix = parse_number(l->words[3].text, K * K * K * K, &r->value);
	factor = suffix != NULL ? unit_of(limit, suffix) : 0;
	if (factor == 0 || r->value > limit->most / factor ||
	    r->value * factor < limit->least)
		return fail_word(l, 3, why, limit->remedy);
	r->value *= factor;
	return 0;
}

static int
parse_dialect(const struct line *l, struct scm_rule *r, struct cause *why)
{
	const bool is_8 = strcmp(l->words[2].text, "8") == 0;

	r->dialect = is_8 ? SCM_8 : SCM_12;
	return is_8 || strcmp(l->words[2].text, "12") == 0
	    ? 0
	    : fail_word(l, 2, why, "dialect; write 8 or 12");
}

static int
parse_port_order(const struct line *l, struct scm_rule *r, struct cause *why)
{
	r->little_addresses = strcmp(l->words[2].text, "little") == 0;
	return r->little_addresses ||
		strcmp(l->words[2].text, "network") == 0
	    ? 0
	    : fail_word(l, 2, why, "order; write network or little");
}

/* CC/SS/PP. */
static int
parse_interface(const struct line *l, struct scm_rule *r, struct cause *why)
{
	const char *at = l->words[2].text;

	for (int i = 0; i < 3 && at != NULL; i++) {
		uint16_t v = 0;

		at = parse_hex(at, 2, &v);
		r->interface[i] = (uint8_t)v;
		if (at != NULL && *at != (i < 2 ? '/' : '\0'))
			at = NULL;
		else if (at != NULL && i < 2)
			at++;
	}
	return at != NULL
	    ? 0
	    : fail_word(l, 2, why, "interface; write its class, subclass and "
		"protocol, as ff/42/01");
}

/* ---- Lines -------------------------------------------------------------- */

static const struct {
	const char *word;
	enum scm_rule_kind kind;
	size_t words;
	int (*parse)(const struct line *l, struct scm_rule *r,
	    struct cause *why);
	const char *form;
} kinds[] = {
	{ "allow", SCM_RULE_ALLOW, 5, parse_addresses,
	    "allow DEVICE PROTOCOL NETWORK PORTS" },
	{ "allow-special", SCM_RULE_ALLOW_SPECIAL, 5, parse_addresses,
	    "allow-special DEVICE PROTOCOL NETWORK PORTS" },
	{ "deny", SCM_RULE_DENY, 5, parse_addresses,
	    "deny DEVICE PROTOCOL NETWORK PORTS" },
	{ "limit", SCM_RULE_LIMIT, 4, parse_limit, "limit DEVICE NAME VALUE" },
	{ "dialect", SCM_RULE_DIALECT, 3, parse_dialect,
	    "dialect DEVICE 8|12" },
	{ "port-order", SCM_RULE_PORT_ORDER, 3, parse_port_order,
	    "port-order DEVICE network|little" },
	{ "interface", SCM_RULE_INTERFACE, 3, parse_interface,
	    "interface DEVICE CLASS/SUBCLASS/PROTOCOL" },
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static int
parse_rule(const struct line *l, struct scm_rule *r, struct cause *why)
{
	size_t k = 0;

	while (k < KIND_COUNT && strcmp(kinds[k].word, l->words[0].text) != 0)
		k++;
	if (k == KIND_COUNT)
		return fail_word(l, 0, why, "rule; write allow, "
		    "allow-special, deny, limit, dialect, port-order or "
		    "interface");
	if (l->count != kinds[k].words)
		return cause_set(why, "%.60s:%u:%u: %zu words, where this rule "
		    "has %zu; write %s", l->name, l->number,
		    l->words[l->count - 1].column, l->count, kinds[k].words,
		    kinds[k].form);
	r->kind = kinds[k].kind;
	r->line = l->number;
	return parse_who(l, 1, &r->who, why) < 0 ||
		kinds[k].parse(l, r, why) < 0
	    ? -1
	    : 0;
}

static int
add_line(struct scm_policy *p, struct line *l, const char *text, size_t len,
    struct cause *why)
{
	struct scm_rule *r;

	if (split_line(l, text, len, why) < 0)
		return -1;
	if (l->count == 0)
		return 0;
	r = calloc(1, sizeof *r);
	if (r == NULL)
		return fail_at(l, 1, why, "no memory for it");
	/* It is the policy's, whatever becomes of it. */
	*p->end = r;
	p->end = &r->next;
	p->count++;
	return parse_rule(l, r, why);
}

struct scm_policy *
scm_policy_new(const char *name, const char *text, size_t len,
    struct cause *why)
{
	struct scm_policy *p = calloc(1, sizeof *p);
	struct line l = { .name = name };

	if (p == NULL || len > SCM_POLICY_TEXT_MAX) {
		cause_set(why, "%.60s: %s", name, p == NULL
			? "no memory for it"
			: "longer than a megabyte, which no list of rules is");
		free(p);
		return NULL;
	}
	snprintf(p->name, sizeof p->name, "%s", name);
	p->end = &p->first;
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		const size_t n = end != NULL ? (size_t)(end - text) : len;

		l.number++;
		if (add_line(p, &l, text, n, why) < 0) {
			scm_policy_free(p);
			return NULL;
		}
		text += n + (end != NULL);
		len -= n + (end != NULL);
	}
	return p;
}

void
scm_policy_free(struct scm_policy *p)
{
	struct scm_rule *r, *next;

	if (p == NULL)
		return;
	for (r = p->first; r != NULL; r = next) {
		next = r->next;
		free(r->who.serial);
		free(r->who.busid);
		free(r);
	}
	free(p);
}
