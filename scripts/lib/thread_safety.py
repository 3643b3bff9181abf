"""Has clang check the annotations of locks (src/base/mutex.h) in every source that sees them.

Only sources whose includes reach `base/mutex.h` are compiled, and only when they or what they include have changed
since they last passed: what passed is remembered in build/thread_safety.
"""
import argparse
import concurrent.futures
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPILER = "clang++-19"
ROOTS = ["src", "include", "apps", "tests"]  # what "..." in an include is looked up in, after the file's own folder
FLAGS = ["-std=c++23", "-fsyntax-only", "-Wno-everything", "-Wthread-safety", "-Werror", "-Isrc", "-Iinclude", "-Iapps",
         "-Itests", '-DCONCORDAT_VERSION="0"', '-DCONCORDAT_TEST_DATA="tests/data"', "-DGTEST_HAS_PTHREAD=1"]
INCLUDE = re.compile(rb'^\s*#\s*include "([^"]+)"', re.M)


class Sources:
    """The project's files and what each includes, read once."""

    def __init__(self, root):
        self.root = root
        self.includes = {}

    def direct(self, path):
        if path not in self.includes:
            found = []
            for name in INCLUDE.findall((self.root / path).read_bytes()):
                for folder in [path.parent, *map(Path, ROOTS)]:
                    candidate = Path(os.path.normpath(folder / name.decode()))
                    if (self.root / candidate).is_file():
                        found.append(candidate)
                        break
            self.includes[path] = found
        return self.includes[path]

    def closure(self, path):
        seen, open_ends = {path}, [path]
        while open_ends:
            for included in self.direct(open_ends.pop()):
                if included not in seen:
                    seen.add(included)
                    open_ends.append(included)
        return seen

    def digest(self, closure):
        whole = hashlib.sha256(repr([COMPILER, FLAGS]).encode())
        for path in sorted(closure):
            whole.update(b"%s\0%s\0" % (str(path).encode(), hashlib.sha256((self.root / path).read_bytes()).digest()))
        return whole.hexdigest()


def check(root, path):
    done = subprocess.run([COMPILER, *FLAGS, str(path)], cwd=root, capture_output=True, text=True)
    return path, done.returncode, done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="another tree, for testing this script")
    options = parser.parse_args()
    passed_before = options.root / "build/thread_safety"
    passed_before.mkdir(parents=True, exist_ok=True)

    sources = Sources(options.root)
    waiting = {}
    for folder in ("src", "apps", "tests"):
        for path in sorted((options.root / folder).rglob("*.cpp")):
            path = path.relative_to(options.root)
            closure = sources.closure(path)
            if Path("src/base/mutex.h") in closure:
                stamp = passed_before / sources.digest(closure)
                if not stamp.exists():
                    waiting[path] = stamp
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, code, output in pool.map(lambda path: check(options.root, path), waiting):
            if code == 0:
                waiting[path].touch()
            else:
                failed += 1
                print(f"{path}:\n{output}", file=sys.stderr)
    print(f"thread safety: {len(waiting)} sources checked, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
