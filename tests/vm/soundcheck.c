/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A sound of which every frame can be told from all others, and a look for it in
 * what a sound card was given:
 *
 *	soundcheck make TAG FRAMES >SOUND
 *	soundcheck find TAG FRAMES <WAV
 *
 * TAG is 1 to 255, FRAMES up to 2^24 - 1.  A frame is two samples of 16 bits,
 * little-endian: its number from 1, and above that the tag.  `make` puts QUIET
 * frames of zeros behind, so that no buffer of the card keeps a part of it.
 *
 * `find` wants each frame once, in order, and between the first and the last
 * nothing else; it says what it found.  1: that is not so.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUIET 24000
#define FRAME 4
#define NUMBERS 0xffffffu

struct found {
	uint32_t tag, last;
	uint32_t frames, gaps, lost, again, quiet_inside, quiet;
};

static int
make(uint32_t tag, uint32_t frames)
{
	for (uint32_t i = 1; i <= frames + QUIET; i++) {
		const uint32_t frame = i <= frames ? tag << 24 | i : 0;

		for (int k = 0; k < FRAME; k++)
			putchar((int)(frame >> 8 * k & 0xff));
	}
	return fflush(stdout) != 0;
}

/* A frame of this sound; or another, which is quiet, or of another sound. */
static void
note_frame(struct found *f, uint32_t frame)
{
	const uint32_t number = frame & NUMBERS;

	if (frame >> 24 != f->tag) {
		f->quiet++;
		return;
	}
	if (f->last > 0)
		f->quiet_inside += f->quiet;
	f->quiet = 0;
	if (number <= f->last) {
		f->again++;
		return;
	}
	if (number > f->last + 1) {
		f->gaps++;
		f->lost += number - f->last - 1;
	}
	f->frames++;
	f->last = number;
}

static int
find(struct found *f, uint32_t frames)
{
	uint8_t b[FRAME];

	/* The header of a WAV file is 11 frames long, and none of them. */
	while (fread(b, FRAME, 1, stdin) == 1)
		note_frame(f, (uint32_t)b[0] | (uint32_t)b[1] << 8 |
		    (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);
	if (f->last < frames) {
		f->gaps++;
		f->lost += frames - f->last;
	}
	printf("%" PRIu32 " of %" PRIu32 " frames, %" PRIu32 " lost in %" PRIu32
	    " gaps, %" PRIu32 " out of order, %" PRIu32 " others between\n",
	    f->frames, frames, f->lost, f->gaps, f->again, f->quiet_inside);
	return f->lost > 0 || f->again > 0 || f->quiet_inside > 0;
}

int
main(int argc, char **argv)
{
	struct found found = { 0 };
	uint32_t frames;

	if (argc != 4) {
		fprintf(stderr, "usage: soundcheck make|find TAG FRAMES\n");
		return 2;
	}
	found.tag = (uint32_t)strtoul(argv[2], NULL, 0) & 0xff;
	frames = (uint32_t)strtoul(argv[3], NULL, 0) & NUMBERS;
	if (strcmp(argv[1], "make") == 0)
		return make(found.tag, frames);
	return find(&found, frames);
}
