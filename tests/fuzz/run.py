"""Runs every fuzz target from its kept corpus, two at a time; a crash is printed with the input that caused it."""
import argparse
import concurrent.futures
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(target, seconds):
    with tempfile.TemporaryDirectory() as found:
        corpus = HERE / "corpus" / target.name
        seeds = [str(corpus)] if corpus.is_dir() else []
        done = subprocess.run(
            [str(target), found, *seeds, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4096",
             f"-artifact_prefix={found}/"], capture_output=True, text=True, errors="replace")
        crashes = [(path.name, path.read_bytes().hex()) for path in Path(found).glob("*-*") if done.returncode]
    return target.name, done.returncode, done.stderr[-4000:], crashes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    targets = sorted(path for path in (options.build / "tests/fuzz").glob("fuzz_*") if path.is_file())
    assert targets, "no fuzz target was built"
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, code, output, crashes in pool.map(lambda target: run(target, options.seconds), targets):
            executed = [line for line in output.splitlines() if line.startswith("Done ")]
            print(f"{name}: {'ok' if code == 0 else 'FAILED'} {' '.join(executed)}", flush=True)
            if code != 0:
                failed += 1
                print(output)
                for kind, content in crashes:
                    print(f"  {kind}: {content}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
