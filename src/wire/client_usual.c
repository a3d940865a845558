/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Connect and its Result as practically all programs write them, without
 * libplist, whose many small allocations are most of what a connection costs the
 * processor.
 *
 * What is read here is what libplist would read of the same bytes.  So only the
 * plainest form is taken: the usual prologue, one dictionary of known keys, each
 * once, texts of printable ASCII without entities, small decimal numbers.
 * Anything else, however legal, is left to libplist.
 */

#include <stdio.h>

#include "wire/client_int.h"

#define XML_DECLARATION "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define XML_DOCTYPE                                               \
	"<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" " \
	"\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">"
#define XML_PLIST "<plist version=\"1.0\">"

/* Decimal digits of a number that fits 32 bits whatever they are. */
#define DIGITS_MAX 9

enum field {
	BUNDLE_ID,
	VERSION,
	MESSAGE_TYPE,
	PROG_NAME,
	FIRST_NUMBER,
	CONN_TYPE = FIRST_NUMBER,
	DEVICE_ID,
	PORT_NUMBER,
	PROCESS_ID,
	LIB_VERSION,
	FIELDS,
};

static const char *const keys[FIELDS] = {
	[BUNDLE_ID] = "BundleID",
	[VERSION] = "ClientVersionString",
	[MESSAGE_TYPE] = "MessageType",
	[PROG_NAME] = "ProgName",
	[CONN_TYPE] = "ConnType",
	[DEVICE_ID] = "DeviceID",
	[PORT_NUMBER] = "PortNumber",
	[PROCESS_ID] = "ProcessID",
	[LIB_VERSION] = "kLibUSBMuxVersion",
};

/* Where a value's characters lie; none: it has not been there. */
struct slice {
	const uint8_t *at;
	size_t len;
};

static bool
slice_is(const struct slice *s, const char *text)
{
	return s->len == strlen(text) && memcmp(s->at, text, s->len) == 0;
}

static void
skip_space(struct reader *r)
{
	while (reader_left(r) > 0 && (*r->at == ' ' || *r->at == '\t' ||
	    *r->at == '\n' || *r->at == '\r'))
		read_u8(r);
}

/* Passes `text`, if that comes next. */
static bool
skip(struct reader *r, const char *text)
{
	const size_t len = strlen(text);

	if (reader_left(r) < len || memcmp(r->at, text, len) != 0)
		return false;
	read_bytes(r, len);
	return true;
}

static bool
is_plain(uint8_t c)
{
	return c >= ' ' && c <= '~' && c != '<' && c != '>' && c != '&';
}

/* Characters up to the next tag; at least one, and none that somebody might
 * trim. */
static bool
read_slice(struct reader *r, struct slice *s)
{
	s->at = r->at;
	while (reader_left(r) > 0 && is_plain(*r->at))
		read_u8(r);
	s->len = (size_t)(r->at - s->at);
	return s->len > 0 && s->at[0] != ' ' && s->at[s->len - 1] != ' ';
}

static bool
is_number(const struct slice *s)
{
	for (size_t i = 0; i < s->len; i++)
		if (s->at[i] < '0' || s->at[i] > '9')
			return false;
	/* With a zero before it, it is octal to some. */
	return s->len <= DIGITS_MAX && (s->len == 1 || s->at[0] != '0');
}

static uint32_t
number(const struct slice *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->len; i++)
		n = n * 10 + (uint32_t)(s->at[i] - '0');
	return n;
}

/* FIELDS: a key that is not known. */
static unsigned
read_key(struct reader *r)
{
	struct slice key;
	unsigned f = 0;

	if (!skip(r, "<key>") || !read_slice(r, &key) || !skip(r, "</key>"))
		return FIELDS;
	while (f < FIELDS && !slice_is(&key, keys[f]))
		f++;
	return f;
}

static bool
read_field(struct reader *r, struct slice fields[FIELDS])
{
	const unsigned f = read_key(r);
	const bool text = f < FIRST_NUMBER;

	if (f == FIELDS || fields[f].len > 0)
		return false;
	skip_space(r);
	return skip(r, text ? "<string>" : "<integer>") &&
	    read_slice(r, &fields[f]) &&
	    skip(r, text ? "</string>" : "</integer>") &&
	    (text || is_number(&fields[f]));
}

static bool
read_fields(struct reader *r, struct slice fields[FIELDS])
{
	static const char *const prologue[] = { XML_DECLARATION, XML_DOCTYPE,
		XML_PLIST, "<dict>" };

	for (size_t i = 0; i < sizeof prologue / sizeof prologue[0]; i++) {
		if (!skip(r, prologue[i]))
			return false;
		skip_space(r);
	}
	while (!skip(r, "</dict>")) {
		if (!read_field(r, fields))
			return false;
		skip_space(r);
	}
	skip_space(r);
	if (!skip(r, "</plist>"))
		return false;
	skip_space(r);
	return reader_left(r) == 0;
}

static void
copy_text(char out[CLIENT_TEXT_MAX], const struct slice *s)
{
	const size_t len = s->len < CLIENT_TEXT_MAX ? s->len
						    : CLIENT_TEXT_MAX - 1;

	if (len > 0)
		memcpy(out, s->at, len);
	out[len] = '\0';
}

bool
client_usual_connect(struct client_request *out, const void *payload,
    size_t len)
{
	struct reader r = reader_over(payload, len);
	struct slice fields[FIELDS] = { { NULL, 0 } };

	if (!read_fields(&r, fields) ||
	    !slice_is(&fields[MESSAGE_TYPE], "Connect") ||
	    fields[DEVICE_ID].len == 0 || fields[PORT_NUMBER].len == 0)
		return false;
	out->kind = CLIENT_CONNECT;
	out->device_id = number(&fields[DEVICE_ID]);
	out->port = client_port(number(&fields[PORT_NUMBER]));
	copy_text(out->info.prog_name, &fields[PROG_NAME]);
	copy_text(out->info.bundle_id, &fields[BUNDLE_ID]);
	copy_text(out->info.version, &fields[VERSION]);
	out->info.lib_version = number(&fields[LIB_VERSION]);
	out->info.process_id = number(&fields[PROCESS_ID]);
	out->info.conn_type = number(&fields[CONN_TYPE]);
	return true;
}

/* As libplist writes it, to the byte. */
struct client_frame
client_usual_result(uint32_t tag, uint32_t result)
{
	char text[512];
	struct writer w;
	const int len = snprintf(text, sizeof text,
	    XML_DECLARATION "\n" XML_DOCTYPE "\n" XML_PLIST "\n"
	    "<dict>\n"
	    "\t<key>MessageType</key>\n"
	    "\t<string>Result</string>\n"
	    "\t<key>Number</key>\n"
	    "\t<integer>%u</integer>\n"
	    "</dict>\n"
	    "</plist>\n", result);
	const struct client_frame frame = client_frame_new(
	    USBMUX_VERSION_PLIST, USBMUX_PLIST, tag, (size_t)len, &w);

	write_bytes(&w, text, (size_t)len);
	return frame;
}
