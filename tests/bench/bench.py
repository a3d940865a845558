#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures muxd, and Debian's usbmuxd beside it, over virtual phones.

Each case is run several times, on both daemons in turn, each time with a new
daemon and new phones.  A run that fails, or hangs, is counted as such, and the
next one comes.  HACKING tells how to use it.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time

import cases
import figures
import report
from daemons import (START_SECONDS, Daemon, Failed, Setup,
                     raise_descriptors)

PATIENCE = 20           # for all connections
BETWEEN = 1.0           # what a run takes beside its measuring, about


class Bench:
    """What was asked for, and what came of it."""

    def __init__(self, options, setup):
        self.options, self.setup = options, setup
        self.kinds = ["muxd"]
        self.descriptors = raise_descriptors()
        if setup.stock is not None and "stock" in options.daemons:
            self.kinds.append("stock")
        self.results = {}       # case: kind: list of figures

    def measure(self, daemon, case):
        """One run of muxbench; what it has printed."""
        scenario = cases.SCENARIOS[case.scenario]
        argv = [self.setup.load, "-s", daemon.socket,
                "-w", str(scenario.warm_up), "-d", str(self.options.seconds), "-p",
                str(daemon.process.pid), "--patience", str(PATIENCE),
                "-t", str(self.options.threads)]
        if daemon.apart() is not None:
            argv += ["--apart", daemon.apart()]
        for group in case.groups():
            argv += ["-g", group]
        if scenario.stall:
            argv.append("--wait")
        with subprocess.Popen(argv, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as load:
            try:
                if scenario.stall:
                    self.when_connected(load, daemon, scenario.stall)
                out, err = load.communicate(
                    timeout=scenario.warm_up + self.options.seconds +
                    PATIENCE + 10 + case.phones * case.conns / 100)
            except subprocess.TimeoutExpired as error:
                raise Failed("the load hangs") from error
            finally:
                load.kill()
        try:
            result = json.loads(out)
        except ValueError as error:
            raise Failed(err.strip() or "the load has failed") from error
        if result["fault"]:
            raise Failed(result["fault"])
        return result

    @staticmethod
    def when_connected(load, daemon, stall):
        """Stalls one phone between the connections and the load."""
        if load.stdout.readline() != "connected\n":
            raise Failed(load.stderr.read().strip() or "no connections")
        daemon.phones.command(f"stall {daemon.phones.number(stall)}")

    def run(self, kind, case):
        """The figures of one run, or why there are none."""
        daemon = Daemon(self.setup, kind, case)
        keep = False
        try:
            with daemon:
                windows = cases.WINDOWS[case.window]
                if len(windows) > 1:
                    daemon.phones.shrink(case.phones, windows)
                result = self.measure(daemon, case)
                daemon.phones.stop_shrinking()
                daemon.look()
            found = figures.of_run(result, daemon.bus)
            found["violations"] = daemon.phones.violations()
            found["ended"] = int(daemon.in_time)
            return found
        except (Failed, OSError) as error:
            keep = self.options.keep
            return {"failed": str(error)}
        finally:
            if keep:
                print(f"kept: {daemon.directory}", file=sys.stderr)
            else:
                daemon.remove()

    def run_all(self, chosen):
        """Every case, both daemons in turn."""
        done, started = 0, time.monotonic()
        total = len(chosen) * self.options.runs * len(self.kinds)
        for case in chosen:
            if case.descriptors() > self.descriptors:
                total -= self.options.runs * len(self.kinds)
                print(f"{case}: not run, it needs {case.descriptors()} "
                      "descriptors")
                continue
            runs = self.results[case] = {kind: [] for kind in self.kinds}
            for _ in range(self.options.runs):
                for kind in self.kinds:
                    found = self.run(kind, case)
                    runs[kind].append(found)
                    done += 1
                    if "failed" in found:
                        print(f"{case} {kind}: {found['failed']}",
                              file=sys.stderr)
            report.print_case(case, runs)
            if sys.stderr.isatty():
                left = (time.monotonic() - started) / done * (total - done)
                print(f"{done} of {total} runs, {left / 60:.1f} min to go",
                      file=sys.stderr)


# ---- What is run -----------------------------------------------------------

def words(text):
    """A list out of blanks or commas."""
    return text.replace(",", " ").split()


def choose(options, goals):
    """The cases of the profile, or of the whole matrix once any is named."""
    named = any((options.bench, options.phones, options.conns,
                 options.paces))
    if options.cases:
        return [cases.parse(name) for name in options.cases]
    matrix = {
        "quick": lambda: cases.product(cases.QUICK),
        "full": lambda: cases.product(cases.FULL),
        "scale": lambda: cases.product(cases.SCALE),
        "usbip": lambda: cases.product(cases.USBIP),
        # The largest are make bench-scale's.
        "goals": lambda: [c for c in goals.cases() if c.phones <= 64 and
                          c.scenario != "quiet"],
    }
    profile = options.profile or ("full" if named else "quick")
    return cases.select(matrix[profile](), options.bench, options.phones,
                        options.conns, options.paces)


def parse_options():
    """The command line; make hands its variables over."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--build", required=True, help="the build tree")
    add("--bench", type=words, default=[], metavar="SCENARIO...")
    add("--phones", type=words, default=[], metavar="N...")
    add("--conns", type=words, default=[], metavar="N...")
    add("--paces", type=words, default=[], metavar="PACE...")
    add("--cases", type=words, default=[], metavar="CASE...",
        help="these and no others, wholly written")
    add("--profile", default="", metavar="PROFILE",
        choices=["", "quick", "goals", "full", "scale", "usbip"])
    add("--bus", choices=["virtual", "usbnet", "usbip"], default="virtual")
    add("--delay", type=float, default=0, metavar="MS",
        help="each way to the phones, over TCP")
    add("--muxd", metavar="PROGRAM", help="another than the tree's")
    add("--stock", metavar="PROGRAM", help="another than Debian's")
    add("--patience", type=float, default=START_SECONDS, metavar="S",
        help="until all phones are listed (%(default)s)")
    add("--daemons", type=words, default=["muxd", "stock"])
    add("--runs", type=int, default=5)
    add("--seconds", type=float, default=1.0)
    add("--threads", type=int, default=1, help="of the load")
    add("--keep", action="store_true", help="the logs of a run that fails")
    add("--output", default="bench", metavar="NAME",
        help="writes NAME.json and NAME.svg")
    add("--list", action="store_true", help="the cases, and nothing else")
    return parser.parse_args()


def git_commit(source):
    """The commit that is checked out, or `unknown'."""
    said = subprocess.run(["git", "-C", source, "describe", "--always",
                           "--dirty", "--abbrev=12"], capture_output=True,
                          text=True, check=False)
    return said.stdout.strip() or "unknown"


def machine():
    """What the figures depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    model = platform.machine()
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cores": len(os.sched_getaffinity(0)), "cpu": model,
            "memory_mib": memory >> 20,
            "kernel": platform.release()}


def main():
    """Everything, from the options to the goals."""
    options = parse_options()
    here = os.path.dirname(os.path.abspath(__file__))
    goals = report.Goals(os.path.join(here, "goals"))
    chosen = choose(options, goals)
    if not chosen:
        sys.exit("bench: no such case")
    if options.list:
        print("\n".join(map(str, chosen)))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    setup = Setup(options)
    bench = Bench(options, setup)
    minutes = sum(cases.SCENARIOS[case.scenario].warm_up + options.seconds +
                  BETWEEN for case in chosen) * options.runs * len(
                      bench.kinds) / 60
    print(f"{len(chosen)} cases, {options.runs} runs each of "
          f"{' and '.join(bench.kinds)} on the bus `{options.bus}', "
          f"{f'{options.delay:g} ms away, ' if options.delay else ''}"
          f"{bench.descriptors} descriptors a process: about {minutes:.0f} min")
    if "stock" in options.daemons and setup.stock is None:
        print("Debian's usbmuxd is not there (./quickstart check unpacks it),"
              " or no file system can be mounted: muxd alone")
    report.print_head()
    try:
        bench.run_all(chosen)
    except KeyboardInterrupt:
        print("ended by hand: what follows is of the runs so far")
    record = report.record(bench.results, {
        "date": time.strftime("%Y-%m-%d %H:%M"), "machine": machine(),
        "commit": git_commit(here), "bus": options.bus, "delay_ms": options.delay,
        "runs": options.runs, "seconds": options.seconds})
    if options.bus == "virtual":
        record["goals"] = goals.judge(bench.results)
        report.print_goals(record["goals"])
    else:
        print("\nGoals are judged on the bus `virtual' only")
    with open(options.output + ".json", "w") as file:
        json.dump(record, file, indent=1)
    print(report.plot(record, options.output))
    if not any("failed" not in run for kinds in bench.results.values()
               for run in kinds["muxd"]):
        sys.exit("bench: not one run of muxd has succeeded")


if __name__ == "__main__":
    main()
