# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables, goals, JSON and a plot of what has been measured."""

import operator
import os
import re
import shutil
import subprocess

import cases
import figures

ROW = ("{:<27} {:<6} {:>8} {:>17} {:>6} {:>8} {:>8} {:>7} {:>6} {:>8} {:>4} "
       "{:>6} {:>4} {:>6}")
HEAD = (("case", "", "rate", "(least-most)", "x", "p50", "p99", "cost", "x",
         "switches", "thr.", "peak", "bad", "failed"),
        ("", "", "MB/s 1/s", "", "stock", "us", "us", "", "stock", "1/s", "",
         "MB", "", ""))


def short(value):
    """Three digits or more, as short as they can be; a dash for None."""
    if value is None:
        return "-"
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def ratio(a, b):
    """a / b, or None; nothing is as much as nothing."""
    if a is None or b is None or (b == 0 and a != 0):
        return None
    return a / b if b else 1


def print_head():
    """Two lines over the table; `cost' is own processor time."""
    print("\nmedians of the runs, and the spread of rates; cost: own processor "
          "time, s a GB or us each;\nbad: what phones saw violated; x: ratio "
          "to Debian's usbmuxd in the same run\n")
    for line in HEAD:
        print(ROW.format(*line).rstrip())


def row(label, group, kind, runs, stock, first):
    """One line: a group of connections on one daemon.

    What is the whole run's stands in the first group's line only.
    """
    def get(name):
        return figures.median(runs, name)

    def against(name):
        if kind == "stock":
            return None
        return ratio(get(name), figures.median(stock, name) or None)

    prefix = f"{group}." if group else ""
    spread = figures.summary(runs, f"{prefix}rate")
    whole = (short(get("cost")), short(against("cost")),
             short(get("switches")), short(get("threads")),
             short(get("peak")), get("violations"),
             f"{get('failed')}/{len(runs)}")
    return ROW.format(
        label, kind, short(get(f"{prefix}rate")),
        f"({short(spread[1])}-{short(spread[2])})" if spread else "",
        short(against(f"{prefix}rate")), short(get(f"{prefix}p50")),
        short(get(f"{prefix}p99")),
        *(whole if first else [""] * len(whole))).rstrip()


def print_case(case, runs):
    """A line for each daemon and each group of connections."""
    groups = [g.split(":", 1)[0] for g in case.groups()] or [""]
    for number, group in enumerate(groups):
        label = str(case) if number == 0 else f"  {group}"
        for kind in runs:
            print(row(label, group, kind, runs[kind],
                      runs.get("stock", []), number == 0), flush=True)
            label = ""
    for kind, some in runs.items():
        killed = sum(run.get("ended") == 0 for run in some)
        if killed:
            print(f"  {kind} did not end on SIGTERM in {killed} of "
                  f"{len(some)} runs")


# ---- Goals -----------------------------------------------------------------

COMPARE = {"<=": operator.le, ">=": operator.ge}


class Goals:
    """The file of goals: CASE FIGURE <=|>= NUMBER [stock|wire|CASE:FIGURE]."""

    def __init__(self, path):
        self.rows = []
        with open(path) as lines:
            for number, line in enumerate(lines, 1):
                line = line.split("#")[0].split()
                if line:
                    self.rows.append(self.parse(line, f"{path}:{number}"))

    @staticmethod
    def parse(line, where):
        """One goal; ValueError names its place."""
        try:
            case, figure, compare, bound, *of = line
            if compare not in COMPARE or len(of) > 1:
                raise ValueError("no goal")
            reference = of[0] if of else None
            if reference not in (None, "stock", "wire"):
                other, name = reference.split(":")
                reference = (cases.parse(other), name)
            return (cases.parse(case), figure, compare, float(bound),
                    reference)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error

    def cases(self):
        """All that a run must have to judge every goal."""
        found = []
        for case, _, _, _, reference in self.rows:
            more = [reference[0]] if isinstance(reference, tuple) else []
            found += [c for c in [case] + more if c not in found]
        return found

    def judge(self, results):
        """For each goal its measured ratio, and whether it is reached."""
        return [judge(results, *goal) for goal in self.rows]


def base_of(results, case, figure, reference):
    """What a goal's figure is divided by: its name, its median, and a function
    that gives it for the run of that number.
    """
    if reference in (None, "wire"):
        constant = case.wire() if reference else 1
        return reference or "", constant, lambda number: constant
    kind, name = "stock", figure
    if reference != "stock":
        case, name = reference
        kind, reference = "muxd", f"{case}:{name}"
    runs = results.get(case, {}).get(kind, [])
    return (reference, figures.median(runs, name) if runs else None,
            lambda number: runs[number].get(name)
            if number < len(runs) else None)


def judge(results, case, figure, compare, bound, reference):
    """One goal; its `measured' and `reached' are None where it was not."""
    runs = results.get(case, {}).get("muxd", [])
    against, base, base_in = base_of(results, case, figure, reference)
    value = figures.median(runs, figure) if runs else None
    measured = ratio(value, base)
    each = [ratio(run[figure], base_in(number))
            for number, run in enumerate(runs)
            if run.get(figure) is not None and "failed" not in run]
    each = [one for one in each if one is not None] or [measured]
    return {"case": str(case), "figure": figure,
            "wanted": f"{compare} {bound:g}", "of": against, "value": value,
            "base": base if against else None, "measured": measured,
            "least": min(each) if measured is not None else None,
            "most": max(each) if measured is not None else None,
            "reached": None if measured is None
            else COMPARE[compare](measured, bound)}


def print_goals(judged):
    """A line for each goal that could be judged, and a count of the rest."""
    verdict = {True: "reached", False: "NOT REACHED", None: "not measured"}
    known = [g for g in judged if g["measured"] is not None]
    print("\nGoals")
    for goal in known:
        of = f" of {goal['of']}" if goal["of"] else ""
        spread = f"({short(goal['least'])}-{short(goal['most'])})"
        values = ""
        if goal["base"] is not None:
            values = f": {short(goal['value'])} / {short(goal['base'])}"
        print(f"  {verdict[goal['reached']]:<12} {goal['case']:<27} "
              f"{goal['figure']:<10} {short(goal['measured']):>7} "
              f"{spread:<17} wanted {goal['wanted']}{of}{values}")
    print(f"  {sum(g['reached'] for g in known)} reached, "
          f"{sum(not g['reached'] for g in known)} not reached, "
          f"{len(judged) - len(known)} not measured in this run")


# ---- Files -----------------------------------------------------------------

def record(results, about):
    """All of it, for json."""
    rows = []
    for case, kinds in results.items():
        for kind, runs in kinds.items():
            names = sorted({n for r in runs for n in r if n != "failed"})
            rows.append({
                "case": str(case), "daemon": kind, "runs": runs,
                "summary": {n: dict(zip(("median", "least", "most"),
                                        figures.summary(runs, n) or ()))
                            for n in names}})
    return {**about, "results": rows}


PLOT = """set terminal svg size 1100,{height} dynamic background 'white'
set output '{out}'
set title 'muxd beside usbmuxd 1.1.1: {title}'
set style fill solid 0.8 noborder
set boxwidth 0.35
set xlabel 'times what usbmuxd 1.1.1 shows (logarithmic)'
set logscale x 2
set grid xtics
set yrange [{rows}:-1]
set ytics ({tics})
set key outside top center horizontal
set arrow from 1,graph 0 to 1,graph 1 nohead lw 2
plot '{data}' using (1):($1-0.2):(1):2:($1-0.37):($1-0.03) with boxxyerror \\
 title 'rate', '' using (1):($1+0.2):(1):3:($1+0.03):($1+0.37) \\
 with boxxyerror title 'own processor time'
"""


def plot(record_, name):
    """A picture of the ratios, where gnuplot is; says what it did."""
    by_case = {}
    for entry in record_["results"]:
        by_case.setdefault(entry["case"], {})[entry["daemon"]] = \
            entry["summary"]

    def times(kinds, figure):
        pair = [kinds.get(k, {}).get(figure, {}).get("median")
                for k in ("muxd", "stock")]
        return ratio(*pair)
    rows = [(case, times(kinds, "rate"), times(kinds, "cost"))
            for case, kinds in by_case.items()]
    rows = [(case, rate, cost) for case, rate, cost in rows if rate]
    if not rows:
        return f"{name}.json has it all; there is nothing to compare in a plot"
    if shutil.which("gnuplot") is None:
        return (f"{name}.json has it all; gnuplot is not installed, so there "
                "is no plot")
    with open(name + ".dat", "w") as data:
        for number, (_, rate, cost) in enumerate(rows):
            print(number, rate, cost or 1, file=data)
    tics = ", ".join(f"'{re.sub('[^a-z0-9+/x-]', '', case)}' {n}"
                     for n, (case, _, _) in enumerate(rows))
    script = PLOT.format(height=120 + 26 * len(rows), out=f"{name}.svg",
                         title=record_["commit"], rows=len(rows), tics=tics,
                         data=f"{name}.dat")
    said = subprocess.run(["gnuplot"], input=script, text=True, check=False,
                          capture_output=True)
    os.unlink(name + ".dat")
    if said.returncode != 0:
        return f"{name}.json has it all; gnuplot: {said.stderr.strip()}"
    return f"{name}.json has it all, and {name}.svg the ratios"
