"""Includes only ever point down the list of modules (docs/architecture.md)."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ORDER = ["concordat", "base", "net", "crypto", "peer", "kv", "ledger", "consensus", "attestation", "http", "node", "intake", "cli"]
# What people submit is read by the application's own rules.
APPLICATION = {"reconciliation": {"intake", "cli"}}
INCLUDE = re.compile(r'^\s*#include "([a-z]+)/', re.M)


def test_includes_only_point_down():
    wrong, counted = [], 0
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        module = path.relative_to(ROOT / "src").parts[0]
        assert module in ORDER, f"{module} has no place in the list"
        for below in INCLUDE.findall(path.read_text()):
            counted += 1
            if module not in APPLICATION[below] if below in APPLICATION else ORDER.index(below) > ORDER.index(module):
                wrong.append(f"{path.relative_to(ROOT)} includes {below}/")
    assert not wrong, "\n".join(wrong)
    assert counted > 500, "the includes are not found any more"


def test_applications_use_the_public_interface_alone():
    allowed = {"concordat", "reconciliation"}
    wrong, counted = [], 0
    for path in sorted((ROOT / "apps").rglob("*")):
        if path.suffix in (".h", ".cpp") and not path.stem.endswith("_test") and not path.stem.endswith("_test_support"):
            for used in INCLUDE.findall(path.read_text()):
                counted += 1
                if used not in allowed:
                    wrong.append(f"{path.relative_to(ROOT)} includes {used}/")
    assert not wrong, "\n".join(wrong)
    assert counted > 20


def test_the_public_interface_stands_alone():
    headers = sorted((ROOT / "include").rglob("*.h"))
    assert len(headers) > 3
    for path in headers:
        assert set(INCLUDE.findall(path.read_text())) <= {"concordat"}, path
