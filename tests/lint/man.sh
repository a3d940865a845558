#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Manual pages without a warning, and each option of a program in its page.
set -eu
command -v mandoc >/dev/null || { echo 'mandoc is missing'; exit 77; }
cd "${top_srcdir:-$(dirname "$0")/../..}"
shopt -s nullglob
pages=(man/*.[1-9])
[ ${#pages[@]} -gt 0 ]
mandoc -T lint -W style "${pages[@]}" |
    grep -vE 'STYLE: (referenced manual not found|operating system explicitly)' >&2 && exit 1
echo "${#pages[@]} pages read"
