"""What scripts/test makes of a step that had nothing to run, and of what is no step."""
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(tmp_path, *steps, conformance="exit 0", kits=True):
    """scripts/test in a tree of its own, with nothing to install or build."""
    root = tmp_path / "tree"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    common = root / "scripts/lib/common.sh"
    common.write_text(common.read_text() + "\ninstall_packages() { :; }\nbuild() { :; }\n")
    (root / "scripts/lint").write_text("#!/bin/sh\nexit 0\n")
    (root / "scripts/conformance").write_text(f"#!/bin/sh\n{conformance}\n")
    if kits:
        (tmp_path / "kits").mkdir()
    done = subprocess.run([root / "scripts/test", *steps], capture_output=True, text=True,
                          env={**os.environ, "CONCORDAT_KITS": str(tmp_path / "kits")})
    return done.returncode, (done.stdout.splitlines() or done.stderr.splitlines())[-1]


def test_a_step_that_had_nothing_to_run_is_counted_as_skipped(tmp_path):
    assert run(tmp_path, "lint", "conformance", kits=False) == (0, "1 passed, 0 failed, 1 skipped")


def test_a_step_that_ran_is_counted_as_passed(tmp_path):
    assert run(tmp_path, "lint", "conformance") == (0, "2 passed, 0 failed, 0 skipped")


def test_a_step_that_failed_fails_the_run(tmp_path):
    assert run(tmp_path, "conformance", "lint", conformance="exit 1") == (1, "1 passed, 1 failed, 0 skipped")


def test_an_unknown_step_is_refused(tmp_path):
    assert run(tmp_path, "lnit") == (1, "unknown step 'lnit'")
