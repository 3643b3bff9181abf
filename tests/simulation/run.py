"""Runs the crash simulation over many seeds on all cores, and proves that it catches faults put in on purpose."""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

FAULTS = ("crash_simulation_acks_early", "crash_simulation_keeps_torn_tail")
FAULT_SEEDS = 500


def simulate(program, first, count):
    done = subprocess.run(
        [str(program), "--from", str(first), "--count", str(count)], capture_output=True, text=True, errors="replace")
    return done.returncode, done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    folder = options.build / "tests/simulation"
    failed = False

    workers = os.cpu_count() or 1
    share = -(-options.seeds // (workers * 4))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        starts = range(options.first, options.first + options.seeds, share)
        jobs = [pool.submit(simulate, folder / "crash_simulation", start,
                            min(share, options.first + options.seeds - start)) for start in starts]
        for job in jobs:
            code, output = job.result()
            if code != 0:
                failed = True
                seed = re.findall(r"seed (\d+)", output)
                print(output[-3000:])
                print(f"replay with: {folder / 'crash_simulation'} --seed {seed[-1] if seed else '?'}")
    if not failed:
        print(f"{options.seeds} seeds, no fault found")

    for fault in FAULTS:
        code, output = simulate(folder / fault, 1, FAULT_SEEDS)
        last = output.strip().splitlines()[-2:]
        if code == 0:
            failed = True
            print(f"{fault}: the fault was NOT caught in {FAULT_SEEDS} seeds")
        else:
            print(f"{fault}: caught: {' '.join(last)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
