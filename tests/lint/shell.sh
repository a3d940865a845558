#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Shell scripts without a warning of shellcheck.
set -eu
command -v shellcheck >/dev/null || { echo 'shellcheck is missing'; exit 77; }
cd "${top_srcdir:-$(dirname "$0")/../..}"
mapfile -t scripts < <(find quickstart .ci/run tests -type f \
    ! -path '*/corpus/*' ! -path '*/_build*' -exec awk \
    'FNR == 1 && /^#!.*[\/ ](ba)?sh$/ { print FILENAME } { exit }' {} \;)
[ ${#scripts[@]} -gt 0 ]
shellcheck --external-sources --source-path=SCRIPTDIR --severity=info --exclude=SC2119,SC2120 "${scripts[@]}"
echo "${#scripts[@]} scripts read"
