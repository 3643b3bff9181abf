"""Runs the crash simulation over many seeds on all cores, and proves that it catches faults put in on purpose.

A seed must also tell the same history again, as a finding that cannot be repeated is none; and everything that is to be
tried must have been, as what never happens is not tested.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import subprocess
import sys
import time
from pathlib import Path

REPEATED = 3
TRIED = (
    "write answered", "early answer", "barrier answered", "read", "receipt", "transaction fed",
    "barrier told: committed", "barrier told: lost", "barrier told: not known",
    "Committed", "Invalid", "Pending", "SessionConsistencyLost", "TransactionReplicationFailed", "RequestDeadlineExceeded",
    "TooManyPendingTransactions", "somebody acts during a disk operation", "somebody acts within an answer",
    "disk breaks", "disk is repaired", "entry that cannot be encoded", "stop", "stop while broken",
    "start after a power failure", "start after a stop", "start from an older disk", "start from an older ledger",
    "start from an older sealed state", "older ledger refused", "older sealed state refused", "loss accepted")


def simulate(program, first, count):
    done = subprocess.run(
        [str(program), "--from", str(first), "--count", str(count)], capture_output=True, text=True, errors="replace")
    return done.returncode, done.stdout, done.stderr


def run_seeds(pool, program, first, count, workers):
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
    untried = [what for what in TRIED if not tally[what]]
    if sound and untried:
        sound = False
        print(f"never tried in {count} seeds: {', '.join(untried)}")
    return sound


def histories(program, first, count):
    return re.findall(r"^seed \d+: \d+$", simulate(program, first, count)[1], re.M)


def run_fault(program, first, count):
    """@return (seeds that it took, what was said); nothing if it was not caught"""
    code, _, output = simulate(program, first, count)
    # Said by the simulation, or by a check that ended the process; anything else is no finding.
    if code == 0 or (code > 0 and "FAILED: " not in output):
        return None
    seed = re.findall(r"seed (\d+)", output)
    said = [line for line in output.replace("\r", "\n").splitlines() if line.strip() and not re.match(r"^(seed|replay)", line)]
    return int(seed[-1]) - first + 1 if seed else 0, said[0] if said else f"ended with {code}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    folder = options.build / "tests/simulation"
    program = folder / "crash_simulation"
    workers = os.cpu_count() or 1
    failed = False

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        if run_seeds(pool, program, options.first, options.seeds, workers):
            print(f"{options.seeds} seeds, no fault found, in {time.monotonic() - began:.0f} s")
        else:
            failed = True
        alone = [history for i in range(REPEATED) for history in histories(program, options.first + i, 1)]
        together = histories(program, options.first, REPEATED)
        if len(together) != REPEATED or alone != together:
            failed = True
            print(f"a seed does not tell the same history twice: {alone} and {together}")

        # Within the seeds that were run on the sound program, which found nothing.
        faults = (folder / "faults.txt").read_text().split()
        for fault, caught in zip(faults, pool.map(lambda name: run_fault(folder / name, options.first, options.seeds), faults)):
            if caught:
                print(f"{fault}: caught in {caught[0]} seeds: {caught[1]}")
            else:
                failed = True
                print(f"{fault}: NOT caught in {options.seeds} seeds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
