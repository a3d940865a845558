/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

/*
 * Runs a fuzz target without a fuzzer: over each file of its corpus, each
 * beginning of it, and copies in which one byte is another.  The corpus is
 * tests/fuzz/corpus/NAME for the program fuzz_NAME; no chance is involved, so
 * a failure comes again.
 */

#define FILE_MAX 65536
/* Places per file at which it is cut and changed. */
#define PLACES_MAX 512

static size_t runs;

/* In a block of its own size, so that a sanitizer sees a read beyond it. */
static void
run(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	MUST(copy != NULL);
	memcpy(copy, bytes, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	runs++;
}

static void
vary(uint8_t *bytes, size_t len)
{
	static const uint8_t others[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	const size_t stride = len / PLACES_MAX + 1;

	run(bytes, len);
	for (size_t at = 0; at < len; at += stride) {
		const uint8_t was = bytes[at];

		run(bytes, at);
		for (size_t i = 0; i < sizeof others; i++) {
			bytes[at] = others[i];
			run(bytes, len);
		}
		bytes[at] = was;
	}
}

static void
replay(const char *path)
{
	static uint8_t bytes[FILE_MAX];
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		perror(path);
		exit(1);
	}
	vary(bytes, fread(bytes, 1, sizeof bytes, f));
	fclose(f);
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = (slash != NULL ? slash + 1 : argv[0]) +
	    strlen("fuzz_");
	const char *top = getenv("top_srcdir");
	const struct dirent *entry;
	char folder[2048], path[4096];
	size_t files = 0;
	DIR *dir;

	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc > 1)
		return 0;
	snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s",
	    top != NULL ? top : ".", name);
	dir = opendir(folder);
	if (dir == NULL) {
		perror(folder);
		return 1;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		replay(path);
		files++;
	}
	closedir(dir);
	printf("%zu files, %zu runs\n", files, runs);
	return files > 0 ? 0 : 1;
}
