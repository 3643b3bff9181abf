import os
import random
import signal

import pytest

from node import DAEMON, TOOL, Node, has_address_sanitizer

SEED = int(os.environ.get("CONCORDAT_SEED") or random.SystemRandom().randrange(1 << 32))
os.environ["CONCORDAT_SEED"] = str(SEED)  # for the other processes of a run that has several


def pytest_configure(config):
    # A shell that runs the tests in the background has them ignore Ctrl-C, and programs inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "long: kills a loaded node many times (CONCORDAT_KILLS says how often)")
    for program in (DAEMON, TOOL):
        if not program.exists():
            pytest.exit(f"{program} does not exist: build it, or say in CONCORDAT_BIN where the programs lie", 2)


def pytest_report_header():
    return f"seed: {SEED} (repeat with CONCORDAT_SEED={SEED})"


@pytest.fixture
def seed():
    print(f"repeat with CONCORDAT_SEED={SEED}")
    return SEED


@pytest.fixture
def make_node(tmp_path):
    """Makes nodes that are stopped at the end of the test, each in a folder of its own. Whatever a test did to a
    node, its ledger must verify afterwards, unless it says that it damaged the ledger."""
    made = []

    def make(start=True, damaged=False, **options):
        node = Node(tmp_path / f"service{len(made)}", **options)
        made.append((node, damaged))
        return node.launch() if start else node

    yield make
    try:
        for node, damaged in made:
            node.stop()
            if not damaged and node.ledger.exists() and any(node.ledger.iterdir()):
                node.insist_ledger_verifies()
    finally:
        for node, _ in made:
            node.kill()


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """A node that tests share: they use keys of their own, and leave it running."""
    node = Node(tmp_path_factory.mktemp("shared") / "service", members=3, users=2)
    node.launch()
    yield node
    try:
        node.insist_ledger_verifies()
        node.stop()
        node.insist_ledger_verifies()
    finally:
        node.kill()


@pytest.fixture(scope="session")
def is_sanitized():
    return has_address_sanitizer()
