/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

START_TEST(flat_object)
{
	struct json j;

	json_init(&j);
	json_object(&j, NULL);
	json_string(&j, "name", "phone");
	json_uint(&j, "big", UINT64_MAX);
	json_int(&j, "small", INT64_MIN);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_null(&j, "none");
	json_string(&j, "missing", NULL);
	json_end(&j);
	ck_assert_str_eq(json_text(&j),
	    "{\"name\":\"phone\",\"big\":18446744073709551615,"
	    "\"small\":-9223372036854775808,\"yes\":true,\"no\":false,"
	    "\"none\":null,\"missing\":null}");
	json_fini(&j);
}
END_TEST

START_TEST(nested_and_reused)
{
	struct json j;

	json_init(&j);
	for (int round = 0; round < 2; round++) {
		json_clear(&j);
		json_array(&j, NULL);
		json_object(&j, NULL);
		json_array(&j, "empty");
		json_end(&j);
		json_object(&j, "also");
		json_end(&j);
		json_end(&j);
		json_uint(&j, NULL, 1);
		json_array(&j, NULL);
		json_string(&j, NULL, "x");
		json_string(&j, NULL, "y");
		json_end(&j);
		json_end(&j);
		ck_assert_str_eq(json_text(&j),
		    "[{\"empty\":[],\"also\":{}},1,[\"x\",\"y\"]]");
	}
	json_fini(&j);
}
END_TEST

static void
expect_string(const char *in, size_t len, const char *expected)
{
	struct json j;

	json_init(&j);
	json_string_len(&j, NULL, in, len);
	ck_assert_str_eq(json_text(&j), expected);
	json_fini(&j);
}

START_TEST(escapes)
{
	expect_string("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
	expect_string("\n\r\t\b\x7f", 5, "\"\\n\\r\\t\\u0008\\u007f\"");
	expect_string("\0x", 2, "\"\\u0000x\"");
	/* U+009B is the terminal's CSI, U+00A0 a blank. */
	expect_string("\xc2\x9b" "2J", 4, "\"\\u009b2J\"");
	expect_string("\xc2\x80\xc2\xa0", 4, "\"\\u0080\xc2\xa0\"");
	expect_string("", 0, "\"\"");
}
END_TEST

START_TEST(utf8)
{
	expect_string("\xc3\xa9", 2, "\"\xc3\xa9\"");
	expect_string("\xf0\x9f\x93\xb1", 4, "\"\xf0\x9f\x93\xb1\"");
	expect_string("\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	expect_string("\xff" "a", 2, "\"\xef\xbf\xbd" "a\"");
	/* An overlong form, a surrogate, and what lies above U+10FFFF. */
	expect_string("\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	expect_string("\xed\xa0\x80", 3,
	    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	expect_string("\xf4\x90\x80\x80", 4,
	    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}
END_TEST

START_TEST(keys_are_escaped)
{
	struct json j;

	json_init(&j);
	json_object(&j, NULL);
	json_uint(&j, "a\"b", 1);
	json_end(&j);
	ck_assert_str_eq(json_text(&j), "{\"a\\\"b\":1}");
	json_fini(&j);
}
END_TEST

START_TEST(grows)
{
	struct json j;
	char *big = malloc(100000);
	const char *text;

	ck_assert_ptr_nonnull(big);
	memset(big, 'x', 100000);
	json_init(&j);
	json_array(&j, NULL);
	for (int i = 0; i < 1000; i++)
		json_uint(&j, NULL, 7);
	json_string_len(&j, NULL, big, 100000);
	json_end(&j);
	text = json_text(&j);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(strlen(text), 1 + 2000 + 100002 + 1);
	ck_assert_int_eq(strncmp(text, "[7,7,7,", 7), 0);
	ck_assert_str_eq(text + strlen(text) - 3, "x\"]");
	json_fini(&j);
	free(big);
}
END_TEST

START_TEST(unfinished_is_no_text)
{
	struct json j;

	json_init(&j);
	ck_assert_ptr_null(json_text(&j));
	json_object(&j, NULL);
	ck_assert_ptr_null(json_text(&j));
	json_end(&j);
	ck_assert_str_eq(json_text(&j), "{}");
	json_end(&j);
	ck_assert_ptr_null(json_text(&j));
	json_fini(&j);
}
END_TEST

START_TEST(too_deep)
{
	struct json j;

	json_init(&j);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		json_array(&j, NULL);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		json_end(&j);
	ck_assert_ptr_nonnull(json_text(&j));
	json_clear(&j);
	for (int i = 0; i <= JSON_DEPTH_MAX; i++)
		json_array(&j, NULL);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		json_end(&j);
	ck_assert_ptr_null(json_text(&j));
	json_fini(&j);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base/json");
	TCase *t = tcase_create("writer");
	SRunner *r;
	int failed;

	tcase_add_test(t, flat_object);
	tcase_add_test(t, nested_and_reused);
	tcase_add_test(t, escapes);
	tcase_add_test(t, utf8);
	tcase_add_test(t, keys_are_escaped);
	tcase_add_test(t, grows);
	tcase_add_test(t, unfinished_is_no_text);
	tcase_add_test(t, too_deep);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
