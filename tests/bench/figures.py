# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run's counts mean: figures with a name and a unit.

Those of one group are GROUP.rate, GROUP.p50 and so on; the first group's are
also the case's own.  A figure that a run does not have is None.
"""

import statistics

# name: (unit, of which less is better)
UNITS = {
    "rate": "MB/s or 1/s",
    "p50": "us",
    "p99": "us",
    "max": "us",
    "longest": "us",    # drain: the longest wait of any
    "unfair": "",       # the largest distance of a phone's share from the mean
    "worst": "",        # the smallest share, of the mean
    "cost": "s/GB, or us each",
    "cpu": "s/s",
    "switches": "1/s",
    "threads": "",
    "resident": "MB",
    "peak": "MB",
    "load": "s/s",      # processor time of the load itself
}


def of_group(group, seconds):
    """One group's own figures."""
    counts = group["kind"] in ("echo", "connect", "drain")
    if counts:
        rate = group["cycles"] / seconds
    else:
        rate = max(group["in"], group["out"]) / seconds / 1e6
    found = {"rate": rate}
    for name in ("p50", "p99", "max", "longest"):
        if f"{name}_ns" in group:
            found[name] = group[f"{name}_ns"] / 1e3
    shares = group["by_phone"]
    mean = statistics.fmean(shares) if shares else 0
    if len(shares) > 1 and mean > 0:
        found["unfair"] = max(abs(s - mean) for s in shares) / mean
        found["worst"] = min(shares) / mean
    return found


def own_cost(groups, cpu):
    """Seconds a GB where streams are; else microseconds a cycle."""
    moved = sum(g["in"] + g["out"] for g in groups
                if g["kind"] in ("down", "up", "both"))
    if moved:
        return cpu / (moved / 1e9)
    cycles = sum(g["cycles"] for g in groups)
    return cpu / cycles * 1e6 if cycles else None


def of_run(result, bus):
    """All figures of one run of muxbench."""
    seconds = result["ns"] / 1e9
    daemon = result["daemon"]
    span = daemon["ns"] / 1e9
    cpu = (daemon["cpu_ns"] - daemon["apart_cpu_ns"]) / 1e9 / span
    found = {}
    for group in reversed(result["groups"]):
        own = of_group(group, seconds)
        found.update({f"{group['name']}.{k}": v for k, v in own.items()})
        if group is result["groups"][0]:
            found.update(own)
    found.update({
        "cpu": cpu,
        "cost": own_cost(result["groups"], cpu * seconds),
        "switches": daemon["switches"] / span,
        "threads": daemon["threads"],
        "load": result["load_cpu_ns"] / 1e9 / span,
    })
    if bus != "virtual":        # there the phones lie in the same memory
        found["resident"] = daemon["resident_kib"] / 1024 * 1.048576
        found["peak"] = daemon["peak_kib"] / 1024 * 1.048576
    return found


def values(runs, name):
    """A figure of all runs that have it."""
    return [run[name] for run in runs
            if run.get(name) is not None and "failed" not in run]


def summary(runs, name):
    """(median, least, most), or None."""
    found = values(runs, name)
    if not found:
        return None
    return statistics.median(found), min(found), max(found)


def median(runs, name):
    """The median alone, or None; failed and violations are sums."""
    if name == "failed":
        return sum("failed" in run for run in runs)
    if name == "violations":
        return sum(values(runs, name))
    found = summary(runs, name)
    return found[0] if found else None
