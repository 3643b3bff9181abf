"""The demonstration: three members submit what they hold, while a node is killed, and each reads a report on its own
records alone."""
import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/release/bin/concordat"
SAMPLES = ROOT / "tests/data/samples"
WORKSPACE = ROOT / "build/demo"
STARTUP_SECONDS = 60
NODES = 3


def say(text):
    bold = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold[0]}== {text}{bold[1]}", flush=True)


def fail(text):
    print(f"\nTHE DEMONSTRATION FAILED: {text}", file=sys.stderr)
    sys.exit(1)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_ports():
    """The first of as many in a row as there are nodes."""
    for first in range(8000, 30000, 10):
        if all(is_free(first + index) for index in range(NODES)):
            return first
    fail("no free ports on 127.0.0.1")


class Network:
    """`concordat sandbox` in the background."""

    def __init__(self, port, keep):
        self.urls = [f"https://127.0.0.1:{port + index}" for index in range(NODES)]
        self.log = WORKSPACE.with_suffix(".sandbox.log")
        self.process = subprocess.Popen(
            [TOOL, "sandbox", "--workspace", WORKSPACE, "--nodes", str(NODES), "--port", str(port), "--members", "3",
             "--users", "1", "--fresh"],
            stdout=self.log.open("w"), stderr=subprocess.STDOUT, start_new_session=keep)

    def wait_until_open(self):
        end = time.monotonic() + STARTUP_SECONDS
        while "Ctrl-C stops it" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                fail("the network did not start:\n" + self.log.read_text())
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def kill_primary(self):
        """What the sandbox's table names so."""
        for line in self.log.read_text().splitlines():
            words = line.split()
            if words[2:3] == ["primary"]:
                os.kill(int(words[3]), signal.SIGKILL)
                return words[0]
        fail("the sandbox named no primary:\n" + self.log.read_text())

    def run(self, who, *words, check=True):
        urls = [word for url in self.urls for word in ("--url", url)]
        command = [TOOL, *words, *urls, "--workspace", WORKSPACE, "--as", who]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if check and done.returncode != 0:
            fail(f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}")
        return done

    def report(self, who):
        return json.loads(self.run(who, "report", "--format", "json").stdout)

    def show_report(self, who):
        say(f"What {who} sees: its own records, and how the others' agree with them")
        colour = ["--color"] if sys.stdout.isatty() else []
        print(self.run(who, "report", *colour).stdout, end="", flush=True)


def compare(network, expected_file):
    expected = json.loads((SAMPLES / expected_file).read_text())
    for who, records in expected.items():
        if network.report(who) != records:
            fail(f"the report of {who} differs from {expected_file}")
    print(f"\nAll {len(expected)} reports are exactly those in {expected_file}.")


def show_changes(before, after):
    columns = ("group_status", "majority_minority", "count_of_unique_values", "members_in_agreement")
    for who in after:
        old = {record["lei"]: record for record in before[who]}
        for record in after[who]:
            was = old.get(record["lei"])
            if was is None:
                print(f"  {who}  {record['lei']}  new: {record['group_status']}")
            elif was != record:
                changed = [f"{name} {was[name]} -> {record[name]}" for name in ("nace", *columns) if was[name] != record[name]]
                print(f"  {who}  {record['lei']}  {', '.join(changed)}")


def verify_receipt(network, txid):
    say(f"A receipt for transaction {txid}, verified offline with nothing but the service certificate")
    receipt = WORKSPACE / "receipt.json"
    network.run("member0", "tx", "wait", txid)
    receipt.write_text(network.run("member0", "receipt", "get", txid).stdout)
    certificate = WORKSPACE / "common/service_cert.pem"
    done = subprocess.run([TOOL, "receipt", "verify", receipt, "--service-cert", certificate], capture_output=True, text=True)
    print(done.stdout + done.stderr, end="")
    if done.returncode != 0:
        fail("the receipt does not verify")
    forged = json.loads(receipt.read_text())
    digest = forged["leaf_components"]["write_set_digest"]
    forged["leaf_components"]["write_set_digest"] = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    bad = WORKSPACE / "forged.json"
    bad.write_text(json.dumps(forged))
    done = subprocess.run([TOOL, "receipt", "verify", bad, "--service-cert", certificate], capture_output=True, text=True)
    if done.returncode == 0:
        fail("a forged receipt verifies")
    print(f"The same with one digit changed: {done.stderr.strip()}")


def show_privacy(network):
    say("A key that only member0 submitted, and a key that nobody has: member1 gets the same answer")
    answers = [network.run("member1", "report", key, check=False) for key in ("391200MF7R7VPUZNDM05", "NOBODY-HAS-THIS-KEY1")]
    for answer in answers:
        print("  " + answer.stderr.strip())
    if len({(answer.returncode, answer.stdout, answer.stderr) for answer in answers}) != 1:
        fail("the two answers differ")
    if answers[0].returncode == 0:
        fail("a key that the caller has not submitted was answered")


def submit(network, who, name):
    done = network.run(who, "submit", SAMPLES / name)
    print(f"  {who} submits {name}: {done.stdout.strip()}")
    return done.stdout


def last_txid(output):
    words = [word.strip(".,()") for word in output.split()]
    ids = [word for word in words if word.count(".") == 1 and all(part.isdigit() for part in word.split("."))]
    return ids[-1] if ids else fail("submit did not name a transaction")


def next_commands(network, keep):
    relative = lambda path: shlex.quote(os.path.relpath(path))
    tool, workspace = relative(TOOL), relative(WORKSPACE)
    say("Three commands to try next")
    if keep:
        options = f"--url {network.urls[1]} --workspace {workspace}"
        print(f"  {tool} report {options} --as member1 --format csv")
        print(f"  {tool} report 984500BA57A56NBD3A24 {options} --as member2")
        print(f"  {tool} ledger show {workspace}/node1/ledger")
        print(f"\nThe network runs on at {network.urls[1]}; stop it with: kill -INT {network.process.pid}")
    else:
        print(f"  {tool} ledger verify {workspace}/node1/ledger")
        print(f"  {tool} receipt verify {workspace}/receipt.json --service-cert {workspace}/common/service_cert.pem")
        print(f"  {tool} sandbox --workspace {workspace}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the network running")
    keep = parser.parse_args().keep
    say(f"Starting a network of {NODES} nodes for three members and one user")
    network = Network(free_ports(), keep)
    finished = False
    try:
        network.wait_until_open()
        print(network.log.read_text(), end="")
        say("Each member submits its records")
        submit(network, "member0", "member0.csv")
        print(f"  {network.kill_primary()}, the primary, is killed: another node takes over, with all that was submitted")
        submit(network, "member1", "member1.json")
        submit(network, "member2", "member2.json")
        for member in ("member0", "member1", "member2"):
            network.show_report(member)
        compare(network, "reports_first.json")
        before = {who: network.report(who) for who in ("member0", "member1", "member2")}
        say("member0 submits corrections; what changes in the reports")
        txid = last_txid(submit(network, "member0", "member0_update.json"))
        show_changes(before, {who: network.report(who) for who in before})
        compare(network, "reports_after_update.json")
        verify_receipt(network, txid)
        show_privacy(network)
        next_commands(network, keep)
        finished = True
    finally:
        if not (keep and finished):
            network.stop()


if __name__ == "__main__":
    main()
