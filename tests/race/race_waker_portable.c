/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The same as race_waker.c, as it is where no thread can sleep on a word. */

#define WAKER_PORTABLE
#include "race_waker.c"
