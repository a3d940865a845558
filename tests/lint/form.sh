#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The rules of form that a machine can see.
set -eu
cd "${top_srcdir:-$(dirname "$0")/../..}"

# What people wrote: no build tree, nothing that Autotools made.
written() {
	[ $# -gt 0 ] || set -- -name '*'
	find src include tests man m4 etc .ci quickstart configure.ac Makefile.am \
	    -type f \( "$@" \) ! -path '*/corpus/*' ! -name 'l[ti]*.m4' \
	    ! -name '*~' ! -name '*.orig'
}

faults=0
fault() {
	echo "$*"
	faults=$((faults + 1))
}
# One fault for each line of standard input.
faults_from() {
	while IFS= read -r line; do
		fault "$line"
	done
}

# No file is longer than 600 lines.
faults_from < <(written -name '*.[ch]' -o -name '*.sh' | xargs wc -l |
    awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines, over 600" }')

# No function is longer than 100 lines, its braces at the margin included.
faults_from < <(written -name '*.c' | xargs awk '
	/^\{/ { start = FNR }
	/^\}/ && start {
		if (FNR - start > 100)
			print FILENAME ":" start ": " FNR - start " lines, over 100"
		start = 0
	}')

# Every file says under which licence it stands, in its first three lines.
while IFS= read -r file; do
	case $file in
	*.dict | *.golden | *.xml | *.plist | *.bin | *.txt | *.hex) continue ;;
	esac
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' ||
	    fault "$file: no SPDX-License-Identifier"
done < <(written)

# The layers that libmuxclient is built from are under the library's licence.
faults_from < <(grep -L 'SPDX-License-Identifier: LGPL-2.1-or-later' \
    src/{base,actor,wire,usbip,client}/*.[ch] include/*.h 2>/dev/null |
    sed 's/$/: the library is built from it, so LGPL-2.1-or-later/')

# No unfinished work.  (The words are put together so as not to find this.)
faults_from < <(written ! -name form.sh |
    xargs grep -nE "\b(TO""DO|FIX""ME|XX""X)\b" || true)

# No test sleeps for a fixed time and hopes.
faults_from < <(grep -rnE '(^|[;&|(]|do|then)[[:space:]]*(u?sleep|nanosleep|thrd_sleep)[[:space:](]' \
    tests --include='*.[ch]' --include='*.sh' --exclude=form.sh || true)

# Tabs, not blanks, and no blanks at an end of line.
faults_from < <(written -name '*.[ch]' -o -name '*.sh' |
    xargs grep -nE "^ {8}|[[:blank:]]$" || true)

echo "$(written | wc -l) files read, $faults faults"
[ "$faults" -eq 0 ]
