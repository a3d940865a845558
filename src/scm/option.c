/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm/option.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#if defined(__linux__)
#include <linux/sockios.h>
#endif

/* Linux' numbers, as devices send them. */
enum level {
	LEVEL_SOCKET = 1,
	LEVEL_TCP = 6,
	LEVEL_IPV6 = 41,
};

#define NOT_SETTABLE 1, 0 /* bounds that nothing is in */
#define BUFFER_LEAST 4096
#define BUFFER_MOST (1024 * 1024)
#define LINGER_MOST 60 /* seconds */

/* The options by what the wire calls them, and the least and most that they
 * are set to: what lies beyond is brought there. */
static const struct {
	int32_t level, name;
	int32_t least, most;
} options[SCM_INQ] = {
	[SCM_KEEPALIVE] = { LEVEL_SOCKET, 9, 0, 1 },
	[SCM_ERROR] = { LEVEL_SOCKET, 4, NOT_SETTABLE },
	[SCM_RCVBUF] = { LEVEL_SOCKET, 8, BUFFER_LEAST, BUFFER_MOST },
	[SCM_SNDBUF] = { LEVEL_SOCKET, 7, BUFFER_LEAST, BUFFER_MOST },
	[SCM_LINGER] = { LEVEL_SOCKET, 13, 0, 1 },
	[SCM_NODELAY] = { LEVEL_TCP, 1, 0, 1 },
	[SCM_KEEPIDLE] = { LEVEL_TCP, 4, 1, 32767 },
	[SCM_KEEPINTVL] = { LEVEL_TCP, 5, 1, 32767 },
	[SCM_KEEPCNT] = { LEVEL_TCP, 6, 1, 127 },
	[SCM_V6ONLY] = { LEVEL_IPV6, 26, 0, 1 },
};

#define REQUEST_INQ 0x541b  /* FIONREAD */
#define REQUEST_OUTQ 0x5411 /* SIOCOUTQ */

/* ---- From the wire ------------------------------------------------------ */

static int32_t
within(int32_t v, int32_t least, int32_t most)
{
	return v < least ? least : v > most ? most : v;
}

static int32_t
read_value(const struct scm_message *m, enum scm_option option,
    struct scm_value *value)
{
	struct reader r = reader_over(m->data, m->len);

	if (options[option].least > options[option].most)
		return SCM_ENOPROTOOPT;
	value->v[0] = within((int32_t)read_le32(&r), options[option].least,
	    options[option].most);
	value->v[1] = option == SCM_LINGER
	    ? within((int32_t)read_le32(&r), 0, LINGER_MOST)
	    : 0;
	return r.bad || reader_left(&r) > 0 ? SCM_EINVAL : SCM_OK;
}

static int32_t
find_request(uint32_t request, enum scm_option *option)
{
	*option = request == REQUEST_INQ ? SCM_INQ : SCM_OUTQ;
	return request == REQUEST_INQ || request == REQUEST_OUTQ
	    ? SCM_OK
	    : SCM_ENOTTY;
}

int32_t
scm_option_find(const struct scm_message *m, enum scm_option *option,
    struct scm_value *value)
{
	if (m->malformed)
		return SCM_EINVAL;
	if (m->op == SCM_IOCTL)
		return find_request(m->request, option);
	for (int i = 0; i < SCM_INQ; i++) {
		if (options[i].level != m->level || options[i].name != m->name)
			continue;
		*option = (enum scm_option)i;
		if (m->op == SCM_SETOPT)
			return read_value(m, *option, value);
		return m->room < (i == SCM_LINGER ? 8 : 4) ? SCM_EINVAL
							   : SCM_OK;
	}
	return SCM_ENOPROTOOPT;
}

/* ---- To this system ----------------------------------------------------- */

#if defined(SIOCOUTQ)
#define NATIVE_OUTQ SIOCOUTQ
#else
#define NATIVE_OUTQ TIOCOUTQ
#endif

bool
scm_option_native(enum scm_option option, int *level, int *name)
{
	static const struct {
		int level, name;
	} natives[SCM_OPTION_COUNT] = {
		[SCM_KEEPALIVE] = { SOL_SOCKET, SO_KEEPALIVE },
		[SCM_ERROR] = { SOL_SOCKET, SO_ERROR },
		[SCM_RCVBUF] = { SOL_SOCKET, SO_RCVBUF },
		[SCM_SNDBUF] = { SOL_SOCKET, SO_SNDBUF },
		[SCM_LINGER] = { SOL_SOCKET, SO_LINGER },
		[SCM_NODELAY] = { IPPROTO_TCP, TCP_NODELAY },
#if defined(TCP_KEEPIDLE)
		[SCM_KEEPIDLE] = { IPPROTO_TCP, TCP_KEEPIDLE },
#elif defined(TCP_KEEPALIVE)
		[SCM_KEEPIDLE] = { IPPROTO_TCP, TCP_KEEPALIVE },
#else
		[SCM_KEEPIDLE] = { -1, 0 },
#endif
#if defined(TCP_KEEPINTVL)
		[SCM_KEEPINTVL] = { IPPROTO_TCP, TCP_KEEPINTVL },
		[SCM_KEEPCNT] = { IPPROTO_TCP, TCP_KEEPCNT },
#else
		[SCM_KEEPINTVL] = { -1, 0 },
		[SCM_KEEPCNT] = { -1, 0 },
#endif
		[SCM_V6ONLY] = { IPPROTO_IPV6, IPV6_V6ONLY },
		[SCM_INQ] = { -1, FIONREAD },
		[SCM_OUTQ] = { -1, NATIVE_OUTQ },
	};

	*level = natives[option].level;
	*name = natives[option].name;
	return *level != -1;
}

uint32_t
scm_value_write(uint8_t out[SCM_VALUE_MAX], enum scm_option option,
    const struct scm_value *value)
{
	struct writer w = writer_over(out, SCM_VALUE_MAX);
	int32_t first = value->v[0];

	if (option == SCM_ERROR)
		first = -scm_code_of_errno(first);
	write_le32(&w, (uint32_t)first);
	if (option == SCM_LINGER)
		write_le32(&w, (uint32_t)value->v[1]);
	return (uint32_t)writer_used(&w);
}
