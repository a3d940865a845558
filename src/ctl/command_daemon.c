/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Commands that give the daemon an order. */

#include "base/log.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "wire/admin.h"

static int
unknown_level(const char *name, struct cause *why)
{
	char names[100] = "";
	size_t used = 0;

	for (int i = LOG_LEVEL_FATAL; i <= LOG_LEVEL_PACKET; i++)
		used += (size_t)snprintf(names + used, sizeof names - used,
		    "%s%s", i > LOG_LEVEL_FATAL ? ", " : "",
		    log_level_name((enum log_level)i));
	cause_set(why, "there is no log level '%.40s'; there are %s", name,
	    names);
	return CTL_USAGE;
}

static int
show_level(struct ctl *c, const char *level, struct cause *why)
{
	struct json j;

	if (c->json) {
		json_init(&j);
		json_object(&j, NULL);
		json_string(&j, "level", level);
		json_end(&j);
		return ctl_print_json(c, &j, why);
	}
	format_print(c->out, level);
	putc('\n', c->out);
	return 0;
}

int
command_log(struct ctl *c, char **args, struct cause *why)
{
	const char *level = args[0];
	plist_t answer;
	int rc = 0;

	if (level != NULL && log_level_parse(level) < 0)
		return unknown_level(level, why);
	answer = ctl_ask(c, "LogLevel", level != NULL ? "Level" : NULL, level,
	    why);
	if (answer == NULL)
		return CTL_FAILED;
	if (level != NULL) {
		level = log_level_name(
		    (enum log_level)log_level_parse(level));
	} else {
		level = admin_text(answer, "Level");
		if (level == NULL)
			level = "unknown";
	}
	/* Like other orders, this one is silent when it is obeyed. */
	if (args[0] == NULL || c->json)
		rc = show_level(c, level, why);
	plist_free(answer);
	return rc;
}

int
command_rescan(struct ctl *c, char **args, struct cause *why)
{
	plist_t answer = ctl_ask(c, "Rescan", NULL, NULL, why);

	(void)args;
	if (answer == NULL)
		return CTL_FAILED;
	plist_free(answer);
	return ctl_print_obeyed(c, why);
}
