/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/scm_audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/logger.h"

/* Lines in the queue at most: about a megabyte. */
#define QUEUE_LINES 4096

/* Lines a second that each device has at least, and at most, which it also has
 * when its CONNECTs are not limited. */
#define LINES_LEAST 100
#define LINES_MOST 10000

/* Of the device's serial number and of the file's name so many bytes. */
#define TEXT_MAX 128

enum decision {
	ALLOW,
	ALLOW_SPECIAL,
	DENY,
	DENY_SPECIAL,
	LIMIT,
	END, /* no decision, but a line */
};
#define DECISIONS (END + 1)
static const char *const decision_names[] = { "allow", "allow-special",
	"deny", "deny-special", "limit", "end" };

struct audit_line {
	struct msg msg;
	size_t len;
	char text[];
};

static struct {
	/* Set before other threads run. */
	const char *path; /* NULL: lines go to the log */
	uint64_t most;
	_Atomic uint32_t queued; /* relaxed: a bound need not be exact */
	/* Relaxed: counts. */
	_Atomic uint64_t decided[DECISIONS], dropped;

	int fd OWNED_BY(on_logger);
	bool is_regular OWNED_BY(on_logger); /* so `most` is about it */
	uint64_t size OWNED_BY(on_logger);
	bool torn OWNED_BY(on_logger); /* its last line has no end */
	bool told OWNED_BY(on_logger); /* that it cannot be written */
} audit = { .fd = -1 };

struct scm_audit_totals
scm_audit_totals(void)
{
	uint64_t n[DECISIONS];

	for (int i = 0; i < DECISIONS; i++)
		n[i] = atomic_load_explicit(&audit.decided[i],
		    memory_order_relaxed);
	return (struct scm_audit_totals){
		.allowed = n[ALLOW] + n[ALLOW_SPECIAL],
		.allowed_special = n[ALLOW_SPECIAL],
		.denied = n[DENY] + n[DENY_SPECIAL],
		.denied_special = n[DENY_SPECIAL],
		.limited = n[LIMIT],
		.dropped = atomic_load_explicit(&audit.dropped,
		    memory_order_relaxed),
	};
}

static void
drop(uint64_t n)
{
	atomic_fetch_add_explicit(&audit.dropped, n, memory_order_relaxed);
}

/* ---- Text --------------------------------------------------------------- */

struct text {
	char bytes[SCM_AUDIT_LINE_MAX];
	size_t len; /* the last two bytes stay free, for a newline and the end */
};

static void __attribute__((format(printf, 2, 3)))
add(struct text *t, const char *fmt, ...)
{
	const size_t room = sizeof t->bytes - 1 - t->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->bytes + t->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* A text that may be a stranger's: nothing in it ends a field or a line, or
 * moves a terminal. */
static void
add_text(struct text *t, const char *name, const char *value)
{
	add(t, " %s=", name);
	if (*value == '\0')
		add(t, "-");
	for (size_t i = 0; i < TEXT_MAX && value[i] != '\0'; i++) {
		const unsigned char c = (unsigned char)value[i];

		if (c > ' ' && c < 0x7f && strchr("\\\"=", c) == NULL)
			add(t, "%c", c);
		else
			add(t, "\\x%02x", c);
	}
}

/* The address as the device gave it, not as it was judged. */
static void
add_address(struct text *t, const struct scm_address *a)
{
	struct scm_ip ip = { .is_v4 = a->family == SCM_INET };
	char text[SCM_IP_TEXT_MAX];

	if (a->family != SCM_INET && a->family != SCM_INET6) {
		add(t, " address=- port=%u", a->port);
		return;
	}
	memcpy(ip.bytes, a->ip, sizeof ip.bytes);
	add(t, " address=%s", scm_ip_text(text, &ip));
	if (!ip.is_v4 && a->scope != 0)
		add(t, "%%%" PRIu32, a->scope);
	add(t, " port=%u", a->port);
}

static const char *
why(const struct scm_verdict *v)
{
	switch (v->reason) {
	case SCM_BY_RULE:
		return "rule";
	case SCM_NO_RULE:
		return "no-rule";
	case SCM_NO_SPECIAL:
		return "special";
	case SCM_NO_PORT:
		return "no-port";
	case SCM_NO_FAMILY:
		return "no-family";
	case SCM_TOO_MANY:
		return "connects-per-second";
	}
	return "?";
}

static void
add_verdict(struct text *t, const struct scm_settings *by,
    const struct scm_verdict *v)
{
	char ip[SCM_IP_TEXT_MAX];

	add(t, " judged=%s", scm_ip_text(ip, &v->ip));
	add(t, " why=%s", why(v));
	add_text(t, "special", scm_special_name(v->special));
	add_text(t, "form", v->form != NULL ? v->form : "");
	if (v->line != 0) {
		add_text(t, "rule", by->path);
		add(t, ":%u", v->line);
	} else {
		add(t, " rule=-");
	}
}

/* ---- A device's --------------------------------------------------------- */

static uint32_t
line_rate(const struct scm_limits *limits)
{
	/* Those that are allowed, their ends, and as many that are denied. */
	const uint64_t rate = 3 * (uint64_t)limits->connects;

	if (rate == 0 || rate > LINES_MOST)
		return LINES_MOST;
	return rate < LINES_LEAST ? LINES_LEAST : (uint32_t)rate;
}

void
scm_audit_init(struct scm_audit *a, uint32_t device,
    const struct scm_identity *who, const struct scm_limits *limits)
{
	a->device = device;
	a->who = who;
	atomic_init(&a->most, line_rate(limits));
	atomic_init(&a->second, clock_now().ns);
	atomic_init(&a->lines, 0);
	atomic_init(&a->left_out, 0);
}

void
scm_audit_set_limits(struct scm_audit *a, const struct scm_limits *limits)
{
	atomic_store_explicit(&a->most, line_rate(limits),
	    memory_order_relaxed);
}

/* A line that is not written. */
static void
leave_out(struct scm_audit *a)
{
	atomic_fetch_add_explicit(&a->left_out, 1, memory_order_relaxed);
	drop(1);
}

/* The device may have a line more in this second. */
static bool
has_room(struct scm_audit *a)
{
	const int64_t now = clock_now().ns;
	int64_t second =
	    atomic_load_explicit(&a->second, memory_order_relaxed);

	if (now - second >= 1000000000 &&
	    atomic_compare_exchange_strong_explicit(&a->second, &second, now,
		memory_order_relaxed, memory_order_relaxed))
		atomic_store_explicit(&a->lines, 0, memory_order_relaxed);
	return atomic_fetch_add_explicit(&a->lines, 1, memory_order_relaxed) <
	    atomic_load_explicit(&a->most, memory_order_relaxed);
}

/* For the logger.  False: there is no room. */
static bool
enqueue(const struct text *t)
{
	struct audit_line *line;

	if (atomic_fetch_add_explicit(&audit.queued, 1,
		memory_order_relaxed) >= QUEUE_LINES ||
	    (line = malloc(sizeof *line + t->len)) == NULL) {
		atomic_fetch_sub_explicit(&audit.queued, 1,
		    memory_order_relaxed);
		return false;
	}
	line->msg.type = MSG_AUDIT_LINE;
	line->len = t->len;
	memcpy(line->text, t->bytes, t->len);
	logger_post(&line->msg);
	return true;
}

/* The time, with which a line of the file begins. */
static void
add_time(struct text *t)
{
	struct timespec now;
	struct tm tm;
	char stamp[32] = "";

	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm) != NULL)
		strftime(stamp, sizeof stamp, "%FT%T", &tm);
	add(t, "%s.%03ldZ ", stamp, now.tv_nsec / 1000000);
}

/* Counts it, and begins its line if the device may have one. */
static bool
begin_line(struct scm_audit *a, struct text *t, enum decision d, uint32_t sock,
    uint16_t protocol)
{
	atomic_fetch_add_explicit(&audit.decided[d], 1, memory_order_relaxed);
	if (audit.path == NULL && !log_wants(LOG_LEVEL_INFO))
		return false;
	if (!has_room(a)) {
		leave_out(a);
		return false;
	}
	t->len = 0;
	if (audit.path != NULL)
		add_time(t);
	add(t, "%s device=%" PRIu32 " socket=%" PRIu32, decision_names[d],
	    a->device, sock);
	if (protocol == SCM_TCP || protocol == SCM_UDP)
		add(t, " protocol=%s", scm_protocol_name(protocol));
	else
		add(t, " protocol=%u", protocol);
	return true;
}

/* Whom it was about comes last, because a serial number may be long. */
static void
end_line(struct scm_audit *a, struct text *t)
{
	const uint64_t left_out =
	    atomic_exchange_explicit(&a->left_out, 0, memory_order_relaxed);

	if (left_out > 0)
		add(t, " left-out=%" PRIu64, left_out);
	add(t, " usb=%04x:%04x", a->who->vendor, a->who->product);
	add_text(t, "place", a->who->busid);
	add_text(t, "serial", a->who->serial);
	if (audit.path == NULL) {
		log_info("scm: %s", t->bytes);
		return;
	}
	t->bytes[t->len++] = '\n';
	if (enqueue(t))
		return;
	atomic_fetch_add_explicit(&a->left_out, left_out,
	    memory_order_relaxed);
	leave_out(a);
}

static enum decision
decision_of(const struct scm_verdict *v)
{
	if (v->reason == SCM_TOO_MANY)
		return LIMIT;
	if (v->allowed)
		return v->special == SCM_PLAIN ? ALLOW : ALLOW_SPECIAL;
	return v->reason == SCM_NO_SPECIAL ? DENY_SPECIAL : DENY;
}

void
scm_audit_connect(struct scm_audit *a, const struct scm_settings *by,
    uint32_t sock, uint16_t protocol, const struct scm_address *to,
    const struct scm_verdict *v)
{
	struct text t;

	if (!begin_line(a, &t, decision_of(v), sock, protocol))
		return;
	add_address(&t, to);
	add_verdict(&t, by, v);
	end_line(a, &t);
}

void
scm_audit_open(struct scm_audit *a, const struct scm_message *open,
    int32_t code)
{
	const bool too_many = code == SCM_EMFILE;
	struct text t;

	if (!begin_line(a, &t, too_many ? LIMIT : DENY, open->sock,
		open->protocol == 0 ? SCM_TCP : open->protocol))
		return;
	add(&t, " why=%s code=%" PRId32, too_many ? "sockets" : "open", code);
	end_line(a, &t);
}

void
scm_audit_end(struct scm_audit *a, uint32_t sock, uint16_t protocol,
    const struct scm_address *to, uint64_t from_device, uint64_t to_device,
    const char *fault)
{
	struct text t;

	if (!begin_line(a, &t, END, sock, protocol))
		return;
	add_address(&t, to);
	add(&t, " from-device=%" PRIu64 " to-device=%" PRIu64, from_device,
	    to_device);
	add_text(&t, "fault", fault != NULL ? fault : "");
	end_line(a, &t);
}

/* ---- The logger's ------------------------------------------------------- */

/* The file at its end; false and errno. */
static bool
open_file(void) RUNS_ON(on_logger)
{
	const int fd = open(audit.path, O_WRONLY | O_APPEND | O_CREAT |
	    O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	if (audit.fd >= 0)
		close(audit.fd);
	audit.fd = fd;
	audit.is_regular = S_ISREG(st.st_mode);
	audit.size = audit.is_regular ? (uint64_t)st.st_size : 0;
	audit.torn = false;
	return true;
}

/* The full file becomes FILE.1; one that somebody has moved away is left
 * alone.  False and errno. */
static bool
begin_new_file(void) RUNS_ON(on_logger)
{
	char old[4096];

	if ((size_t)snprintf(old, sizeof old, "%s.1", audit.path) >=
	    sizeof old) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (rename(audit.path, old) < 0 && errno != ENOENT)
		return false;
	return open_file();
}

/* False and errno: not all of it was written. */
static bool
put(const char *bytes, size_t len) RUNS_ON(on_logger)
{
	const ssize_t n = write(audit.fd, bytes, len);

	if (n > 0)
		audit.size += (uint64_t)n;
	if (n == (ssize_t)len)
		return true;
	if (n >= 0) {
		audit.torn = n > 0;
		errno = ENOSPC;
	}
	return false;
}

/* NULL, or what could not be done, and errno. */
static const char *
put_line(const struct audit_line *line) RUNS_ON(on_logger)
{
	if (audit.is_regular && audit.size + line->len > audit.most &&
	    !begin_new_file())
		return "is full, and cannot be renamed";
	if (audit.torn && !put("\n", 1))
		return "cannot be written";
	audit.torn = false;
	return put(line->text, line->len) ? NULL : "cannot be written";
}

void
scm_audit_write(struct msg *m)
{
	struct audit_line *line = (struct audit_line *)m;
	const char *fault = put_line(line);

	if (fault != NULL) {
		if (!audit.told)
			log_error("%s %s: %s; decisions are counted only, as "
			    "long as that is so", audit.path, fault,
			    strerror(errno));
		drop(1);
	}
	audit.told = fault != NULL;
	free(line);
	atomic_fetch_sub_explicit(&audit.queued, 1, memory_order_relaxed);
}

void
scm_audit_reopen(void)
{
	if (audit.path != NULL && !open_file())
		log_error("%s: %s; the old file stays open", audit.path,
		    strerror(errno));
}

/* ---- Main's, while there is no logger ----------------------------------- */

int
scm_audit_start(const char *path, uint64_t most, struct cause *reason)
    ROLE_UNCHECKED
{
	audit.path = path;
	audit.most = most;
	if (path == NULL || open_file())
		return 0;
	audit.path = NULL;
	return cause_set(reason, "cannot write to %s: %s", path,
	    strerror(errno));
}

void
scm_audit_stop(void) ROLE_UNCHECKED
{
	if (audit.fd >= 0)
		close(audit.fd);
	audit.fd = -1;
	audit.path = NULL;
}
