/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/roles.h"

struct role on_main, on_manager, on_monitor, on_reader, on_writer, on_worker,
    on_logger;
