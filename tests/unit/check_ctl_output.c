/* SPDX-License-Identifier: GPL-3.0-or-later */

/* muxctl's output: numbers, texts of strangers, columns, JSON, views. */

#include <locale.h>
#include <plist/plist.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/columns.h"
#include "ctl/format.h"
#include "ctl/plist_json.h"
#include "ctl/view.h"
#include "unit.h"

static char out[FORMAT_MAX];

/* ---- Numbers ---- */

START_TEST(bytes)
{
	ck_assert_str_eq(format_bytes(out, 0), "0");
	ck_assert_str_eq(format_bytes(out, 1023), "1023");
	ck_assert_str_eq(format_bytes(out, 1024), "1.0K");
	ck_assert_str_eq(format_bytes(out, 10239), "9.9K");
	ck_assert_str_eq(format_bytes(out, 10240), "10K");
	ck_assert_str_eq(format_bytes(out, 1048575), "1023K");
	ck_assert_str_eq(format_bytes(out, 1048576), "1.0M");
	ck_assert_str_eq(format_bytes(out, 67108864), "64M");
	ck_assert_str_eq(format_bytes(out, 3650722202), "3.4G");
	ck_assert_str_eq(format_bytes(out, 1099511627776), "1.0T");
	ck_assert_str_eq(format_bytes(out, UINT64_MAX), "15E");
}
END_TEST

START_TEST(speed)
{
	ck_assert_str_eq(format_speed(out, 1500000), "1.5M");
	ck_assert_str_eq(format_speed(out, 12000000), "12M");
	ck_assert_str_eq(format_speed(out, 480000000), "480M");
	ck_assert_str_eq(format_speed(out, 5000000000), "5G");
	ck_assert_str_eq(format_speed(out, 10000000000), "10G");
	ck_assert_str_eq(format_speed(out, 999), "999");
	ck_assert_str_eq(format_speed(out, UINT64_MAX), "18.4E");
}
END_TEST

START_TEST(port_path)
{
	ck_assert_str_eq(format_port_path(out, 0x01420000), "1-4.2");
	ck_assert_str_eq(format_port_path(out, 0x02100000), "2-1");
	ck_assert_str_eq(format_port_path(out, 0x14f12345), "20-15.1.2.3.4.5");
	ck_assert_str_eq(format_port_path(out, 0xffffffff),
	    "255-15.15.15.15.15.15");
	ck_assert_str_eq(format_port_path(out, 0x03000000), "3");
	/* What follows a port that is none is no port's either. */
	ck_assert_str_eq(format_port_path(out, 0x01402000), "1-4");
	ck_assert_str_eq(format_port_path(out, 0), "0");
}
END_TEST

START_TEST(duration)
{
	ck_assert_str_eq(format_duration(out, 999), "0s");
	ck_assert_str_eq(format_duration(out, 59999), "59s");
	ck_assert_str_eq(format_duration(out, 60000), "1m 0s");
	ck_assert_str_eq(format_duration(out, 3599999), "59m 59s");
	ck_assert_str_eq(format_duration(out, 3600000), "1h 0m");
	ck_assert_str_eq(format_duration(out, 86399999), "23h 59m");
	ck_assert_str_eq(format_duration(out, 100 * 3600000), "4d 4h");
	ck_assert_str_eq(format_duration(out, UINT64_MAX),
	    "213503982334d 14h");
}
END_TEST

/* ---- Texts ---- */

static void
assert_printable(const char *in, const char *wanted, size_t columns)
{
	size_t width;
	char *got = format_printable(in, &width);

	ck_assert_str_eq(got, wanted);
	ck_assert_uint_eq(width, columns);
	free(got);
}

START_TEST(nothing_reaches_the_terminal_that_it_obeys)
{
	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
	assert_printable("", "", 0);
	assert_printable("idevice_id -l", "idevice_id -l", 13);
	assert_printable("\033[2J\a\n\t\r\x7f", "?[2J?????", 9);
	/* U+009B, the other CSI; U+202E, right to left; U+0301, combining. */
	assert_printable("a\xc2\x9b" "b", "a?b", 3);
	assert_printable("a\xe2\x80\xae" "b", "a?b", 3);
	assert_printable("e\xcc\x81", "e?", 2);
	/* No characters: each byte by itself. */
	assert_printable("\xff\xc3", "??", 2);
	assert_printable("\xed\xa0\x80", "???", 3);
	/* Characters, of one column and of two. */
	assert_printable("T\xc3\xa9l\xc3\xa9", "T\xc3\xa9l\xc3\xa9", 4);
	assert_printable("\xe6\xbc\xa2", "\xe6\xbc\xa2", 2);
}
END_TEST

START_TEST(a_terminal_without_utf8_gets_ascii)
{
	setlocale(LC_CTYPE, "C");
	assert_printable("T\xc3\xa9l", "T??l", 4);
}
END_TEST

/* ---- Columns ---- */

static void
assert_prints(struct columns *t, const char *wanted)
{
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	ck_assert(columns_print(t, to));
	fclose(to);
	ck_assert_str_eq(text, wanted);
	free(text);
	columns_free(t);
}

START_TEST(columns_are_as_wide_as_what_is_in_them)
{
	struct columns *t = columns_new(3);

	columns_left(t, "NAME");
	columns_right(t, "N");
	columns_left(t, "LAST");
	columns_left(t, "x");
	columns_right(t, "12345");
	columns_left(t, "a long text");
	columns_left(t, "longer");
	columns_right(t, "7");
	columns_left(t, "y");
	assert_prints(t, "NAME        N  LAST\n"
			 "x       12345  a long text\n"
			 "longer      7  y\n");
}
END_TEST

START_TEST(cells_are_never_empty)
{
	struct columns *t = columns_new(2);

	columns_left(t, NULL);
	columns_right(t, "");
	columns_left(t, "\n");
	columns_right(t, "12");
	assert_prints(t, "-   -\n?  12\n");
}
END_TEST

START_TEST(columns_count_what_the_terminal_shows)
{
	struct columns *t = columns_new(2);

	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
	columns_left(t, "\xc3\xa9");
	columns_left(t, "1");
	columns_left(t, "\xe6\xbc\xa2");
	columns_left(t, "2");
	columns_left(t, "ab");
	columns_left(t, "3");
	assert_prints(t, "\xc3\xa9   1\n\xe6\xbc\xa2  2\nab  3\n");
}
END_TEST

START_TEST(many_rows_and_half_a_row)
{
	struct columns *t = columns_new(2);
	char wanted[5 * 1000 + 1];

	for (int i = 0; i < 1000; i++) {
		columns_left(t, "a");
		columns_right(t, "b");
		memcpy(wanted + 5 * i, "a  b\n", 6);
	}
	columns_left(t, "c");
	assert_prints(t, wanted);
}
END_TEST

/* ---- JSON ---- */

static void
assert_key(const char *key, const char *wanted)
{
	char name[PLIST_JSON_KEY_MAX];

	ck_assert_str_eq(plist_json_key(name, key), wanted);
}

START_TEST(keys_are_lower_camel)
{
	char longest[200], name[PLIST_JSON_KEY_MAX];

	assert_key("ID", "id");
	assert_key("UDID", "udid");
	assert_key("PID", "pid");
	assert_key("Program", "program");
	assert_key("LocationID", "locationID");
	assert_key("TxZLPs", "txZLPs");
	assert_key("UptimeMS", "uptimeMS");
	assert_key("USBPort", "usbPort");
	assert_key("already", "already");
	assert_key("X", "x");
	assert_key("", "");
	memset(longest, 'a', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	ck_assert_uint_eq(strlen(plist_json_key(name, longest)),
	    PLIST_JSON_KEY_MAX - 1);
}
END_TEST

static void
assert_json(plist_t node, const char *wanted)
{
	struct json j;

	json_init(&j);
	plist_json_value(&j, NULL, node);
	ck_assert_str_eq(json_text(&j), wanted);
	json_fini(&j);
	plist_free(node);
}

START_TEST(every_kind_of_value)
{
	plist_t dict = plist_new_dict(), array = plist_new_array(),
		inner = plist_new_dict();

	plist_array_append_item(array, plist_new_uint(1));
	plist_array_append_item(array, plist_new_string("a\"\033"));
	plist_dict_set_item(inner, "Deep", array);
	plist_dict_set_item(dict, "RxBytes", plist_new_uint(UINT64_MAX));
	plist_dict_set_item(dict, "Yes", plist_new_bool(1));
	plist_dict_set_item(dict, "No", plist_new_bool(0));
	plist_dict_set_item(dict, "UDID", plist_new_string(""));
	plist_dict_set_item(dict, "Inner", inner);
	plist_dict_set_item(dict, "Empty", plist_new_array());
	plist_dict_set_item(dict, "None", plist_new_dict());
	plist_dict_set_item(dict, "Data", plist_new_data("abc", 3));
	assert_json(dict, "{\"rxBytes\":18446744073709551615,\"yes\":true,"
			  "\"no\":false,\"udid\":\"\",\"inner\":"
			  "{\"deep\":[1,\"a\\\"\\u001b\"]},\"empty\":[],"
			  "\"none\":{},\"data\":null}");
}
END_TEST

/* ---- Views ---- */

static bool
is_wanted(plist_t row)
{
	return plist_dict_get_item(row, "Unwanted") == NULL;
}

static const struct view_column columns[] = {
	{ "ID", "ID", VIEW_KNOWN },
	{ "NAME", "Name", VIEW_TEXT },
	{ "BYTES", "Bytes", VIEW_BYTES },
	{ "PRODUCT", "Product", VIEW_PRODUCT },
	{ "WHERE", "Location", VIEW_PORT_PATH },
	{ "LOCATION", "Location", VIEW_LOCATION },
	{ "SPEED", "Speed", VIEW_SPEED },
	{ "UP", "Up", VIEW_DURATION },
	{ "N", "N", VIEW_NUMBER },
};
static const struct view view = { .table = "Rows", .order = "ID",
	.wants = is_wanted, VIEW_COLUMNS(columns) };

static plist_t
row(uint64_t id, const char *name)
{
	plist_t dict = plist_new_dict();

	plist_dict_set_item(dict, "ID", plist_new_uint(id));
	plist_dict_set_item(dict, "Name", plist_new_string(name));
	return dict;
}

static plist_t
status_of_rows(void)
{
	plist_t status = plist_new_dict(), rows = plist_new_array(),
		full = row(2, "two"), unwanted = row(1, "unwanted"),
		wrong = row(4, "four");

	plist_dict_set_item(full, "Bytes", plist_new_uint(2048));
	plist_dict_set_item(full, "Product", plist_new_uint(0x12a8));
	plist_dict_set_item(full, "Location", plist_new_uint(0x01420000));
	plist_dict_set_item(full, "Speed", plist_new_uint(480000000));
	plist_dict_set_item(full, "Up", plist_new_uint(61000));
	plist_dict_set_item(full, "N", plist_new_uint(0));
	plist_dict_set_item(unwanted, "Unwanted", plist_new_bool(1));
	plist_dict_set_item(wrong, "N", plist_new_string("no number"));
	plist_array_append_item(rows, row(0, "later"));
	plist_array_append_item(rows, wrong);
	plist_array_append_item(rows, row(0, "last"));
	plist_array_append_item(rows, unwanted);
	plist_array_append_item(rows, plist_new_string("no row"));
	plist_array_append_item(rows, full);
	plist_dict_set_item(status, "Rows", rows);
	return status;
}

START_TEST(a_view_selects_orders_and_formats)
{
	plist_t status = status_of_rows();
	struct view_rows rows;
	struct json j;
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	ck_assert(view_select(&rows, &view, status));
	ck_assert_uint_eq(rows.count, 4);
	ck_assert(view_print(&view, &rows, to));
	fclose(to);
	ck_assert_str_eq(text,
	    "ID  NAME   BYTES  PRODUCT  WHERE  LOCATION    SPEED     UP  N\n"
	    " 2  two     2.0K  12a8     1-4.2  0x01420000   480M  1m 1s  0\n"
	    " 4  four       -  -        -      -               -      -  -\n"
	    " -  later      -  -        -      -               -      -  -\n"
	    " -  last       -  -        -      -               -      -  -\n");
	free(text);
	json_init(&j);
	view_json(&j, &rows);
	ck_assert_str_eq(json_text(&j),
	    "[{\"id\":2,\"name\":\"two\",\"bytes\":2048,\"product\":4776,"
	    "\"location\":21102592,\"speed\":480000000,\"up\":61000,\"n\":0},"
	    "{\"id\":4,\"name\":\"four\",\"n\":\"no number\"},"
	    "{\"id\":0,\"name\":\"later\"},{\"id\":0,\"name\":\"last\"}]");
	json_fini(&j);
	view_rows_fini(&rows);
	plist_free(status);
}
END_TEST

START_TEST(a_table_that_is_missing_is_empty)
{
	plist_t status = plist_new_dict();
	struct view_rows rows;

	ck_assert(view_select(&rows, &view, status));
	ck_assert_uint_eq(rows.count, 0);
	view_rows_fini(&rows);
	plist_dict_set_item(status, "Rows", plist_new_string("no table"));
	ck_assert(view_select(&rows, &view, status));
	ck_assert_uint_eq(rows.count, 0);
	view_rows_fini(&rows);
	plist_free(status);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ctl/output");
	TCase *t = tcase_create("format");

	tcase_add_test(t, bytes);
	tcase_add_test(t, speed);
	tcase_add_test(t, port_path);
	tcase_add_test(t, duration);
	tcase_add_test(t, nothing_reaches_the_terminal_that_it_obeys);
	tcase_add_test(t, a_terminal_without_utf8_gets_ascii);
	suite_add_tcase(s, t);
	t = tcase_create("columns");
	tcase_add_test(t, columns_are_as_wide_as_what_is_in_them);
	tcase_add_test(t, cells_are_never_empty);
	tcase_add_test(t, columns_count_what_the_terminal_shows);
	tcase_add_test(t, many_rows_and_half_a_row);
	suite_add_tcase(s, t);
	t = tcase_create("json");
	tcase_add_test(t, keys_are_lower_camel);
	tcase_add_test(t, every_kind_of_value);
	suite_add_tcase(s, t);
	t = tcase_create("view");
	tcase_add_test(t, a_view_selects_orders_and_formats);
	tcase_add_test(t, a_table_that_is_missing_is_empty);
	suite_add_tcase(s, t);
	return unit_run(s);
}
