"""Runs the simulations of one node and of several over many seeds on all cores, and proves that they catch faults put in
on purpose.

A seed must also tell the same history again, as a finding that cannot be repeated is none; and everything that is to be
tried must have been, as what never happens is not tested.
"""
import argparse
import collections
import concurrent.futures
import dataclasses
import os
import re
import subprocess
import sys
import time
from pathlib import Path

REPEATED = 3
CRASH_TRIED = (
    "write answered", "early answer", "barrier answered", "read", "receipt", "transaction fed",
    "barrier told: committed", "barrier told: lost", "barrier told: not known",
    "Committed", "Invalid", "Pending", "SessionConsistencyLost", "TransactionReplicationFailed", "RequestDeadlineExceeded",
    "TooManyPendingTransactions", "somebody acts during a disk operation", "somebody acts within an answer",
    "disk breaks", "disk is repaired", "entry that cannot be encoded", "stop", "stop while broken",
    "start after a power failure", "start after a stop", "start from an older disk", "start from an older ledger",
    "start from an older sealed state", "older ledger refused", "older sealed state refused", "loss accepted")
# How often at least, for every 100 histories.
NETWORK_TRIED = {
    "primary elected": 300, "log cut": 10, "who takes part has changed": 100, "joint change": 50, "node started": 500, "power lost": 200,
    "write answered": 1000, "barrier answered": 100, "early answer": 50, "read of a primary": 300, "Invalid": 5,
    "Committed": 100, "told that nothing is known": 50, "told that nothing was done": 100, "session lost": 50,
    "disk broken": 20, "cut off": 50, "cut off one way": 50, "clock changed": 20, "node joins": 10, "node retires": 20,
    "message lost": 100, "message doubled": 100, "message late": 100, "message held back": 500,
    "primary left behind": 20, "disk hangs": 5, "order stands still": 5, "disk put back": 10,
    "disk put back while others lag": 10, "node readmitted": 20,
    "retired node switched off": 5}
FAULT_SECONDS = 60
STUCK_SECONDS = 900


@dataclasses.dataclass(frozen=True)
class Simulation:
    program: str
    faults: str
    tried: dict  # what, and how often at least in 100 histories


SIMULATIONS = (
    Simulation("crash_simulation", "crash_faults.txt", {what: 0 for what in CRASH_TRIED}),
    Simulation("network_simulation", "network_faults.txt", NETWORK_TRIED))


def simulate(program, first, count):
    command = [str(program), "--from", str(first), "--count", str(count)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=STUCK_SECONDS)
    except subprocess.TimeoutExpired as stuck:
        # A history that never ends is a finding too.
        return 1, "", (stuck.stderr or b"").decode(errors="replace") + "\nFAILED: it does not end\n"
    return done.returncode, done.stdout, done.stderr


def run_seeds(pool, program, tried, first, count, workers):
    """@return whether nothing was found and everything tried"""
    share = -(-count // (workers * 8))
    jobs = [pool.submit(simulate, program, start, min(share, first + count - start))
            for start in range(first, first + count, share)]
    sound = True
    tally = collections.Counter()
    for job in jobs:
        code, told, output = job.result()
        for what, times in re.findall(r"^(.+): (\d+) times$", told, re.M):
            tally[what] += int(times)
        if code != 0:
            sound = False
            seed = re.findall(r"seed (\d+)", output)
            print(output[-3000:])
            print(f"replay with: {program} --seed {seed[-1] if seed else '?'}")
    untried = [what for what, least in tried.items() if tally[what] < max(1, least * count // 100)]
    if sound and untried:
        sound = False
        print(f"not tried, or not often enough, in {count} seeds: {', '.join(f'{what} ({tally[what]})' for what in untried)}")
    if tally["step"]:
        print(f"{tally['step']} steps")
    return sound


def histories(program, first, count):
    return re.findall(r"^seed \d+: \d+$", simulate(program, first, count)[1], re.M)


def run_fault(program, first, count):
    """@return (seeds that it took, seconds, what was said); nothing if it was not caught"""
    began = time.monotonic()
    code, _, output = simulate(program, first, count)
    took = time.monotonic() - began
    # Said by the simulation, or by a check that ended the process; anything else is no finding.
    if code == 0 or (code > 0 and "FAILED: " not in output):
        return None
    seed = re.findall(r"seed (\d+)", output)
    said = [line for line in output.replace("\r", "\n").splitlines() if line.strip() and not re.match(r"^(seed|replay)", line)]
    return int(seed[-1]) - first + 1 if seed else 0, took, said[0] if said else f"ended with {code}"


def prove(pool, folder, simulation, first, count, workers):
    """@return whether nothing was found, seeds tell the same history again, and every fault was caught in time"""
    program = folder / simulation.program
    began = time.monotonic()
    sound = run_seeds(pool, program, simulation.tried, first, count, workers)
    if sound:
        print(f"{simulation.program}: {count} seeds, no fault found, in {time.monotonic() - began:.0f} s")
    alone = [history for i in range(REPEATED) for history in histories(program, first + i, 1)]
    together = histories(program, first, REPEATED)
    if len(together) != REPEATED or alone != together:
        sound = False
        print(f"{simulation.program}: a seed does not tell the same history twice: {alone} and {together}")

    # Within the seeds that were run on the sound program, which found nothing.
    faults = (folder / simulation.faults).read_text().split()
    for fault, caught in zip(faults, pool.map(lambda name: run_fault(folder / name, first, count), faults)):
        if caught and caught[1] <= FAULT_SECONDS:
            print(f"{fault}: caught in {caught[0]} seeds and {caught[1]:.0f} s: {caught[2]}")
        else:
            sound = False
            print(f"{fault}: NOT caught in {count} seeds" if not caught else f"{fault}: caught only after {caught[1]:.0f} s")
    return sound


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--only", choices=[one.program for one in SIMULATIONS], help="one simulation")
    options = parser.parse_args()
    folder = options.build / "tests/simulation"
    workers = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        sound = [prove(pool, folder, simulation, options.first, options.seeds, workers)
                 for simulation in SIMULATIONS if options.only in (None, simulation.program)]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
