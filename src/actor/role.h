/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_ROLE_H
#define MUXD_ACTOR_ROLE_H

/*
 * Thread roles, checked by the compiler.
 *
 * A role is a global capability that a thread takes once, in its entry
 * function, and never gives back.  A function marked RUNS_ON(role) can be
 * called only from code that holds the role, a field marked OWNED_BY(role)
 * can be touched only there.  Clang checks both with -Wthread-safety; other
 * compilers see nothing.
 *
 * The check is per kind of thread, not per instance, and it does not look
 * through a pointer to a function unless that pointer's type carries the role.
 */

#if defined(__clang__)
#define ROLE_ATTR(x) __attribute__((x))
#else
#define ROLE_ATTR(x)
#endif

struct ROLE_ATTR(capability("role")) role {
	char unused;
};

#define RUNS_ON(r) ROLE_ATTR(requires_capability(r))
#define OWNED_BY(r) ROLE_ATTR(guarded_by(r))
#define TAKES_ROLE(r) ROLE_ATTR(acquire_capability(r))
#define DROPS_ROLE(r) ROLE_ATTR(release_capability(r))
/* Said of a function in which the check cannot see who runs, with the reason
 * in a comment beside it. */
#define ROLE_UNCHECKED ROLE_ATTR(no_thread_safety_analysis)

static inline void
role_take(struct role *r) TAKES_ROLE(*r) ROLE_UNCHECKED
{
	(void)r;
}

static inline void
role_drop(struct role *r) DROPS_ROLE(*r) ROLE_UNCHECKED
{
	(void)r;
}

#endif
