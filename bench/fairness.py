"""Measures what short requests wait while somebody else has the node do long ones, in one run.

    bench/fairness.py [--quick] [--bin DIR]... [--json FILE]

Two pairs of figures, each alone and then beside the disturber, alternating:
- single writes on 8 connections, beside one client that submits batches of 17,000 records, each in random order
- reports of one record on 16 connections, beside one client that reads full reports of 1,000,000 records

A ratio means nothing if the disturber hardly got a turn, so what it got done is printed with it. What the machine itself
does to short requests when no processor is idle is measured in the same run: beside processes of the least urgent
scheduling class, one a core, that do nothing but compute (`p99_ms_beside_idle_class`). With several --bin (folders with a
concordatd and a concordat each), the same is measured with each of them, in turns.
Needs the release preset of concordat, concordatd and load. Prints one JSON object per figure.
"""
import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare

BATCH = 17_000
BODIES = 8


class Case:
    """Short requests of member 0, and what member 1 or 0 does beside them."""

    def __init__(self, name, connections, short, disturber, disturbing_member):
        self.name, self.connections, self.short = name, connections, short
        self.disturber, self.disturbing_member = disturber, disturbing_member

    def run(self, node, seconds, disturbed):
        options = ["--connections", self.connections, "--threads", 1, "--duration", seconds, "--warmup", 1,
                   *self.short]
        if not disturbed:
            return compare.load(*node.load_options(0), *options), None
        command = [compare.BUILD / "bench/load", *node.load_options(self.disturbing_member), "--connections", 1,
                   "--duration", seconds + 1, "--warmup", 0.5, *self.disturber]
        beside = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        try:
            short = compare.load(*node.load_options(0), *options)
        finally:
            output, _ = beside.communicate(timeout=300)
        return short, json.loads(output)


def be_least_urgent():
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@contextlib.contextmanager
def no_idle_processor():
    """Processes that use what processor time nobody else wants."""
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=be_least_urgent)
               for _ in range(os.cpu_count())]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def check(run, name):
    assert set(run["statuses"]) == {"200"} and not run["errors"], (name, run)


def measure(case, nodes, seconds, rounds):
    figures = {label: {"alone": [], "beside": [], "disturber": [], "idle_class": []} for label in nodes}
    for _ in range(rounds):
        for label, node in nodes.items():
            alone, _ = case.run(node, seconds, False)
            beside, disturber = case.run(node, seconds, True)
            with no_idle_processor():
                crowded, _ = case.run(node, seconds, False)
            for run in (alone, beside, disturber, crowded):
                check(run, case.name)
            figures[label]["alone"].append(alone)
            figures[label]["beside"].append(beside)
            figures[label]["disturber"].append(disturber)
            figures[label]["idle_class"].append(crowded)
    for label, runs in figures.items():
        def p99(kind, runs=runs):
            return statistics.median(run["latency_us"]["p99"] for run in runs[kind]) / 1000

        def rate(kind, runs=runs):
            return round(statistics.median(run["requests_per_second"] for run in runs[kind]), 1)
        ratio = p99("beside") / p99("alone")
        row = {"figure": case.name, "binaries": label, "p99_ms_alone": round(p99("alone"), 2),
               "p99_ms_beside": round(p99("beside"), 2), "ratio": round(ratio, 1), "target": "≤ 3", "met": ratio <= 3,
               "p99_ms_beside_idle_class": round(p99("idle_class"), 2),
               "rate_alone": rate("alone"), "rate_beside": rate("beside"),
               "disturber_requests": sum(run["requests"] for run in runs["disturber"]),
               "disturber_per_second": rate("disturber"),
               "disturber_p50_ms": round(statistics.median(r["latency_us"]["p50"] for r in runs["disturber"]) / 1000, 1),
               "p99_ms_each": [[round(run["latency_us"]["p99"] / 1000, 2) for run in runs[kind]]
                               for kind in ("alone", "beside", "idle_class")]}
        compare.results.append(row)
        print(json.dumps(row, ensure_ascii=False), flush=True)


def batch_bodies(folder, records):
    """Batches of member 1 over keys that he has, so that every page of the map may be touched."""
    files = []
    rows = [(compare.key_of(n), compare.value_of(n, 1)) for n in range(records)]
    compare.random.Random(7).shuffle(rows)
    size = min(BATCH, records)
    for number in range(BODIES):
        start = number * size % (records - size + 1)
        body = json.dumps([{"lei": k, "nace": v} for k, v in rows[start:start + size]], separators=(",", ":"))
        files.append(Path(folder) / f"batch{number}.json")
        files[-1].write_text(body)
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records, and shorter runs")
    parser.add_argument("--bin", type=Path, action="append", help="by default build/release/bin")
    parser.add_argument("--case", choices=["write", "report"], action="append", help="by default both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    records = 100_000 if options.quick else 1_000_000
    seconds = options.seconds or (2 if options.quick else 5)
    cases = options.case or ["write", "report"]
    print(json.dumps({"machine": os.uname().release, "cores": os.cpu_count(), "load": os.getloadavg()[0]}), flush=True)

    with tempfile.TemporaryDirectory(prefix="concordat-fairness-", dir=compare.ROOT / "build") as folder:
        nodes = {}
        try:
            for number, binaries in enumerate(options.bin or [compare.BUILD / "bin"]):
                node = compare.Node(Path(folder) / str(number), binaries.resolve())
                nodes[str(binaries)] = node
                node.start()
                compare.ingest_into_node(node, records)
            time.sleep(1)
            bodies = [part for file in batch_bodies(folder, records) for part in ("--body-file", file)]
            write = ["--method", "POST", "--path", "/app/ingest", "--header", "content-type: application/json"]
            body = json.dumps({"lei": "LEI{key}", "nace": "K.64.12"})
            if "write" in cases:
                measure(Case(f"single writes, 8 connections, beside batches of {BATCH:,}", 8, [*write, "--body", body],
                             [*write, *bodies], 1), nodes, seconds, options.rounds)
            if "report" in cases:
                measure(Case(f"reports of one record, 16 connections, beside full reports of {records:,}", 16,
                             ["--path", "/app/report/" + compare.key_of(77)], ["--path", "/app/report"], 0),
                        nodes, seconds, options.rounds)
        finally:
            for node in nodes.values():
                node.stop()
    if options.json:
        options.json.write_text(json.dumps(compare.results, indent=1))


if __name__ == "__main__":
    sys.exit(main())
