"""Measures nodes of two builds against each other, in turns in one run, so that a change in the machine's speed strikes both.

    bench/versus.py --before DIR --after DIR [--quick] [--rounds N] [--json FILE]

DIR is a folder with a concordatd and a concordat. What is compared is what docs/benchmarks.md has figures for; a ratio
above 1 means that the second is faster. Needs the release preset of load. Prints one JSON object per figure.
"""
import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import compare

TOLERATED = 0.95


def load(node, *options):
    run = compare.load(*node.load_options(0), "--warmup", 0.5, *options)
    assert set(run["statuses"]) == {"200"} and not run["errors"], run
    return run


class Figures:
    """What is measured on one node. Each gives something of which more is better."""

    def __init__(self, seconds, records):
        self.seconds, self.records = seconds, records
        self.post = ["--method", "POST", "--path", "/app/ingest", "--body",
                     json.dumps({"lei": "LEI{key}", "nace": "K.64.12"})]

    def short(self):
        many = ["--connections", 64, "--duration", self.seconds, "--key-range", compare.LOOKUP_KEYS]
        report = ["--path", "/app/report/LEI{key}"]
        for threads in (1, 2):
            yield (f"one record per request, 64 connections, {threads} client threads, requests/s",
                   self.rate([*many, "--threads", threads, *self.post]))
            yield (f"report of one record, 64 connections, {threads} client threads, requests/s",
                   self.rate([*many, "--threads", threads, *report]))
        yield "lone write, 1/p50", self.lone_write

    def rate(self, options):
        return lambda node: load(node, *options)["requests_per_second"]

    def lone_write(self, node):
        run = load(node, "--connections", 1, "--threads", 1, "--duration", self.seconds, *self.post)
        return 1e6 / run["latency_us"]["p50"]

    def bulk(self):
        yield "batches of 10,000, records/s", lambda node: compare.ingest_into_node(node, self.records)
        yield "full report, records/s", self.report
        yield "restart, replayed votes/s", self.replay

    def report(self, node):
        client = node.client(0)
        began = time.perf_counter()
        client.drain("/app/report")
        return self.records / (time.perf_counter() - began)

    def replay(self, node):
        node.stop()
        node.start()
        replayed = re.findall(r"replayed \d+ transactions in (\d+) ms", (node.folder / "log").read_text())
        return compare.MEMBERS * self.records / (int(replayed[-1]) / 1000)


def in_turns(figures, nodes, rounds):
    for name, measure in figures:
        values = {label: [] for label in nodes}
        for turn in range(rounds):
            # The order changes, so that none is always the one after the other.
            for label in sorted(nodes, reverse=turn % 2 == 1):
                values[label].append(measure(nodes[label]))
        ratio = statistics.median(after / before for before, after in zip(values["before"], values["after"]))
        row = {"figure": name, "before": round(statistics.median(values["before"])),
               "after": round(statistics.median(values["after"])), "ratio": round(ratio, 3), "met": ratio >= TOLERATED,
               "ratios": [round(after / before, 3) for before, after in zip(values["before"], values["after"])]}
        compare.results.append(row)
        print(json.dumps(row), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--after", type=Path, default=compare.BUILD / "bin")
    parser.add_argument("--quick", action="store_true", help="a tenth of the records, and shorter runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = Figures(2 if options.quick else 4, 100_000 if options.quick else 1_000_000)
    print(json.dumps({"machine": os.uname().release, "cores": os.cpu_count(), "load": os.getloadavg()[0]}), flush=True)

    def with_nodes(measure):
        with tempfile.TemporaryDirectory(prefix="concordat-versus-", dir=compare.ROOT / "build") as folder:
            nodes = {label: compare.Node(Path(folder) / label, binaries.resolve())
                     for label, binaries in (("before", options.before), ("after", options.after))}
            try:
                for node in nodes.values():
                    node.start()
                measure(nodes)
            finally:
                for node in nodes.values():
                    if node.process:
                        node.stop()

    def short(nodes):
        for node in nodes.values():
            client = node.client(0)
            for start in range(0, compare.LOOKUP_KEYS, compare.BATCH):
                body = json.dumps([{"lei": f"LEI{n}", "nace": "K.64.12"} for n in range(start, start + compare.BATCH)])
                assert client.request("POST", "/app/ingest", body)[0] == 200
        in_turns(figures.short(), nodes, options.rounds)

    with_nodes(short)
    # Each round of batches rewrites what is there, so that a few do.
    with_nodes(lambda nodes: in_turns(figures.bulk(), nodes, min(options.rounds, 3)))
    if options.json:
        options.json.write_text(json.dumps(compare.results, indent=1))


if __name__ == "__main__":
    sys.exit(main())
