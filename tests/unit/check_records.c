/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/records.h"
#include "wire/plist_guard.h"

/* Each test has a directory of its own; the store is `lockdown` inside it. */

static char base[64];
static char dir[96];
static struct records *store;

static void
start(void)
{
	strcpy(base, "/tmp/check_records.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(dir, sizeof dir, "%s/lockdown", base);
	store = records_open(dir);
	ck_assert_ptr_nonnull(store);
}

static void
empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char name[512];

	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		unlink(name);
	}
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

static void
stop(void)
{
	records_close(store);
	empty(dir);
	empty(base);
}

static unsigned
files_in(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0;
	if (d != NULL)
		closedir(d);
	return n;
}

static void
put_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	mkdir(dir, 0700);
	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

#define XML(body)                                                       \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">" \
	body "</plist>\n"
#define RECORD XML("<dict><key>HostID</key><string>A</string></dict>")

static void
assert_stored(const char *id, const void *bytes, size_t len)
{
	uint8_t *got;
	size_t got_len;

	ck_assert_int_eq(records_read(store, id, &got, &got_len), 0);
	ck_assert_uint_eq(got_len, len);
	ck_assert_mem_eq(got, bytes, len);
	free(got);
}

START_TEST(what_is_saved_is_read_byte_for_byte)
{
	plist_t dict = plist_new_dict();
	uint32_t len = 0;
	char *bin = NULL;

	ck_assert_int_eq(records_save(store, "00008030-0011", RECORD,
			     strlen(RECORD)), 0);
	assert_stored("00008030-0011", RECORD, strlen(RECORD));

	plist_dict_set_item(dict, "HostID", plist_new_string("B"));
	plist_to_bin(dict, &bin, &len);
	plist_free(dict);
	ck_assert_int_eq(records_save(store, "00008030-0011", bin, len), 0);
	assert_stored("00008030-0011", bin, len);
	plist_to_bin_free(bin);
	ck_assert_uint_eq(files_in(dir), 1);
}
END_TEST

START_TEST(modes_keep_others_out)
{
	char path[256];
	struct stat st;

	umask(0);
	ck_assert_int_eq(records_save(store, "a", RECORD, strlen(RECORD)), 0);
	ck_assert_int_eq(stat(dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	snprintf(path, sizeof path, "%s/a.plist", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(a_missing_record_is_enoent)
{
	uint8_t *bytes;
	size_t len;

	ck_assert_int_eq(records_read(store, "a", &bytes, &len), ENOENT);
	ck_assert_int_eq(records_delete(store, "a"), ENOENT);
	ck_assert_int_eq(records_save(store, "b", RECORD, strlen(RECORD)), 0);
	ck_assert_int_eq(records_read(store, "a", &bytes, &len), ENOENT);
	ck_assert_ptr_null(bytes);
	ck_assert_int_eq(records_delete(store, "b"), 0);
	ck_assert_int_eq(records_read(store, "b", &bytes, &len), ENOENT);
}
END_TEST

static const char *const bad_ids[] = { "", ".", "..", "../x", "a/b", "/etc/x",
	"a.b", "a b", "a\n", "a\x01", "\xc3\xa4", "a\\b", "%2e", "a:b",
	"SystemConfiguration", "systemconfiguration",
	/* 65 characters */
	"01234567890123456789012345678901234567890123456789012345678901234" };

START_TEST(an_id_that_can_be_none_touches_no_file)
{
	const char *id = bad_ids[_i];
	uint8_t *bytes;
	size_t len;

	put_file("SystemConfiguration.plist", RECORD);
	ck_assert_int_eq(records_save(store, id, RECORD, strlen(RECORD)),
	    EINVAL);
	ck_assert_int_eq(records_read(store, id, &bytes, &len), EINVAL);
	ck_assert_int_eq(records_delete(store, id), EINVAL);
	ck_assert_uint_eq(files_in(dir), 1);
	ck_assert_uint_eq(files_in(base), 1);
}
END_TEST

START_TEST(the_longest_id_passes)
{
	const char *id = "0123456789012345678901234567890123456789"
			 "ABCDEFGHIJKLMNOPQRSTUVW-";

	ck_assert_uint_eq(strlen(id), RECORDS_ID_MAX);
	ck_assert_int_eq(records_save(store, id, RECORD, strlen(RECORD)), 0);
	assert_stored(id, RECORD, strlen(RECORD));
}
END_TEST

static const char *const bad_records[] = { "", "x", "bplist00", "<plist>",
	XML("<string>a</string>"), XML("<array></array>"),
	XML("<dict><dict>") };

START_TEST(what_is_no_dictionary_is_refused)
{
	const char *bad = bad_records[_i];

	ck_assert_int_eq(records_save(store, "a", RECORD, strlen(RECORD)), 0);
	ck_assert_int_eq(records_save(store, "a", bad, strlen(bad)), EINVAL);
	assert_stored("a", RECORD, strlen(RECORD));
	ck_assert_uint_eq(files_in(dir), 1);
}
END_TEST

START_TEST(a_record_may_not_be_huge)
{
	char *big = malloc(RECORDS_SIZE_MAX + 1);

	memset(big, ' ', RECORDS_SIZE_MAX + 1);
	ck_assert_int_eq(records_save(store, "a", big, RECORDS_SIZE_MAX + 1),
	    EFBIG);
	free(big);
}
END_TEST

START_TEST(a_full_disk_leaves_the_old_record)
{
	const struct rlimit small = { 4096, 4096 };
	const size_t len = 16384;
	char *big = malloc(len);

	ck_assert_int_eq(records_save(store, "a", RECORD, strlen(RECORD)), 0);
	memset(big, ' ', len);
	memcpy(big, RECORD, strlen(RECORD));
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(records_save(store, "a", big, len), EFBIG);
	assert_stored("a", RECORD, strlen(RECORD));
	ck_assert_uint_eq(files_in(dir), 1); /* and nothing half written */
	free(big);
}
END_TEST

START_TEST(a_link_or_a_fifo_is_no_record)
{
	char path[256];
	uint8_t *bytes;
	size_t len;

	put_file("real", "secret");
	snprintf(path, sizeof path, "%s/a.plist", dir);
	ck_assert_int_eq(symlink("real", path), 0);
	ck_assert_int_eq(records_read(store, "a", &bytes, &len), ELOOP);
	snprintf(path, sizeof path, "%s/b.plist", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(records_read(store, "b", &bytes, &len), EINVAL);
	/* Saving replaces the link, and not what it leads to. */
	ck_assert_int_eq(records_save(store, "a", RECORD, strlen(RECORD)), 0);
	assert_stored("a", RECORD, strlen(RECORD));
}
END_TEST

static void
assert_uuid4(const char *s)
{
	ck_assert_uint_eq(strlen(s), 36);
	for (unsigned i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23)
			ck_assert_int_eq(s[i], '-');
		else
			ck_assert_ptr_nonnull(strchr("0123456789ABCDEF", s[i]));
	}
	ck_assert_int_eq(s[14], '4');
	ck_assert_ptr_nonnull(strchr("89AB", s[19]));
}

START_TEST(the_buid_is_made_once)
{
	char first[RECORDS_BUID_MAX], again[RECORDS_BUID_MAX];

	ck_assert_int_eq(records_buid(store, first), 0);
	assert_uuid4(first);
	ck_assert_int_eq(records_buid(store, again), 0);
	ck_assert_str_eq(first, again);
	records_close(store);
	store = records_open(dir);
	ck_assert_int_eq(records_buid(store, again), 0);
	ck_assert_str_eq(first, again);
}
END_TEST

START_TEST(an_existing_buid_is_kept)
{
	char buid[RECORDS_BUID_MAX];

	put_file("SystemConfiguration.plist",
	    XML("<dict><key>SystemBUID</key><string>MINE-1</string></dict>"));
	ck_assert_int_eq(records_buid(store, buid), 0);
	ck_assert_str_eq(buid, "MINE-1");
}
END_TEST

START_TEST(other_keys_of_the_hosts_file_stay)
{
	char buid[RECORDS_BUID_MAX], path[256], text[1024] = "";
	FILE *f;

	put_file("SystemConfiguration.plist",
	    XML("<dict><key>HostID</key><string>keep me</string></dict>"));
	ck_assert_int_eq(records_buid(store, buid), 0);
	snprintf(path, sizeof path, "%s/SystemConfiguration.plist", dir);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(text, 1, sizeof text - 1, f), 0);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "keep me"));
	ck_assert_ptr_nonnull(strstr(text, buid));
}
END_TEST

static void
quiet(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

START_TEST(a_damaged_hosts_file_is_set_aside)
{
	char buid[RECORDS_BUID_MAX];

	log_set_sink(quiet);
	put_file("SystemConfiguration.plist", "\x01garbage");
	ck_assert_int_eq(records_buid(store, buid), 0);
	assert_uuid4(buid);
	ck_assert_uint_eq(files_in(dir), 2);
}
END_TEST

START_TEST(a_directory_that_cannot_be_made_is_an_error)
{
	char buid[RECORDS_BUID_MAX];

	records_close(store);
	store = records_open("/nonexistent/lockdown");
	ck_assert_int_eq(records_buid(store, buid), ENOENT);
	ck_assert_int_eq(records_save(store, "a", RECORD, strlen(RECORD)),
	    ENOENT);
}
END_TEST

#define WRITERS 4
#define ROUNDS 50

struct writer_arg {
	char text[256];
	char buid[RECORDS_BUID_MAX];
	int bad;
};

static void *
write_and_read(void *arg)
{
	struct writer_arg *w = arg;
	uint8_t *bytes;
	size_t len;

	w->bad += records_buid(store, w->buid) != 0;
	for (int i = 0; i < ROUNDS; i++) {
		w->bad += records_save(store, "same", w->text,
			      strlen(w->text)) != 0;
		if (records_read(store, "same", &bytes, &len) != 0) {
			w->bad++;
			continue;
		}
		/* Some writer's record, whole. */
		w->bad += len != strlen(w->text) ||
		    memcmp(bytes + len - 9, "</plist>\n", 9) != 0;
		free(bytes);
	}
	return NULL;
}

START_TEST(many_threads_see_whole_records)
{
	struct writer_arg args[WRITERS] = { 0 };
	pthread_t threads[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		snprintf(args[i].text, sizeof args[i].text,
		    XML("<dict><key>H</key><string>%d</string></dict>"), i);
		pthread_create(&threads[i], NULL, write_and_read, &args[i]);
	}
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(args[i].bad, 0);
		ck_assert_str_eq(args[i].buid, args[0].buid);
	}
	ck_assert_uint_eq(files_in(dir), 2);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

int
main(void)
{
	Suite *s = suite_create("daemon/records");
	TCase *tc = tcase_create("store");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, what_is_saved_is_read_byte_for_byte);
	tcase_add_test(tc, modes_keep_others_out);
	tcase_add_test(tc, a_missing_record_is_enoent);
	tcase_add_loop_test(tc, an_id_that_can_be_none_touches_no_file, 0,
	    COUNT(bad_ids));
	tcase_add_test(tc, the_longest_id_passes);
	tcase_add_loop_test(tc, what_is_no_dictionary_is_refused, 0,
	    COUNT(bad_records));
	tcase_add_test(tc, a_record_may_not_be_huge);
	tcase_add_test(tc, a_full_disk_leaves_the_old_record);
	tcase_add_test(tc, a_link_or_a_fifo_is_no_record);
	tcase_add_test(tc, the_buid_is_made_once);
	tcase_add_test(tc, an_existing_buid_is_kept);
	tcase_add_test(tc, other_keys_of_the_hosts_file_stay);
	tcase_add_test(tc, a_damaged_hosts_file_is_set_aside);
	tcase_add_test(tc, a_directory_that_cannot_be_made_is_an_error);
	tcase_add_test(tc, many_threads_see_whole_records);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
