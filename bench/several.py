"""Measures three nodes that agree against one, in turns in one run, and how long nobody can write when one is lost.

    bench/several.py [--quick] [--rounds N] [--failures N] [--failures-only] [--json FILE]

Needs the release preset of load, concordatd and concordat. Prints one JSON object per figure; a ratio is of three nodes
to one, above 1 is better (for the lone write: times as long, below is better).
"""
import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/e2e")]
os.environ.setdefault("CONCORDAT_BIN", str(ROOT / "build/release/bin"))

import compare  # noqa: E402
from machines import Machines, leave_network  # noqa: E402
from network import UNREACHABLE, Network  # noqa: E402

POST = ["--method", "POST", "--path", "/app/ingest", "--body", json.dumps({"lei": "LEI{key}", "nace": "K.64.12"})]
WRITERS = 64
LONGEST_GAP = {"p50": 0.8, "max": 2.0}


class Primary:
    """The primary of a network, as compare.py wants a node."""

    def __init__(self, network):
        self.network, self.node = network, network.primary()

    def load_options(self, member):
        return ["--url", f"https://{self.node.address}", "--ca", self.node.service_certificate,
                "--cert", self.node.members[member].certificate_file, "--key", self.node.members[member].key_file]

    def client(self, member):
        return compare.Client(self.node.address, self.node.common, member)


def load(primary, *options):
    threads = 1 if "--connections" in options and options[options.index("--connections") + 1] == 1 else 2
    run = compare.load(*primary.load_options(0), "--warmup", 0.5, "--threads", threads, *options)
    assert set(run["statuses"]) == {"200"} and not run["errors"], run
    return run


def figures(seconds, records):
    many = ["--connections", 64, "--duration", seconds, "--key-range", compare.LOOKUP_KEYS]
    yield ("one record per request, 64 connections, requests/s", 0.45,
           lambda at: load(at, *many, *POST)["requests_per_second"])
    yield "batches of 10,000, records/s", 0.45, lambda at: compare.ingest_into_node(at, records)
    yield ("lone write, p50 in us", 2.5,
           lambda at: load(at, "--connections", 1, "--duration", seconds, *POST)["latency_us"]["p50"])
    yield ("report of one record, 64 connections, requests/s", 0.5,
           lambda at: load(at, *many, "--path", "/app/report/LEI{key}")["requests_per_second"])


def measure_speed(folder, options):
    sizes = (1, 3)
    networks = {size: Network(folder / f"of{size}", size, changes={}) for size in sizes}
    try:
        primaries = {size: Primary(network) for size, network in networks.items()}
        for primary in primaries.values():
            client = primary.client(0)
            for start in range(0, compare.LOOKUP_KEYS, compare.BATCH):
                body = json.dumps([{"lei": f"LEI{n}", "nace": "K.64.12"} for n in range(start, start + compare.BATCH)])
                assert client.request("POST", "/app/ingest", body)[0] == 200
        for name, target, measure in figures(2 if options.quick else 4, 50_000 if options.quick else 300_000):
            values = {size: [] for size in sizes}
            for turn in range(options.rounds):
                for size in sorted(sizes, reverse=turn % 2 == 1):
                    values[size].append(measure(primaries[size]))
            ratio = statistics.median(three / one for one, three in zip(values[1], values[3]))
            met = ratio <= target if target > 1 else ratio >= target
            tell({"figure": name, "one": round(statistics.median(values[1])), "three": round(statistics.median(values[3])),
                  "ratio": round(ratio, 3), "target": target, "met": met})
    finally:
        for network in networks.values():
            network.kill()


class Writers:
    """Write to whichever node takes it, and note when something was acknowledged."""

    def __init__(self, network):
        self.network, self.times, self.ends = network, [], threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(number,), daemon=True) for number in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, number):
        # At random: in turns, all of them would end up at the same node, and measure their own time-out once it is lost.
        count, choose = 0, random.Random(number).choice
        while not self.ends.is_set():
            try:
                with choose(self.network.living()).member(0, timeout=1).session() as session:
                    while not self.ends.is_set():
                        count += 1
                        body = json.dumps({"lei": f"W{number}-{count}", "nace": "1"}).encode()
                        if session.request("POST", "/app/ingest", body).status != 200:
                            break
                        self.times.append(time.monotonic())
            except UNREACHABLE:
                pass
            time.sleep(0.02)

    def gap(self, since):
        """The longest time without an acknowledgement from then on, in seconds."""
        times = sorted(at for at in list(self.times) if at >= since)
        return max(later - earlier for earlier, later in zip([since, *times], times))


class Kill:
    name = "SIGKILL"

    def begin(self, network, victim):
        victim.kill()

    def end(self, network, victim):
        victim.launch()


class Stop:
    name = "SIGSTOP"

    def begin(self, network, victim):
        os.kill(victim.process.pid, signal.SIGSTOP)

    def end(self, network, victim):
        os.kill(victim.process.pid, signal.SIGCONT)


class Drop:
    name = "dropped packets"

    def begin(self, network, victim):
        network.cut(victim)

    def end(self, network, victim):
        network.mend(victim)


def measure_failure(network, failure, options):
    writers = Writers(network)
    gaps = []
    for _ in range(options.failures):
        time.sleep(1)
        victim = network.primary()
        began = time.monotonic()
        failure.begin(network, victim)
        time.sleep(3)
        gaps.append(writers.gap(began))
        failure.end(network, victim)
        network.level()
    writers.ends.set()
    p50, most = statistics.median(gaps), max(gaps)
    tell({"figure": f"longest gap between acknowledgements, {WRITERS} writers, {failure.name}, seconds",
          "p50": round(p50, 3), "max": round(most, 3), "times": len(gaps), "target": LONGEST_GAP,
          "met": p50 < LONGEST_GAP["p50"] and most < LONGEST_GAP["max"]})


def measure_failures(folder, options):
    """In a network of their own, so that packets can be dropped, where the machine allows that (root, as a rule)."""
    refused = leave_network()
    if refused:
        print(f"dropped packets are not measured: {refused}", flush=True)
    failures = [Kill(), Stop(), *([] if refused else [Drop()])]
    network = (Network if refused else Machines)(folder / "failing", 3, changes={})
    try:
        for failure in failures:
            measure_failure(network, failure, options)
    finally:
        for node in network.nodes:
            if node.process.poll() is None:
                os.kill(node.process.pid, signal.SIGCONT)
        network.kill()


results = []


def tell(row):
    results.append(row)
    print(json.dumps(row), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer records, and shorter runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--failures", type=int, default=20, help="of each kind; 0: none")
    parser.add_argument("--failures-only", action="store_true", help="no figures of speed")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(json.dumps({"machine": os.uname().release, "cores": os.cpu_count(), "load": os.getloadavg()[0]}), flush=True)
    with tempfile.TemporaryDirectory(prefix="concordat-several-", dir=ROOT / "build") as folder:
        if not options.failures_only:
            measure_speed(Path(folder), options)
        if options.failures:
            measure_failures(Path(folder), options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    sys.exit(main())
