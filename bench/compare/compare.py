#!/usr/bin/env python3
"""Runs achilles and other pools on the same workloads, in turns, and prints how they compare.

    compare.py --programs build/release/bench [--rounds N] [--workloads W1,W3] [--quick]
               [--svg FILE] [--markdown FILE] [--json FILE]

Rates of a busy or throttled machine say little; the ratios of runs side by side do.
"""
import argparse
import datetime
import importlib.util
import json
import math
import os
import shutil
import statistics
import subprocess
import sys

import python_pool

HERE = os.path.dirname(os.path.abspath(__file__))
TITLES = {
    "W1": ("tiny tasks, one a chunk", "k/s", True),
    "W2": ("tiny items, automatic chunks", "M/s", True),
    "W3": ("one call at a time, p50", "us", False),
    "W4": ("1 MiB in, 1 MiB out", "GB/s", True),
    "W5": ("skewed tasks, efficiency", "", True),
    "W7": ("program start to first result", "ms", False),
}
# Programs of C++: what they are called here, and the workloads that say something about them.
# (A job of 1 MiB takes gearmand a quarter of a second.)
PEERS = {
    "CAF": ("caf-peer", ["W1", "W3", "W4"]),
    "gearman": ("gearman-peer", ["W1", "W3", "W5"]),
    "bare ZeroMQ": ("bare-zmq", ["W1", "W3", "W4"]),
}
OURS = ("achilles embedded", "achilles tcp")


def contestants(programs, slots):
    """By name: the workloads it knows, and the command for one of them."""
    bench = os.path.join(programs, "achilles-bench")
    known = {}
    for place in ("embedded", "tcp"):
        known[f"achilles {place}"] = (list(TITLES), lambda w, place=place: [
            bench, "--workloads", w, "--places", place, "--rounds", "1", "--json", "-"])
    for kind in python_pools():
        does = [w for w in TITLES if (kind, w) != ("dask", "W2")]
        known[kind] = (does, lambda w, kind=kind: python_pool.command(kind, w, slots))
    for name, (program, does) in PEERS.items():
        path = os.path.join(programs, program)
        if os.path.exists(path):
            known[name] = (does, lambda w, path=path: [path, w])
    return {name: (workloads, lambda w, command=command: command(w) + ["--slots", str(slots)])
            for name, (workloads, command) in known.items()}


def python_pools():
    """Python's own, and those that are installed for this Python."""
    there = lambda module: importlib.util.find_spec(module) is not None
    pools = ["multiprocessing", "executor"]
    if there("mpi4py") and shutil.which("mpiexec"):
        pools.append("mpi4py")
    if there("distributed"):
        pools.append("dask")
    return pools


def run(command, quick):
    """The value; or why there is none."""
    try:
        done = subprocess.run(command + (["--quick"] if quick else []), capture_output=True,
                              text=True, timeout=60 if quick else 300)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return None, str(problem)
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or ["it failed"])[-1]
    said = json.loads(done.stdout)
    if "results" in said:
        said = dict(said["results"][0], value=said["results"][0]["median"])
    return said, None


def advantage(workload, ours, theirs):
    """How many times better ours is."""
    return ours / theirs if TITLES[workload][2] else theirs / ours


def table(workload, values, failures):
    title, unit, _ = TITLES[workload]
    lines = [f"{workload}  {title}{', ' + unit if unit else ''}",
             f"    {'':18} {'min':>9} {'median':>9} {'max':>9}   embedded is   tcp is"]
    medians = {name: statistics.median(found) for name, found in values.items()}
    for name, found in values.items():
        line = f"    {name:18} {min(found):9.3g} {medians[name]:9.3g} {max(found):9.3g}"
        for ours in OURS:
            times = advantage(workload, medians[ours], medians[name]) if ours in medians else None
            line += "            -" if times is None or name == ours else f"   {times:8.3g} x"
        lines.append(line)
    lines += [f"    {name:18} failed: {why}" for name, why in failures.items()]
    return "\n".join(lines)


def markdown(results, rounds, slots):
    """A table of the medians: a row for each workload, a column for each contestant."""
    names = list(dict.fromkeys(name for values in results.values() for name in values))
    number = lambda value: f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    lines = [f"{datetime.date.today()}, {slots} task processes on {os.cpu_count()} processors, "
             f"medians of {rounds} rounds:", "",
             "| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for workload, values in results.items():
        title, unit, _ = TITLES[workload]
        cells = [number(statistics.median(values[name])) if name in values else "–"
                 for name in names]
        lines.append(f"| {title}{', ' + unit if unit else ''} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def svg(results):
    """A group of bars for each workload, on a scale of powers of ten, longer is better."""
    width, left, bar, gap = 760, 150, 16, 34
    ratios = {}
    for workload, values in results.items():
        medians = {name: statistics.median(found) for name, found in values.items()}
        if "multiprocessing" in medians:
            ratios[workload] = {name: advantage(workload, value, medians["multiprocessing"])
                                for name, value in medians.items()}
    low = math.floor(math.log10(min(min(r.values()) for r in ratios.values())))
    high = math.ceil(math.log10(max(max(r.values()) for r in ratios.values())))
    high = max(high, low + 1)
    at = lambda ratio: left + (math.log10(ratio) - low) / (high - low) * (width - left - 60)
    body, y = [], 30
    for workload, group in ratios.items():
        body.append(f'<text x="8" y="{y}" class="head">{workload}  {TITLES[workload][0]}</text>')
        y += 8
        for name, ratio in group.items():
            kind = "ours" if name in OURS else "theirs"
            body.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{name}</text>')
            body.append(f'<rect x="{left}" y="{y}" width="{max(at(ratio) - left, 1):.1f}" '
                        f'height="{bar - 3}" class="{kind}"/>')
            body.append(f'<text x="{at(ratio) + 5:.1f}" y="{y + 12}">{ratio:.3g}</text>')
            y += bar
        y += gap
    grid = [f'<line x1="{at(10**n):.1f}" y1="14" x2="{at(10**n):.1f}" y2="{y - gap}" class="grid"/>'
            f'<text x="{at(10**n):.1f}" y="11" text-anchor="middle">{10.0**n:g}</text>'
            for n in range(low, high + 1)]
    style = ("text{font:12px sans-serif;fill:#57606a}.head{font-weight:bold}"
             ".ours{fill:#2f81f7}.theirs{fill:#8b949e}.grid{stroke:#8b949e;stroke-opacity:.35}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y - gap + 10}">'
            f'<title>Times multiprocessing, longer is better</title><style>{style}</style>'
            + "".join(grid + body) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True, help="where achilles-bench is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--workloads", default=",".join(TITLES))
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work?")
    parser.add_argument("--svg", help="write a plot to this file")
    parser.add_argument("--markdown", help="write a table of the medians to this file")
    parser.add_argument("--json", help="write all values to this file")
    options = parser.parse_args()
    workloads = options.workloads.split(",")
    for workload in workloads:
        if workload not in TITLES:
            parser.error(f"unknown workload {workload}; there are {', '.join(TITLES)}")
    known = contestants(options.programs, options.slots)
    results = {workload: {} for workload in workloads}
    failures = {workload: {} for workload in workloads}
    for number in range(options.rounds):
        for workload in workloads:
            for name, (does, command) in known.items():
                if workload not in does:
                    continue
                print(f"round {number + 1} of {options.rounds}: {workload} {name}", file=sys.stderr)
                said, why = run(command(workload), options.quick)
                if said is None:
                    failures[workload][name] = why
                else:
                    results[workload].setdefault(name, []).append(said["value"])
    print(f"{datetime.date.today()}, {options.rounds} rounds, {options.slots} task processes, "
          f"{os.cpu_count()} processors")
    for workload in workloads:
        print("\n" + table(workload, results[workload], failures[workload]))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as file:
            file.write(markdown(results, options.rounds, options.slots))
    if options.svg:
        with open(options.svg, "w", encoding="utf-8") as file:
            file.write(svg(results))
    # What others cannot do on this machine stands in the table; what achilles cannot is a fault.
    if any(name in failed for failed in failures.values() for name in OURS):
        sys.exit(1)


if __name__ == "__main__":
    main()
