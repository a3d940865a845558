/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/records.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h> /* getentropy() */
#endif

#include "base/log.h"
#include "wire/plist_guard.h"

#define SYSTEM_NAME "SystemConfiguration"
#define SYSTEM_FILE SYSTEM_NAME ".plist"
#define BUID_KEY "SystemBUID"
#define FILE_NAME_MAX (RECORDS_ID_MAX + sizeof ".plist")

struct records {
	char *dir;
	pthread_mutex_t lock; /* for the field below, and while it is made */
	char buid[RECORDS_BUID_MAX]; /* "" until known */
};

struct records *
records_open(const char *dir)
{
	struct records *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->dir = strdup(dir);
	if (r->dir == NULL) {
		free(r);
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

const char *
records_directory(const struct records *r)
{
	return r->dir;
}

void
records_close(struct records *r)
{
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r->dir);
	free(r);
}

/* ---- Names ---- */

static bool
id_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') || c == '-';
}

/* The file of record `id`; EINVAL when that can be no record. */
static int
file_name(char out[FILE_NAME_MAX], const char *id)
{
	const size_t len = strnlen(id, RECORDS_ID_MAX + 1);

	/* Without regard to case, as some file systems compare names. */
	if (len == 0 || len > RECORDS_ID_MAX ||
	    strcasecmp(id, SYSTEM_NAME) == 0)
		return EINVAL;
	for (size_t i = 0; i < len; i++)
		if (!id_char(id[i]))
			return EINVAL;
	snprintf(out, FILE_NAME_MAX, "%s.plist", id);
	return 0;
}

/* ---- Files ---- */

/* The directory's descriptor, or -1 and errno. */
static int
open_dir(const struct records *r, bool make)
{
	if (make && mkdir(r->dir, 0700) < 0 && errno != EEXIST)
		return -1;
	return open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
read_all(int fd, uint8_t *into, size_t len)
{
	while (len > 0) {
		const ssize_t n = read(fd, into, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* shorter than it was a moment ago */
			return n < 0 ? errno : EIO;
		into += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
read_open_file(int fd, uint8_t **bytes, size_t *len)
{
	struct stat st;
	int error;

	if (fstat(fd, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	if (st.st_size > RECORDS_SIZE_MAX)
		return EFBIG;
	*len = (size_t)st.st_size;
	*bytes = malloc(*len > 0 ? *len : 1);
	if (*bytes == NULL)
		return ENOMEM;
	error = read_all(fd, *bytes, *len);
	if (error != 0) {
		free(*bytes);
		*bytes = NULL;
	}
	return error;
}

static int
read_file(const struct records *r, const char *name, uint8_t **bytes,
    size_t *len)
{
	const int dir = open_dir(r, false);
	int fd, error;

	if (dir < 0)
		return errno;
	/* Not to be led elsewhere by a link, nor to wait for a FIFO. */
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	error = fd < 0 ? errno : read_open_file(fd, bytes, len);
	if (fd >= 0)
		close(fd);
	close(dir);
	return error;
}

/* Writes, syncs and closes `fd`. */
static int
write_out(int fd, const uint8_t *bytes, size_t len)
{
	int error = 0;

	while (len > 0 && error == 0) {
		const ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno != EINTR)
			error = errno;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	if (error == 0 && fsync(fd) < 0)
		error = errno;
	/* Some file systems report a full disk only here. */
	if (close(fd) < 0 && error == 0)
		error = errno;
	return error;
}

static int
replace_in(int dir, const char *name, const void *bytes, size_t len)
{
	char fresh[32];
	uint64_t random;
	int fd, error;

	/* A name of its own, so that writers need not wait for one another. */
	if (getentropy(&random, sizeof random) < 0)
		return errno;
	snprintf(fresh, sizeof fresh, ".new-%016llx",
	    (unsigned long long)random);
	fd = openat(dir, fresh,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	error = write_out(fd, bytes, len);
	if (error == 0 && renameat(dir, fresh, dir, name) < 0)
		error = errno;
	if (error != 0)
		unlinkat(dir, fresh, 0);
	else
		fsync(dir); /* best effort: the record is complete by now */
	return error;
}

static int
replace_file(const struct records *r, const char *name, const void *bytes,
    size_t len)
{
	const int dir = open_dir(r, true);
	int error;

	if (dir < 0)
		return errno;
	error = replace_in(dir, name, bytes, len);
	close(dir);
	return error;
}

/* ---- Records ---- */

int
records_read(struct records *r, const char *id, uint8_t **bytes, size_t *len)
{
	char name[FILE_NAME_MAX];
	const int error = file_name(name, id);

	*bytes = NULL;
	*len = 0;
	return error != 0 ? error : read_file(r, name, bytes, len);
}

int
records_save(struct records *r, const char *id, const void *bytes, size_t len)
{
	char name[FILE_NAME_MAX];
	const int error = file_name(name, id);
	plist_t dict;

	if (error != 0)
		return error;
	if (len > RECORDS_SIZE_MAX)
		return EFBIG;
	dict = plist_guard_parse(bytes, len, PLIST_LIMITS_RECORD);
	if (dict == NULL)
		return EINVAL;
	plist_free(dict);
	return replace_file(r, name, bytes, len);
}

int
records_delete(struct records *r, const char *id)
{
	char name[FILE_NAME_MAX];
	int error = file_name(name, id);
	int dir;

	if (error != 0)
		return error;
	dir = open_dir(r, false);
	if (dir < 0)
		return errno;
	if (unlinkat(dir, name, 0) < 0)
		error = errno;
	else
		fsync(dir);
	close(dir);
	return error;
}

/* ---- The host's BUID ---- */

/* A random UUID (RFC 4122, version 4) in upper case. */
static int
make_uuid(char out[RECORDS_BUID_MAX])
{
	uint8_t b[16];
	char *at = out;

	if (getentropy(b, sizeof b) < 0)
		return errno;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		at += sprintf(at, "%02X", b[i]);
	}
	return 0;
}

static void
keep_damaged(const struct records *r)
{
	const int dir = open_dir(r, false);

	if (dir < 0)
		return;
	log_warning("%s/%s is no property list; it is kept as %s.damaged and "
	    "a new BUID is made: phones will ask whether to trust this host",
	    r->dir, SYSTEM_FILE, SYSTEM_FILE);
	renameat(dir, SYSTEM_FILE, dir, SYSTEM_FILE ".damaged");
	close(dir);
}

/* The dictionary of the host's file, an empty one when there is none, or NULL
 * and *error. */
static plist_t
read_system(const struct records *r, int *error)
{
	uint8_t *bytes = NULL;
	plist_t dict;
	size_t len;

	*error = read_file(r, SYSTEM_FILE, &bytes, &len);
	if (*error == ENOENT) {
		*error = 0;
		return plist_new_dict();
	}
	if (*error != 0)
		return NULL;
	/* The host's own file may hold more than a record does. */
	dict = plist_guard_parse(bytes, len, PLIST_LIMITS_REPLY);
	free(bytes);
	if (dict == NULL) {
		keep_damaged(r);
		dict = plist_new_dict();
	}
	return dict;
}

/* Takes the BUID out of `dict`; false when there is none to be taken. */
static bool
take_buid(struct records *r, plist_t dict)
{
	const plist_t node = plist_dict_get_item(dict, BUID_KEY);
	const char *text;

	if (node == NULL || plist_get_node_type(node) != PLIST_STRING)
		return false;
	text = plist_get_string_ptr(node, NULL);
	if (text == NULL || *text == '\0' || strlen(text) >= sizeof r->buid)
		return false;
	strcpy(r->buid, text);
	return true;
}

static int
make_buid(struct records *r, plist_t dict)
{
	char uuid[RECORDS_BUID_MAX];
	char *xml = NULL;
	uint32_t len = 0;
	int error = make_uuid(uuid);

	if (error != 0)
		return error;
	plist_dict_set_item(dict, BUID_KEY, plist_new_string(uuid));
	plist_to_xml(dict, &xml, &len);
	if (xml == NULL)
		return ENOMEM;
	error = replace_file(r, SYSTEM_FILE, xml, len);
	plist_to_xml_free(xml);
	if (error == 0)
		strcpy(r->buid, uuid);
	return error;
}

int
records_buid(struct records *r, char out[RECORDS_BUID_MAX])
{
	plist_t dict;
	int error = 0;

	pthread_mutex_lock(&r->lock);
	if (r->buid[0] == '\0') {
		dict = read_system(r, &error);
		if (dict != NULL && !take_buid(r, dict))
			error = make_buid(r, dict);
		plist_free(dict);
	}
	if (error == 0)
		strcpy(out, r->buid);
	pthread_mutex_unlock(&r->lock);
	return error;
}
