"""Several nodes: each holds what all agreed on, and the loss of any one loses nothing and stops nothing for long."""
import json
import os
import random
import re
import signal
import threading
import time

import pytest

from network import UNREACHABLE, Network
from node import wait_for

ROUNDS = int(os.environ.get("CONCORDAT_ROUNDS", "1"))
ENOUGH = 20
"""Acknowledgements after which a change under load has been seen through."""


@pytest.fixture
def make_network(tmp_path):
    made = []

    def make(size=3, **options):
        made.append(Network(tmp_path / f"network{len(made)}", size, **options))
        return made[-1]

    yield make
    for network in made:
        try:
            for node in network.nodes:
                if node.process.poll() is None:
                    os.kill(node.process.pid, signal.SIGCONT)
            network.stop()
            for node in network.nodes:
                node.insist_ledger_verifies()
        finally:
            network.kill()


class Writer(threading.Thread):
    """Writes one new key after the other, to whichever node takes it, and remembers what was acknowledged."""

    def __init__(self, network, name, member=0):
        super().__init__(daemon=True)
        self.network, self.name, self.member = network, name, member
        self.acknowledged, self.unknown, self.wrong = [], [], None
        self.ends = threading.Event()
        self.random = random.Random(name)

    def run(self):
        number = 0
        try:
            while not self.ends.is_set():
                node = self.random.choice(self.network.living() or self.network.nodes)
                try:
                    with node.member(self.member, timeout=10).session() as session:
                        while not self.ends.is_set():
                            number += 1
                            self.write(session, f"{self.name}-{number}")
                except UNREACHABLE:
                    time.sleep(0.02)
        except Exception as failure:
            self.wrong = failure

    def write(self, session, key):
        self.unknown.append(key)
        answer = session.request("POST", "/app/ingest", json.dumps([{"lei": key, "nace": "1"}]).encode())
        if answer.status == 200:
            self.acknowledged.append(self.unknown.pop())
            return
        assert answer.status in (500, 503, 504), answer
        if answer.status == 500:
            assert answer.code == "SessionConsistencyLost", answer
        time.sleep(0.02)
        raise OSError("another node may take it")


@pytest.fixture
def writers(request):
    started = []

    def start(network, count=4):
        for index in range(count):
            started.append(Writer(network, f"writer{index}", index % 3))
            started[-1].start()
        return started

    yield start
    for writer in started:
        writer.ends.set()


def wait_for_more(writers, count=ENOUGH):
    before = [len(writer.acknowledged) for writer in writers]
    wait_for(
        lambda: all(writer.wrong or len(writer.acknowledged) >= had + count for writer, had in zip(writers, before)),
        "writes to go on")
    for writer in writers:
        assert not writer.wrong, writer.wrong


def insist_nothing_is_lost(network, writers, beside=()):
    """Every node has each acknowledged key once, the same value, and nothing that nobody wrote.

    `beside`: keys that others have written."""
    for writer in writers:
        writer.ends.set()
    for writer in writers:
        writer.join()
        assert not writer.wrong, writer.wrong
    network.level()
    for member in range(3):
        mine = [writer for writer in writers if writer.member == member]
        acknowledged = {key for writer in mine for key in writer.acknowledged}
        known = acknowledged | {key for writer in mine for key in writer.unknown} | set(beside)
        for node in network.living():
            answer = node.member(member).get("/app/report")
            found = {entry["lei"] for entry in answer.json()["content"] or []} if answer.status == 200 else set()
            assert acknowledged <= found, f"lost: {sorted(acknowledged - found)[:5]}"
            assert found <= known, f"from nowhere: {sorted(found - known)[:5]}"
    reports = {json.dumps(node.member(0).report(), sort_keys=True) for node in network.living()}
    assert len(reports) == 1


def test_three_nodes_say_the_same_and_know_their_roles(make_network):
    network = make_network()
    primary = network.primary()
    backups = network.backups()
    assert len(backups) == 2
    key = {"lei": "A", "nace": "1"}
    assert backups[0].member(0).ingest([key]).status == 200, "a write at a backup is done by the primary"
    network.level()
    for node in network.nodes:
        assert [entry["lei"] for entry in node.member(0).report()] == ["A"]
        network_says = node.client().get("/node/network").json()
        assert network_says["primary_id"] == network.node_id(primary)
        nodes = node.client().get("/node/network/nodes").json()["nodes"]
        assert {entry["node_id"] for entry in nodes} == {network.node_id(each) for each in network.nodes}
        assert [entry["node_id"] for entry in nodes if entry["primary"]] == [network.node_id(primary)]
        assert {entry["status"] for entry in nodes} == {"Trusted"}
        assert node.client().get("/node/primary").status == (200 if node is primary else 404)
        assert node.client().request("HEAD", "/node/primary").status == (200 if node is primary else 308)
        assert node.client().get("/node/backup").status == (404 if node is primary else 200)
        assert set(network.state_of(node)["configs"][-1]["nodes"]) == network.voters()


@pytest.mark.parametrize("who", ["primary", "backup"])
def test_kill_under_load_loses_nothing(make_network, writers, who):
    network = make_network()
    load = writers(network)
    for _ in range(ROUNDS):
        wait_for_more(load)
        victim = network.primary() if who == "primary" else network.backups()[0]
        victim.kill()
        wait_for_more(load)
        victim.launch()
        wait_for_more(load)
    insist_nothing_is_lost(network, load)


def test_a_primary_that_stood_still_finds_another_one(make_network, writers):
    network = make_network()
    load = writers(network)
    wait_for_more(load)
    victim = network.primary()
    view = victim.view()
    os.kill(victim.process.pid, signal.SIGSTOP)
    other = network.primary(other_than=[victim])
    wait_for(lambda: other.view() > view, "a new view")
    wait_for(lambda: sum(len(writer.acknowledged) for writer in load) > 0, "writes")
    os.kill(victim.process.pid, signal.SIGCONT)
    wait_for(lambda: (network.state_of(victim) or {}).get("leadership_state") not in (None, "Leader"),
             "the old primary to step back")
    wait_for_more(load)
    insist_nothing_is_lost(network, load)


def test_all_killed_at_once_come_back_with_everything(make_network, writers):
    network = make_network()
    load = writers(network)
    wait_for_more(load)
    network.kill()
    for node in network.nodes:
        node.launch(wait=False)
    for node in network.nodes:
        node.wait_ready()
    wait_for_more(load)
    insist_nothing_is_lost(network, load)


def test_a_rolling_restart_under_load_loses_nothing(make_network, writers):
    network = make_network()
    load = writers(network)
    for node in list(network.nodes):
        wait_for_more(load, 5)
        node.restart()
    wait_for_more(load)
    insist_nothing_is_lost(network, load)
    assert "hands over" in "".join(node.log() for node in network.nodes)


def test_a_minority_takes_no_writes(make_network):
    network = make_network()
    primary = network.primary()
    for node in network.backups():
        node.kill()
    assert primary.member(0).ingest([{"lei": "B", "nace": "1"}]).status in (503, 504)
    assert primary.client().get("/node/network").status == 200, "it goes on telling what was agreed on"
    for node in network.nodes:
        if node is not primary:
            node.launch()
    wait_for(lambda: network.primary().member(0).ingest([{"lei": "C", "nace": "1"}]).status == 200, "writes")


def test_nodes_come_and_go_under_load(make_network, writers):
    network = make_network()
    load = writers(network)
    wait_for_more(load, 5)
    added = network.add()
    network.wait_voters(4)
    # The one that has been primary from the beginning leaves.
    gone = network.primary()
    gone_id = network.node_id(gone)
    network.command({"command": "retire", "node_id": gone_id})
    wait_for(lambda: gone_id in [entry["node_id"] for entry in network.anybody("/node/network/removable_nodes")["nodes"]],
             "the node to be removable")
    network.wait_voters(3)
    gone.stop()
    wait_for_more(load)
    network.command({"command": "remove", "node_id": gone_id})
    wait_for(lambda: gone_id not in [entry["node_id"] for entry in network.listed()], "its record to be gone")
    assert network.node_id(added) in network.voters()
    insist_nothing_is_lost(network, load)


def test_a_node_that_is_replaced_votes_until_the_other_does(make_network):
    network = make_network()
    primary = network.primary()
    gone = network.node_id(network.backups()[0])
    joiner = network.launch_joiner()
    before = len(primary.log())
    # It gets the ledger only once it is trusted, and answers nobody until it has it: here that takes long.
    pending = network.pending()
    joiner.process.send_signal(signal.SIGSTOP)
    for node_id in pending:
        network.command({"command": "trust", "node_id": node_id})
    wait_for(lambda: "learners" in primary.log()[before:], "the primary to count with it")
    network.command({"command": "retire", "node_id": gone})
    seen = primary.commit()
    wait_for(lambda: primary.member(0).ingest([{"lei": "A", "nace": "1"}]).status == 200 and primary.commit() > seen,
             "the retirement to be agreed on")
    time.sleep(1)  # many times what the primary takes to look again
    joiner.process.send_signal(signal.SIGCONT)
    joiner.wait_ready()
    wait_for(lambda: gone in [entry["node_id"] for entry in network.anybody("/node/network/removable_nodes")["nodes"]],
             "the node to be removable")
    assert network.primary() is primary
    voters = re.findall(r"who agrees has changed: voters ([0-9 ]+)", primary.log()[before:])
    assert voters and all(len(ids.split()) == 3 for ids in voters), voters
    assert network.node_id(joiner) in network.voters()
