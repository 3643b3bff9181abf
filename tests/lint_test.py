"""The check of lock annotations finds what it is there for."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUARDED = """#include "base/mutex.h"
class Counter {
public:
  int next() { %s return ++value_; }
private:
  concordat::base::Mutex mutex_;
  int value_ GUARDED_BY(mutex_) = 0;
};
int use(Counter& counter) { return counter.next(); }
"""


@pytest.fixture
def tree(tmp_path):
    base = tmp_path / "src/base"
    base.mkdir(parents=True)
    for name in ("mutex.h", "thread_annotations.h"):
        (base / name).write_bytes((ROOT / "src/base" / name).read_bytes())

    def check(body):
        (base / "counter.h").write_text(GUARDED % body)
        (base / "counter.cpp").write_text('#include "base/counter.h"\n')
        return subprocess.run([sys.executable, str(ROOT / "scripts/lib/thread_safety.py"), "--root", str(tmp_path)],
                              capture_output=True, text=True)

    return check


def test_what_is_guarded_is_not_touched_without_its_lock(tree):
    done = tree("")
    assert done.returncode == 1 and "requires holding mutex 'mutex_'" in done.stderr, done.stderr


def test_what_passed_is_checked_again_only_when_something_it_includes_changed(tree):
    held = "const concordat::base::LockGuard lock(mutex_);"
    assert "1 sources checked, 0 failed" in tree(held).stdout
    assert "0 sources checked, 0 failed" in tree(held).stdout
    assert tree("").returncode == 1


def test_every_lock_is_one_that_clang_can_check():
    bare = re.compile(r"\bstd::(\w*mutex|condition_variable\w*|lock_guard|unique_lock|scoped_lock|shared_lock)\b")
    wrong = []
    for folder in ("src", "include", "apps", "tests", "bench"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".h", ".cpp") or path == ROOT / "src/base/mutex.h":
                continue
            wrong += [f"{path.relative_to(ROOT)}:{number}: {found.group()} (use base/mutex.h)"
                      for number, line in enumerate(path.read_text().splitlines(), 1) if (found := bare.search(line))]
    assert not wrong, "\n".join(wrong)
