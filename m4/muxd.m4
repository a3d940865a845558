# SPDX-License-Identifier: GPL-3.0-or-later
#
# What configure.ac needs beyond Autoconf and pkg-config.  It stands here so
# that a build from git needs no archive of macros.

# MUXD_C_FLAGS(VARIABLE, FLAGS)
# Appends to VARIABLE each of FLAGS (separated by blanks) that the C compiler
# takes without a murmur.  -Werror makes Clang refuse what it does not know.
AC_DEFUN([MUXD_C_FLAGS],
[m4_foreach_w([muxd_flag], [$2], [_MUXD_C_FLAG([$1], m4_defn([muxd_flag]))])])

AC_DEFUN([_MUXD_C_FLAG],
[AS_VAR_PUSHDEF([muxd_cache], [muxd_cv_c_flag_$2])dnl
AC_CACHE_CHECK([whether $CC takes $2], [muxd_cache],
	[muxd_saved_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS -Werror $2"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
		[AS_VAR_SET([muxd_cache], [yes])],
		[AS_VAR_SET([muxd_cache], [no])])
	CFLAGS=$muxd_saved_CFLAGS])
AS_VAR_IF([muxd_cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([muxd_cache])dnl
])

# MUXD_LINK_FLAGS(VARIABLE, FLAGS)
# The same for the linker.
AC_DEFUN([MUXD_LINK_FLAGS],
[m4_foreach_w([muxd_flag], [$2], [_MUXD_LINK_FLAG([$1], m4_defn([muxd_flag]))])])

AC_DEFUN([_MUXD_LINK_FLAG],
[AS_VAR_PUSHDEF([muxd_cache], [muxd_cv_link_flag_$2])dnl
AC_CACHE_CHECK([whether the linker takes $2], [muxd_cache],
	[muxd_saved_LDFLAGS=$LDFLAGS
	LDFLAGS="$LDFLAGS $2"
	AC_LINK_IFELSE([AC_LANG_PROGRAM()],
		[AS_VAR_SET([muxd_cache], [yes])],
		[AS_VAR_SET([muxd_cache], [no])])
	LDFLAGS=$muxd_saved_LDFLAGS])
AS_VAR_IF([muxd_cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([muxd_cache])dnl
])

# MUXD_PTHREAD
# Sets PTHREAD_CFLAGS and PTHREAD_LIBS.  -pthread is right with every compiler
# that knows C11 atomics, except where the C library has threads in itself.
AC_DEFUN([MUXD_PTHREAD],
[AC_CACHE_CHECK([how to build with POSIX threads], [muxd_cv_pthread],
	[muxd_cv_pthread=no
	muxd_saved_CFLAGS=$CFLAGS
	for muxd_try in -pthread ''; do
		CFLAGS="$muxd_saved_CFLAGS $muxd_try"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <pthread.h>
static void *run(void *arg) { return arg; }]],
			[[pthread_t id;
			return pthread_create(&id, 0, run, 0);]])],
			[muxd_cv_pthread=${muxd_try:-nothing}
			break])
	done
	CFLAGS=$muxd_saved_CFLAGS])
AS_CASE([$muxd_cv_pthread],
	[no], [AC_MSG_ERROR([POSIX threads do not work with $CC])],
	[nothing], [PTHREAD_CFLAGS='' PTHREAD_LIBS=''],
	[PTHREAD_CFLAGS=$muxd_cv_pthread PTHREAD_LIBS=$muxd_cv_pthread])
AC_SUBST([PTHREAD_CFLAGS])
AC_SUBST([PTHREAD_LIBS])])

# MUXD_ENABLE(NAME, HELP, DEFAULT)
# One line for one --enable-NAME / --disable-NAME; sets enable_NAME.
AC_DEFUN([MUXD_ENABLE],
[AC_ARG_ENABLE([$1],
	[AS_HELP_STRING(m4_if([$3], [yes], [--disable-$1], [--enable-$1]), [$2])],
	[], [AS_VAR_SET([enable_]AS_TR_SH([$1]), [$3])])])

# MUXD_NEED(PREFIX, MODULE, WHAT)
# A library that muxd cannot do without, looked for with pkg-config.
AC_DEFUN([MUXD_NEED],
[PKG_CHECK_MODULES([$1], [$2], [],
	[AC_MSG_ERROR([$2 is missing: $3

    Debian, Ubuntu   apt-get install libusb-1.0-0-dev libplist-dev
    Fedora           dnf install libusb1-devel libplist-devel
    Arch             pacman -S libusb libplist
    Alpine           apk add libusb-dev libplist-dev
    openSUSE         zypper install libusb-1_0-devel libplist-2_0-devel
    macOS            brew install libusb libplist

or let ./quickstart install what is missing.])])])

# MUXD_WITH_DIR(NAME, WHAT, DIRECTORY, TEST)
# --with-NAME=DIRECTORY, where WHAT is installed; "no": not at all.  Without it,
# DIRECTORY if the shell command TEST succeeds.  That lies below a prefix:
# systemd and udev look below /usr and /usr/local alike, and an installation
# elsewhere writes nowhere else.  Sets $1, empty for "no".
AC_DEFUN([MUXD_WITH_DIR],
[AC_ARG_WITH([$1],
	[AS_HELP_STRING([--with-$1=DIR],
		[where to install $2 (no: nowhere)])],
	[], [AS_VAR_SET([with_$1], [auto])])
AS_CASE([$with_$1],
	[no], [$1=],
	[auto], [AS_IF([$4], [$1='$3'], [$1=])],
	[yes], [$1='$3'],
	[$1=$with_$1])
AC_SUBST([$1])])

# MUXD_EXPAND(VARIABLE, DIRECTORY)
# DIRECTORY with its ${prefix} filled in, for people to read.  Makefiles use
# the unexpanded one, so that `make prefix=...` stays true.
AC_DEFUN([MUXD_EXPAND],
[$1=$2
while AS_CASE([$$1], [*'$'*], [:], [false]); do
	$1=`test "$prefix" != NONE || prefix=$ac_default_prefix
		test "$exec_prefix" != NONE || exec_prefix=$prefix
		eval "echo \"$$1\""`
done])
