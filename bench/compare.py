"""Measures a node against a bare echo server on the same HTTP stack, and against PostgreSQL, in one run.

    scripts/bench [--quick] [--skip-postgresql] [--json FILE]

Prints one JSON object per figure and, at the end, the table of docs/benchmarks.md. Server and client share the machine.
"""
import argparse
import http.client
import json
import os
import random
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build/release"
MEMBERS = 3
BATCH = 10_000
LOOKUP_KEYS = 100_000
REPORT_QUERY = """COPY (
  SELECT mine.key, mine.value,
         CASE WHEN count(*) < 3 THEN 'NOT_ENOUGH_DATA' WHEN count(DISTINCT v.value) = 1 THEN 'IN_CONSENSUS'
              ELSE 'LACK_OF_CONSENSUS' END,
         CASE WHEN 2 * count(*) FILTER (WHERE v.value = mine.value) > count(*) THEN 'Majority' ELSE 'Minority' END,
         count(DISTINCT v.value), count(*) FILTER (WHERE v.value = mine.value)
  FROM votes mine JOIN votes v USING (key) WHERE mine.organisation = 0
  GROUP BY mine.key, mine.value ORDER BY mine.key) TO STDOUT"""
results = []


def record(figure, value, unit, target, holds):
    row = {"figure": figure, "value": value, "unit": unit, "target": target, "met": holds}
    results.append(row)
    print(json.dumps(row), flush=True)


def key_of(number):
    """A record's key as the samples have it: 20 characters."""
    return f"9845{number * 2654435761 % 10**8:08d}{number:08d}"


def value_of(number, member):
    """Members agree on nine records of ten."""
    return f"K.{number % 90 + 10}.{(number + (member if number % 10 == 0 else 0)) % 90 + 10}"


class Node:
    def __init__(self, folder, binaries=BUILD / "bin"):
        self.binaries = binaries
        self.folder = Path(folder) / "node0"
        self.common = Path(folder) / "common"
        self.folder.mkdir(parents=True)
        self.common.mkdir()
        tool = binaries / "concordat"
        for member in range(MEMBERS):
            subprocess.run([tool, "keygen", f"member{member}", "--curve", "secp256r1"], cwd=self.common, check=True,
                           stdout=subprocess.DEVNULL)
        members = [{"certificate_file": f"../common/member{m}_cert.pem"} for m in range(MEMBERS)]
        self.configuration = {
            "network": {"node_to_node_interface": {"bind_address": "127.0.0.1:0"},
                        "rpc_interfaces": {"main": {"bind_address": "127.0.0.1:0"}}},
            "command": {"type": "Start", "service_certificate_file": "../common/service_cert.pem",
                        "start": {"members": members, "initial_service_certificate_validity_days": 30}},
            "node_certificate": {"initial_validity_days": 30},
            "output_files": {"rpc_addresses_file": "addresses.json"},
            "concordat": {"open_service": True}}
        (self.folder / "config.json").write_text(json.dumps(self.configuration))
        self.process = None

    def start(self):
        addresses = self.folder / "addresses.json"
        addresses.unlink(missing_ok=True)
        self.log = (self.folder / "log").open("a")
        self.process = subprocess.Popen([self.binaries / "concordatd", "-c", "config.json"], cwd=self.folder,
                                        stdout=self.log, stderr=subprocess.STDOUT)
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                self.address = json.loads(addresses.read_text())["main"]
                if self.client(0).request("GET", "/node/ready/app")[0] == 204:
                    return
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def client(self, member):
        return Client(self.address, self.common, member)

    def load_options(self, member):
        return ["--url", f"https://{self.address}", "--ca", self.common / "service_cert.pem",
                "--cert", self.common / f"member{member}_cert.pem", "--key", self.common / f"member{member}_privk.pem"]

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return {name: int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024 for name in ("VmRSS", "VmHWM")}


class Client:
    def __init__(self, address, common, member):
        context = ssl.create_default_context(cafile=str(common / "service_cert.pem"))
        context.load_cert_chain(common / f"member{member}_cert.pem", common / f"member{member}_privk.pem")
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=300)

    def request(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body=body, headers=headers or {})
        response = self.connection.getresponse()
        return response.status, response.read()

    def drain(self, path):
        """Reads an answer piece by piece; returns its length."""
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        assert response.status == 200
        length = 0
        buffer = bytearray(1 << 20)
        while count := response.readinto(buffer):
            length += count
        return length


def load(*options):
    done = subprocess.run([BUILD / "bench/load", *map(str, options)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measure_against_echo(node, seconds, rounds, client_threads):
    """Alternates echo server and node, so that a change in the machine's speed strikes both.

    With one client thread the client is busy all the time at the echo server, which could do more; with two it cannot.
    """
    certificate = node.folder / "echo_cert.pem"
    echo = subprocess.Popen([BUILD / "bench/echo_server", "--port", "0", "--cert-out", certificate],
                            stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"127\.0\.0\.1:\d+", echo.stdout.readline())[0]
        to_echo = ["--url", f"https://{address}", *node.load_options(0)[2:]]
        to_echo[to_echo.index("--ca") + 1] = certificate
        to_node = node.load_options(0)
        common = ["--connections", 64, "--threads", client_threads, "--duration", seconds, "--warmup", 1,
                  "--key-range", LOOKUP_KEYS]
        body = json.dumps({"lei": "LEI{key}", "nace": "K.64.12"})
        post = ["--method", "POST", "--body", body]
        figures = {"echo_get": [], "echo_post": [], "write": [], "lookup": []}
        for _ in range(rounds):
            figures["echo_post"].append(load(*to_echo, *common, *post, "--path", "/echo"))
            figures["write"].append(load(*to_node, *common, *post, "--path", "/app/ingest"))
            figures["echo_get"].append(load(*to_echo, *common, "--path", "/echo"))
            figures["lookup"].append(load(*to_node, *common, "--path", "/app/report/LEI{key}"))
    finally:
        echo.terminate()
        echo.wait()
    for name, runs in figures.items():
        for run in runs:
            assert set(run["statuses"]) == {"200"} and not run["errors"], (name, run)
        print(json.dumps({"figure": name, "client_threads": client_threads,
                          "requests_per_second": [round(run["requests_per_second"]) for run in runs],
                          "latency_us": runs[-1]["latency_us"]}), flush=True)

    def ratio(name, base):
        pairs = zip(figures[name], figures[base])
        return statistics.median(one["requests_per_second"] / other["requests_per_second"] for one, other in pairs)
    writes, lookups = ratio("write", "echo_post"), ratio("lookup", "echo_get")
    setting = f"64 connections, client threads: {client_threads}, against echo"
    record(f"one record per request, {setting}", round(100 * writes), "%", "≥ 50 %", writes >= 0.5)
    record(f"report of one record, {setting}", round(100 * lookups), "%", "≥ 80 %", lookups >= 0.8)


def measure_lone_write(node, seconds):
    sync = statistics.median(timed_syncs(node.folder))
    run = load(*node.load_options(0), "--connections", 1, "--threads", 1, "--duration", seconds, "--warmup", 1,
               "--method", "POST", "--path", "/app/ingest", "--body", json.dumps({"lei": "LEI{key}", "nace": "K.64.12"}))
    p50 = run["latency_us"]["p50"] / 1000
    record(f"lone write, p50 (one fdatasync: {sync:.2f} ms)", round(p50, 2), "ms", "≤ 1.5 ms", p50 <= 1.5)


def timed_syncs(folder, count=300):
    path = folder / "sync_probe"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    times = []
    for i in range(count):
        began = time.perf_counter()
        os.pwrite(descriptor, b"x" * 900, i * 900)
        os.fdatasync(descriptor)
        times.append((time.perf_counter() - began) * 1000)
    os.close(descriptor)
    path.unlink()
    return times


def batches(member, records):
    """Bodies of 10,000 records each, keys in random order."""
    numbers = list(range(records))
    random.Random(member).shuffle(numbers)
    for start in range(0, records, BATCH):
        yield [(key_of(n), value_of(n, member)) for n in numbers[start:start + BATCH]]


def in_threads(work):
    failures = []

    def guarded(member):
        try:
            work(member)
        except Exception as failure:  # reported by the caller's thread
            failures.append(failure)
    threads = [threading.Thread(target=guarded, args=(member,)) for member in range(MEMBERS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - began


def ingest_into_node(node, records):
    bodies = [[json.dumps([{"lei": k, "nace": v} for k, v in batch], separators=(",", ":")).encode()
               for batch in batches(member, records)] for member in range(MEMBERS)]

    def work(member):
        client = node.client(member)
        for body in bodies[member]:
            status, answer = client.request("POST", "/app/ingest", body, {"content-type": "application/json"})
            assert status == 200, answer
    return MEMBERS * records / in_threads(work)


class Postgres:
    """A cluster of Debian's PostgreSQL with fsync on, in a temporary folder."""

    def __init__(self):
        self.bin = max(Path("/usr/lib/postgresql").glob("*/bin"))
        self.folder = Path(tempfile.mkdtemp(prefix="concordat-pg-", dir=ROOT / "build"))
        shutil.chown(self.folder, "postgres", "postgres")
        self.as_owner(self.bin / "initdb", "-D", self.folder / "data", "--auth=trust", "-E", "UTF8", "--locale=C")
        self.as_owner(self.bin / "pg_ctl", "-D", self.folder / "data", "-w", "-o",
                      f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=on "
                      "-c shared_buffers=1GB -c max_wal_size=8GB -c work_mem=256MB", "-l", self.folder / "log", "start")
        self.sql("CREATE TABLE votes (organisation int, key text, value text, PRIMARY KEY (organisation, key))")

    def as_owner(self, *command):
        subprocess.run(["runuser", "-u", "postgres", "--", *map(str, command)], check=True, stdout=subprocess.DEVNULL,
                       cwd="/")

    def psql(self):
        return ["runuser", "-u", "postgres", "--", str(self.bin / "psql"), "-q", "-h", str(self.folder), "-d",
                "postgres", "-v", "ON_ERROR_STOP=1"]

    def sql(self, text):
        subprocess.run([*self.psql(), "-c", text], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def ingest(self, records):
        scripts = []
        for member in range(MEMBERS):
            parts = ["CREATE TEMP TABLE stage (key text, value text);\n"]
            for batch in batches(member, records):
                parts.append("BEGIN; COPY stage FROM STDIN;\n")
                parts.extend(f"{key}\t{value}\n" for key, value in batch)
                parts.append("\\.\n"
                             f"INSERT INTO votes SELECT {member}, key, value FROM stage ON CONFLICT "
                             "(organisation, key) DO UPDATE SET value = excluded.value; TRUNCATE stage; COMMIT;\n")
            scripts.append("".join(parts).encode())

        def work(member):
            subprocess.run(self.psql(), input=scripts[member], check=True, stdout=subprocess.DEVNULL, cwd="/")
        return MEMBERS * records / in_threads(work)

    def report(self, records):
        self.sql("ANALYZE votes")
        began = time.perf_counter()
        subprocess.run([*self.psql(), "-c", REPORT_QUERY], check=True, stdout=subprocess.DEVNULL, cwd="/")
        return records / (time.perf_counter() - began)

    def stop(self):
        self.as_owner(self.bin / "pg_ctl", "-D", self.folder / "data", "-m", "fast", "stop")
        shutil.rmtree(self.folder)


def measure_bulk(node, records, with_postgresql):
    ingested = ingest_into_node(node, records)
    memory = node.resident_bytes()
    client = node.client(0)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        client.drain("/app/report")
        times.append(time.perf_counter() - began)
    reported = records / statistics.median(times)
    after_reports = node.resident_bytes()
    print(json.dumps({"figure": "bulk", "ingested_per_second": round(ingested), "reported_per_second": round(reported),
                      "memory": memory, "memory_after_reports": after_reports}), flush=True)
    if with_postgresql:
        postgres = Postgres()
        try:
            base_ingest, base_report = postgres.ingest(records), postgres.report(records)
        finally:
            postgres.stop()
        print(json.dumps({"figure": "postgresql", "ingested_per_second": round(base_ingest),
                          "reported_per_second": round(base_report)}), flush=True)
        record(f"batches of 10,000, 3 × {records:,} records, against PostgreSQL", round(ingested / base_ingest, 1), "×",
               "≥ 3 ×", ingested >= 3 * base_ingest)
        record(f"full report of {records:,} records, against PostgreSQL", round(reported / base_report, 1), "×",
               "≥ 3 ×", reported >= 3 * base_report)
    per_vote = max(memory["VmRSS"], after_reports["VmRSS"]) / (MEMBERS * records)
    record(f"memory, 3 × {records:,} records", round(per_vote), "bytes per vote", "≤ 200", per_vote <= 200)

    node.stop()
    node.start()
    replayed = re.findall(r"replayed \d+ transactions in (\d+) ms", (node.folder / "log").read_text())
    rate = MEMBERS * records / (int(replayed[-1]) / 1000)
    record("restart, replay", round(rate), "votes/s", "≥ 500,000", rate >= 500_000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records, and shorter runs")
    parser.add_argument("--skip-postgresql", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    records = 100_000 if options.quick else 1_000_000
    seconds = 2 if options.quick else 5
    print(json.dumps({"machine": os.uname().release, "cores": os.cpu_count(), "load": os.getloadavg()[0]}), flush=True)

    with tempfile.TemporaryDirectory(prefix="concordat-bench-", dir=ROOT / "build") as folder:
        node = Node(Path(folder) / "http")
        node.start()
        for member in range(MEMBERS):
            client = node.client(member)
            for start in range(0, LOOKUP_KEYS, BATCH):
                body = json.dumps([{"lei": f"LEI{n}", "nace": "K.64.12"} for n in range(start, start + BATCH)])
                assert client.request("POST", "/app/ingest", body)[0] == 200
        try:
            measure_lone_write(node, seconds)
            for client_threads in (1, 2):
                measure_against_echo(node, seconds, 2 if options.quick else 3, client_threads)
        finally:
            node.stop()
        node = Node(Path(folder) / "bulk")
        node.start()
        try:
            measure_bulk(node, records, not options.skip_postgresql)
        finally:
            node.stop()

    print("\n| figure | measured | target | met |\n|---|---|---|---|")
    for row in results:
        print(f"| {row['figure']} | {row['value']:,} {row['unit']} | {row['target']} | {'yes' if row['met'] else 'no'} |")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    sys.exit(main())
