/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The launcher's parts: command lines, programs and libraries, servers. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"
#include "usbnet/session.h"
#include "wire/usbip.h"

static char dir[] = "/tmp/usbnet-unit.XXXXXX";
static struct launch_options o; /* of PARSE() */

static void
in_directory(void)
{
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void
out_of_directory(void)
{
	char command[sizeof dir + 16];

	launch_options_fini(&o);
	setenv("PATH", "/bin:/usr/bin", 1);
	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static void
write_file(const char *name, const void *bytes, size_t len, mode_t mode)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(name, mode), 0);
}

/* ---- Words ------------------------------------------------------------- */

/* The words with '|' behind each; or what stands in the cause, when there are
 * none. */
static const char *
words_of(const char *line)
{
	static char out[512];
	struct cause why;
	char **words = words_split(line, &why);
	size_t len = 0;

	if (words == NULL) {
		snprintf(out, sizeof out, "%s", why.text);
		return out;
	}
	out[0] = '\0';
	for (char **w = words; *w != NULL; w++)
		len += (size_t)snprintf(out + len, sizeof out - len, "%s|", *w);
	free(words);
	return out;
}

START_TEST(lines)
{
	static const char *const table[][2] = {
		{ "lsusb", "lsusb|" },
		{ "  lsusb\t -v  ", "lsusb|-v|" },
		{ "a 'b c' d", "a|b c|d|" },
		{ "a \"b 'c'\" 'd \"e\"'", "a|b 'c'|d \"e\"|" },
		{ "pre'fix ed'\"post \"x", "prefix edpost x|" },
		{ "a '' b \"\"", "a||b||" },
		{ "a\\ b \\'c\\\" \\\\ \\|", "a b|'c\"|\\|||" },
		{ "\"\\$a \\\"b\\\" \\x \\\\\"", "$a \"b\" \\x \\|" },
		{ "'|&;<>$`*?'", "|&;<>$`*?|" },
		{ "a~b x#y --z=~", "a~b|x#y|--z=~|" },
		{ "sh -c 'lsusb | wc -l; exit 3'",
		    "sh|-c|lsusb | wc -l; exit 3|" },
	};

	for (int i = 0; i < UNIT_COUNT(table); i++)
		ck_assert_str_eq(words_of(table[i][0]), table[i][1]);
}
END_TEST

START_TEST(lines_for_a_shell)
{
	static const char *const table[] = { "a | b", "a & b", "a;b", "a < b",
		"a > b", "(a)", "a $HOME", "a `b`", "a *", "a ?", "a [b]",
		"~/a", "a #b", "a\nb", "a \"$b\"", "a \"`b`\"" };

	for (int i = 0; i < UNIT_COUNT(table); i++)
		ck_assert_ptr_nonnull(strstr(words_of(table[i]), "sh -c"));
	ck_assert_ptr_nonnull(strstr(words_of("a 'b"), "' is missing"));
	ck_assert_ptr_nonnull(strstr(words_of("a \"b"), "\" is missing"));
	ck_assert_ptr_nonnull(strstr(words_of("a \\"), "last \\"));
	ck_assert_str_eq(words_of(""), "the command is empty");
	ck_assert_str_eq(words_of(" \t "), "the command is empty");
}
END_TEST

/* ---- Options ----------------------------------------------------------- */

static int
parse(const char *const *args)
{
	static char *argv[32];
	int argc = 0;

	launch_options_fini(&o);

	argv[argc++] = (char *)(uintptr_t)"usbnet";
	while (*args != NULL)
		argv[argc++] = (char *)(uintptr_t)*args++;
	argv[argc] = NULL;
	optind = 0; /* glibc: from the beginning */
	return launch_options_parse(&o, argc, argv);
}
#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(defaults)
{
	ck_assert_int_eq(PARSE("lsusb", "-v"), 0);
	ck_assert_uint_eq(o.server_count, 1);
	ck_assert_str_eq(o.servers[0].host, "localhost");
	ck_assert_str_eq(o.servers[0].port, "3240");
	ck_assert_str_eq(o.ssh.login, "");
	ck_assert_ptr_null(o.library);
	ck_assert_int_eq(o.timeout_ms, 3000);
	ck_assert(!o.quiet);
	ck_assert_str_eq(o.command[0], "lsusb");
	ck_assert_str_eq(o.command[1], "-v");
	ck_assert_ptr_null(o.command[2]);
}
END_TEST

START_TEST(all_options)
{
	ck_assert_int_eq(PARSE("-h", "a", "--host=[::1]:22222", "-h",
			     "unix:/x", "--library", "/lib/y", "-t", "50", "-q",
			     "--", "-h", "-x"), 0);
	ck_assert_uint_eq(o.server_count, 3);
	ck_assert_str_eq(o.servers[0].port, "3240");
	ck_assert_str_eq(o.servers[1].host, "::1");
	ck_assert_str_eq(o.servers[1].port, "22222");
	ck_assert(o.servers[2].is_unix);
	ck_assert_str_eq(o.library, "/lib/y");
	ck_assert_int_eq(o.timeout_ms, 50);
	ck_assert(o.quiet);
	ck_assert_str_eq(o.command[0], "-h");
	ck_assert_int_eq(PARSE("--auth", "me@far", "-h", "inner", "a", "b"),
	    0);
	ck_assert_str_eq(o.ssh.login, "me@far");
	ck_assert_str_eq(o.servers[0].host, "inner");
	ck_assert_int_eq(PARSE("-a", "far", "--timeout=1", "a", "b"), 0);
	ck_assert_uint_eq(o.server_count, 0);
}
END_TEST

START_TEST(virtual_devices)
{
	ck_assert_int_eq(PARSE("--virtual", "phone=3,window=65536",
			     "--virtual=hid", "--virtual-threads", "2",
			     "--virtual-report", "r", "--virtual-control", "c",
			     "a", "b"), 0);
	ck_assert_str_eq(o.virtual_devices, "phone=3,window=65536 hid");
	ck_assert_str_eq(o.virtual_threads, "2");
	ck_assert_str_eq(o.virtual_report, "r");
	ck_assert_str_eq(o.virtual_control, "c");
	ck_assert_uint_eq(o.server_count, 0);
	ck_assert_int_eq(PARSE("--virtual", "hid", "-h", "far", "a", "b"), 0);
	ck_assert_uint_eq(o.server_count, 1);
	ck_assert_int_eq(PARSE("--virtual", "a b", "a"), -1);
	ck_assert_int_eq(PARSE("--virtual=", "a"), -1);
	ck_assert_int_eq(PARSE("--virtual-threads", "0", "a"), -1);
	ck_assert_int_eq(PARSE("--virtual-threads", "65", "a"), -1);
}
END_TEST

/* The command's options are its own, behind its name. */
START_TEST(options_of_the_command)
{
	ck_assert_int_eq(PARSE("-q", "lsusb", "-t", "-h", "x"), 0);
	ck_assert_str_eq(o.command[1], "-t");
	ck_assert_str_eq(o.command[3], "x");
}
END_TEST

START_TEST(one_line)
{
	ck_assert_int_eq(PARSE("lsusb -v -d '05ac:'"), 0);
	ck_assert_str_eq(o.command[2], "-d");
	ck_assert_str_eq(o.command[3], "05ac:");
	/* As the original's mail has it: -l is for the line. */
	ck_assert_int_eq(PARSE("-h", "server:22222", "-l", "lsusb -v"), 0);
	ck_assert_ptr_null(o.library);
	ck_assert_str_eq(o.command[0], "lsusb");
	ck_assert_str_eq(o.command[1], "-v");
	ck_assert_int_eq(PARSE("-l", "lib.so", "lsusb"), 0);
	ck_assert_str_eq(o.library, "lib.so");
	/* Two arguments are a command as they stand. */
	ck_assert_int_eq(PARSE("a b", "$c | d"), 0);
	ck_assert_str_eq(o.command[0], "a b");
	ck_assert_str_eq(o.command[1], "$c | d");
	/* So is the path of a program. */
	write_file("a program", "#!/bin/sh\n", 10, 0755);
	ck_assert_int_eq(PARSE("./a program"), 0);
	ck_assert_str_eq(o.command[0], "./a program");
	ck_assert_ptr_null(o.command[1]);
}
END_TEST

START_TEST(wrong_options)
{
	ck_assert_int_eq(PARSE("-q"), -1);
	ck_assert_int_eq(PARSE("-x", "a"), -1);
	ck_assert_int_eq(PARSE("--nonsense", "a"), -1);
	ck_assert_int_eq(PARSE("-h"), -1);
	ck_assert_int_eq(PARSE("-t", "0", "a"), -1);
	ck_assert_int_eq(PARSE("-t", "1s", "a"), -1);
	ck_assert_int_eq(PARSE("-t", "-1", "a"), -1);
	ck_assert_int_eq(PARSE("-h", "a:b", "a"), -1);
	ck_assert_int_eq(PARSE("-h", "unix:/a b", "a"), -1);
	ck_assert_int_eq(PARSE("-a", "x", "-a", "y", "a"), -1);
	ck_assert_int_eq(PARSE("-a", "x", "-h", "unix:/y", "a"), -1);
	ck_assert_int_eq(PARSE("a | b"), -1);
	ck_assert_int_eq(PARSE("-?"), 1);
	ck_assert_int_eq(PARSE("--help", "a"), 1);
	ck_assert_int_eq(PARSE("--version"), 1);
}
END_TEST

START_TEST(ssh_targets)
{
	static const struct {
		const char *text, *login, *port;
	} good[] = {
		{ "far", "far", "" },
		{ "me@far", "me@far", "" },
		{ "far:2222", "far", "2222" },
		{ "me@far:022", "me@far", "22" },
		{ "a@b@far", "a@b@far", "" },
		{ "::1", "::1", "" },
		{ "me@[fe80::1%eth0]:2222", "me@fe80::1%eth0", "2222" },
		{ "[::1]", "::1", "" },
	};
	static const char *const bad[] = { "", "@far", "me@", "far:", ":22",
		"far:0", "far:65536", "far:ssh", "[::1", "[::1]x",
		"-oProxyCommand=x", "me@-x", "-me@far", "a b", "me@fa\nr" };
	struct ssh_target t;
	struct cause why;

	for (int i = 0; i < UNIT_COUNT(good); i++) {
		ck_assert_int_eq(ssh_target_parse(&t, good[i].text, &why), 0);
		ck_assert_str_eq(t.login, good[i].login);
		ck_assert_str_eq(t.port, good[i].port);
	}
	for (int i = 0; i < UNIT_COUNT(bad); i++)
		ck_assert_msg(ssh_target_parse(&t, bad[i], &why) == -1, "%s",
		    bad[i]);
}
END_TEST

/* ---- Programs and libraries -------------------------------------------- */

/* The head of an ELF file of 64 bits with one program header. */
static void
write_elf(const char *name, uint8_t machine, uint8_t part)
{
	uint8_t bytes[128] = "\177ELF\2\1\1";

	bytes[16] = 3; /* shared object, or position-independent */
	bytes[18] = machine;
	bytes[32] = 64; /* where the program headers are */
	bytes[54] = 56; /* their size */
	bytes[56] = 1;	/* their number */
	bytes[64] = part;
	write_file(name, bytes, sizeof bytes, 0755);
}

START_TEST(binaries)
{
	static const uint8_t cut[20] = "\177ELF\2\1\1";
	struct binary b;

	ck_assert_int_eq(binary_read(&b, "/proc/self/exe"), 0);
	ck_assert(b.elf && b.dynamic);
	write_elf("static", 62, 1);
	ck_assert_int_eq(binary_read(&b, "static"), 0);
	ck_assert(b.elf && b.is_64 && !b.big_endian && !b.dynamic);
	ck_assert_uint_eq(b.machine, 62);
	write_elf("dynamic", 62, 3);
	ck_assert_int_eq(binary_read(&b, "dynamic"), 0);
	ck_assert(b.dynamic);
	write_file("cut", cut, sizeof cut, 0755);
	ck_assert_int_eq(binary_read(&b, "cut"), 0);
	ck_assert(!b.elf);
	write_file("empty", "", 0, 0755);
	ck_assert_int_eq(binary_read(&b, "empty"), 0);
	ck_assert(!b.elf);
	ck_assert_int_eq(binary_read(&b, "none"), -1);
}
END_TEST

START_TEST(commands)
{
	char out[PATH_MAX], wanted[sizeof dir + 16];

	write_file("tool", "#!/bin/sh\n", 10, 0755);
	write_file("text", "text", 4, 0644);
	snprintf(wanted, sizeof wanted, "%s/tool", dir);
	snprintf(out, sizeof out, "/none:%s:/bin", dir);
	setenv("PATH", out, 1);
	ck_assert_int_eq(command_find(out, "tool"), 0);
	ck_assert_str_eq(out, wanted);
	ck_assert_int_eq(command_find(out, "text"), -1);
	ck_assert_int_eq(command_find(out, "./tool"), 0);
	ck_assert_int_eq(command_find(out, "./none"), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(command_find(out, "./text"), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_eq(command_find(out, ""), -1);
	setenv("PATH", "/none:", 1); /* an empty part is the current one */
	ck_assert_int_eq(command_find(out, "tool"), 0);
	ck_assert_str_eq(out, "./tool");
	ck_assert(!command_is_privileged("tool"));
	ck_assert(!command_is_privileged("none"));
}
END_TEST

START_TEST(libraries)
{
	char out[PATH_MAX], wanted[sizeof dir + 16];
	struct cause why;

	write_file("text", "text", 4, 0644);
	write_file("a b", "text", 4, 0644);
	snprintf(wanted, sizeof wanted, "%s/text", dir);
	ck_assert_int_eq(library_find(out, "./text", &why), 0);
	ck_assert_str_eq(out, wanted);
	ck_assert_int_eq(library_find(out, "libusb-1.0.so.0", &why), 0);
	ck_assert_str_eq(out, "libusb-1.0.so.0");
	ck_assert_int_eq(library_find(out, "./none", &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "No such file"));
	ck_assert_int_eq(library_find(out, "./a b", &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "blank"));

	ck_assert_int_eq(library_check("libusb-1.0.so.0", "/proc/self/exe",
			     &why), 0);
	ck_assert_int_eq(library_check(wanted, "/proc/self/exe", &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "cannot load"));
	ck_assert_int_eq(library_check("libc.so.6", "/proc/self/exe", &why),
	    -1);
	ck_assert_ptr_nonnull(strstr(why.text, "libusb_init"));
	write_elf("other", 0xe7, 3); /* of no machine that tests run on */
	ck_assert_int_eq(library_check("./other", "/proc/self/exe", &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "architecture"));
	write_elf("static", 62, 1);
	ck_assert_int_eq(library_check("libusb-1.0.so.0", "static", &why), 1);
	ck_assert_ptr_nonnull(strstr(why.text, "statically"));
	ck_assert_int_eq(library_check("libusb-1.0.so.0", "text", &why), 0);
}
END_TEST

/* ---- Servers ----------------------------------------------------------- */

static bool
wait_a_little(void *arg, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, *(const int *)arg) > 0;
}

/* What is said of a server that answers with these bytes, and then stays, or
 * closes. */
static const char *
probe(const void *answer, size_t len, bool closes)
{
	static struct cause why;
	int pair[2], ms = closes ? UNIT_PATIENCE_MS : 50;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(sock_send_all(pair[1], answer, len), 0);
	if (closes)
		shutdown(pair[1], SHUT_WR);
	strcpy(why.text, "good");
	ck_assert_int_eq(probe_fd(pair[0], "it", wait_a_little, &ms, &why),
	    strcmp(why.text, "good") == 0 ? 0 : -1);
	close(pair[0]);
	close(pair[1]);
	return why.text;
}

START_TEST(servers)
{
	static const uint8_t none[12] = { 1, 0x11, 0, 5 };
	static const uint8_t version[12] = { 1, 0, 0, 5 };
	static const uint8_t refused[12] = { 1, 0x11, 0, 5, 0, 0, 0, 1 };
	static const uint8_t many[12] = { 1, 0x11, 0, 5, 0, 0, 0, 0, 0xff };
	static const uint8_t two[12] = { 1, 0x11, 0, 5, [11] = 2 };

	ck_assert_str_eq(probe(none, sizeof none, false), "good");
	ck_assert_str_eq(probe(none, sizeof none, true), "good");
	ck_assert_ptr_nonnull(strstr(probe(version, sizeof version, true),
	    "version 0100"));
	ck_assert_ptr_nonnull(strstr(probe(refused, sizeof refused, true),
	    "no list"));
	ck_assert_ptr_nonnull(strstr(probe(many, sizeof many, false),
	    "4278190080 devices"));
	ck_assert_ptr_nonnull(strstr(probe(two, sizeof two, true),
	    "cut short"));
	ck_assert_ptr_nonnull(strstr(probe(none, 0, true), "no answer"));
	ck_assert_ptr_nonnull(strstr(probe(none, 4, false), "no answer"));
	ck_assert_ptr_nonnull(strstr(probe("SSH-2.0-OpenSSH_9.2", 19, false),
	    "version"));
}
END_TEST

START_TEST(nobody)
{
	struct sock_addr addr = { .is_unix = true };
	struct cause why;

	snprintf(addr.path, sizeof addr.path, "%s/none", dir);
	ck_assert_int_eq(probe_server(&addr, 1000, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, addr.path));
	ck_assert_ptr_nonnull(strstr(why.text, "usbexportd"));
}
END_TEST

/* ---- ssh's words ------------------------------------------------------- */

/* What is kept of what an ssh says that is this script (NULL: there is no
 * ssh). */
static const char *
words_of_ssh(const char *script, int status)
{
	static char words[200];
	struct launch_options far = { .ssh.login = "far" };
	struct session s = { 0 };
	struct pollfd pfd;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	unlink("ssh");
	if (script != NULL)
		write_file("ssh", script, strlen(script), 0755);
	setenv("PATH", dir, 1);
	ck_assert_int_ge(null, 0);
	ck_assert_int_eq(session_start(&s, &far, NULL, "/none/ctl", null), 0);
	while (!s.err_ended) {
		pfd = session_poll(&s);
		ck_assert_int_eq(poll(&pfd, 1, UNIT_PATIENCE_MS), 1);
		session_take_words(&s);
	}
	while (!session_reap(&s))
		poll(NULL, 0, 1);
	ck_assert_int_eq(session_failed(&s), status != 0);
	close(null);
	session_last_words(&s, words, sizeof words);
	return words;
}

START_TEST(ssh_words)
{
	ck_assert_str_eq(words_of_ssh("#!/bin/sh\n", 0), "");
	ck_assert_str_eq(words_of_ssh("#!/bin/sh\nexit 3\n", 0), "");
	ck_assert_str_eq(words_of_ssh("#!/bin/sh\necho a >&2; echo b c >&2\n"
		"echo >&2; exit 255\n", 255), "b c");
	ck_assert_str_eq(words_of_ssh("#!/bin/sh\nprintf 'x\\r\\ty\\r\\n' >&2\n"
		"exit 127\n", 127), "x  y");
	ck_assert_str_eq(words_of_ssh("#!/bin/sh\ni=0\n"
		"while [ $i -lt 3000 ]; do i=$((i + 1))\n"
		"echo a line of words $i >&2; done; echo the last >&2\n"
		"exit 255\n", 255), "the last");
	ck_assert_ptr_nonnull(strstr(words_of_ssh(NULL, 127),
	    "cannot run ssh"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet_launch");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, in_directory, out_of_directory);
	tcase_add_test(tc, lines);
	tcase_add_test(tc, lines_for_a_shell);
	tcase_add_test(tc, defaults);
	tcase_add_test(tc, all_options);
	tcase_add_test(tc, options_of_the_command);
	tcase_add_test(tc, one_line);
	tcase_add_test(tc, virtual_devices);
	tcase_add_test(tc, wrong_options);
	tcase_add_test(tc, ssh_targets);
	tcase_add_test(tc, binaries);
	tcase_add_test(tc, commands);
	tcase_add_test(tc, libraries);
	tcase_add_test(tc, servers);
	tcase_add_test(tc, nobody);
	tcase_add_test(tc, ssh_words);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
