/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The same as race_door.c, as it is where there is no epoll. */

#define DOOR_PORTABLE
#include "race_door.c"
