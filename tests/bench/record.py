#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appends what was measured last to the file of results.

        record.py RESULTS bench.json [bench-scale.json]...

All files must be of one commit, without changes, and of one machine; a case that
several of them have has the runs of all, and goals are judged over all of them
together.
"""

import contextlib
import json
import os
import sys

import cases
import report


def load(paths):
    """(what is common to all, cases with their runs); exits when not one."""
    about, results = None, {}
    for path in paths:
        if not os.path.exists(path):
            continue
        with open(path) as text:
            one = json.load(text)
        own = {k: one[k] for k in ("machine", "commit", "bus")}
        if about is None:
            about = {**own, "date": one["date"]}
        elif any(about[k] != own[k] for k in own):
            sys.exit(f"{path} is of another commit, machine or bus")
        for row in one["results"]:
            results.setdefault(cases.parse(row["case"]), {}).setdefault(
                row["daemon"], []).extend(row["runs"])
    if about is None:
        sys.exit("nothing has been measured here: make bench")
    if about["commit"].endswith("-dirty"):
        sys.exit("what was measured is no commit: commit it, measure again")
    return about, results


def main():
    """Table and goals, under a line that tells when and where."""
    path, *sources = sys.argv[1:]
    about, results = load(sources)
    goals = report.Goals(os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "goals"))
    host = about["machine"]
    with open(path, "a") as file, contextlib.redirect_stdout(file):
        print(f"\n\n== {about['date']}, commit {about['commit']} ==\n\n"
              f"{host['cpu']}, {host['cores']} cores, "
              f"{host['memory_mib']} MiB, Linux {host['kernel']}; "
              f"bus: {about['bus']}")
        report.print_head()
        for case, runs in results.items():
            report.print_case(case, runs)
        report.print_goals(goals.judge(results))
    print(f"{path}: {len(results)} cases of commit {about['commit']} added")


if __name__ == "__main__":
    main()
