"""The ledger secret of several nodes: the first primary after all were down changes it, and nobody else does."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from network import Network
from node import run_tool, wait_for

WRAPPED = "public:ccf.internal.encrypted_ledger_secrets"
ABSENCES = "public:ccf.internal.concordat.accepted_absences"
HISTORY = "public:ccf.internal.historical_encrypted_ledger_secret"
KIT = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "ledger" / "ledgercheck.py"


@pytest.fixture
def network(tmp_path):
    network = Network(tmp_path / "network")
    yield network
    network.kill()


def changes(node):
    """The values that a node's ledger has of changes of the secret, in order."""
    shown = run_tool("ledger", "show", node.ledger, "--full", "--table", WRAPPED)
    assert shown.returncode == 0, shown
    return [json.loads(line[line.index("{"):]) for line in shown.stdout.splitlines() if "encrypted_secret" in line]


def write(network, key):
    network.primary()
    wait_for(lambda: network.primary().member(0).ingest([{"lei": key, "nace": "1"}]).status == 200, f"'{key}' to be written")


def launch(nodes, *options):
    """Together: alone, each would wait for the others."""
    for node in nodes:
        node.launch(options=options, wait=False)
    for node in nodes:
        node.wait_ready()


def keys(node):
    return {entry["lei"] for entry in node.member(0).report()}


def test_the_secret_changes_when_all_were_down_and_not_when_one_was(network):
    write(network, "before")
    assert changes(network.nodes[0]) == []

    victim = network.backups()[0]
    victim.kill()
    write(network, "without it")
    victim.launch()
    write(network, "with it again")
    network.level()
    assert all(changes(node) == [] for node in network.nodes), "the network was running all the time"

    ids = {network.node_id(node) for node in network.nodes}
    network.kill()
    launch(network.nodes)
    write(network, "after")
    network.level()
    for node in network.nodes:
        found = changes(node)
        assert len(found) == 1
        assert set(found[0]) == ids, "it is wrapped for each of them"
        assert len({element[0]["version"] for element in found[0].values()}) == 1
        assert keys(node) == {"before", "without it", "with it again", "after"}

    victim = network.backups()[0]
    victim.kill()
    write(network, "later")
    victim.launch()
    network.level()
    assert len(changes(victim)) == 1
    assert keys(victim) == {"before", "without it", "with it again", "after", "later"}

    network.kill()
    launch(network.nodes)
    write(network, "last")
    network.level()
    network.stop()
    for node in network.nodes:
        assert len(changes(node)) == 2
        node.insist_ledger_verifies()
        history = run_tool("ledger", "show", node.ledger, "--full", "--table", HISTORY)
        assert history.stdout.count("previous_ledger_secret") == 2, history
        if KIT.exists():
            done = subprocess.run([sys.executable, str(KIT), "--strict", str(node.ledger)], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_who_goes_on_without_a_voter_says_so_in_the_ledger(network):
    write(network, "before")
    network.level()
    gone = network.nodes[2]
    number = network.node_id(gone)
    network.kill()
    left = network.nodes[:2]
    launch(left, "--accept-loss")
    write(network, "without it")

    def notes():
        shown = run_tool("ledger", "show", left[0].ledger, "--full", "--table", ABSENCES)
        assert shown.returncode == 0, shown
        return [json.loads(line[line.index("{"):]) for line in shown.stdout.splitlines() if '"missing"' in line]

    wait_for(lambda: len(notes()) == 2, "both to have said so")
    assert all(note["missing"] == [3] for note in notes()), f"node {number} had number 3"
    # The one that was gone comes back as any other, and nobody says anything again.
    launch([gone])
    network.wait_voters(3)
    write(network, "with it again")
    network.level()
    assert len(notes()) == 2
    assert keys(gone) == {"before", "without it", "with it again"}
