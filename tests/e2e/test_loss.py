"""Several nodes under load, of which any that may be lost are: nothing acknowledged is lost, nothing is done twice."""
import contextlib
import os
import random
import re
import signal

import pytest

from node import wait_for
from repeating import Repeater, insist_each_took_effect_once
from test_disk import FullDisk
from test_network import insist_nothing_is_lost, make_network, wait_for_more, writers  # noqa: F401

ENOUGH = 5


@pytest.fixture
def repeaters():
    started = []

    def start(network, count=3):
        for index in range(count):
            started.append(Repeater(network, f"counter{index}", index % 3))
            started[-1].start()
        return started

    yield start
    for repeater in started:
        repeater.ends.set()


def wait_for_repeaters(repeaters, count=ENOUGH):
    before = [len(repeater.done) for repeater in repeaters]
    wait_for(
        lambda: all(one.wrong or len(one.done) >= had + count for one, had in zip(repeaters, before)), "writes to go on")
    for one in repeaters:
        assert not one.wrong, one.wrong



HOW = ["kill", "stand still", "one of each"] if int(os.environ.get("CONCORDAT_ROUNDS", "1")) > 1 else ["kill"]
"""The others take minutes: they are for CONCORDAT_ROUNDS=2 and more."""


@pytest.mark.parametrize("how", HOW)
def test_any_two_of_five_may_be_lost(make_network, writers, repeaters, how):  # noqa: F811
    network = make_network(5)
    load = writers(network, 3)
    counting = repeaters(network, 2)
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    choice = random.Random(seed)
    for round_number in range(2):
        wait_for_more(load)
        primary = network.primary()
        victims = choice.sample(network.nodes, 2)
        if round_number == 1 and primary not in victims:
            victims[0] = primary
        for index, victim in enumerate(victims):
            if how == "kill" or (how == "one of each" and index == 0):
                victim.kill()
            else:
                os.kill(victim.process.pid, signal.SIGSTOP)
        wait_for_more(load, 10)
        wait_for_repeaters(counting)
        for victim in victims:
            if victim.process.poll() is None:
                os.kill(victim.process.pid, signal.SIGCONT)
            else:
                # It counts again only when it was readmitted; until then two more would be too many.
                before = len(victim.log())
                victim.launch()
                wait_for(lambda: "takes part again" in victim.log()[before:], "it to be readmitted")
        network.wait_voters(5)
        wait_for_more(load, 10)
    insist_each_took_effect_once(network, counting)
    insist_nothing_is_lost(network, load, beside=[one.name for one in counting])


@pytest.mark.parametrize("who", ["primary", "backup"])
def test_the_disk_of_one_is_full(make_network, writers, repeaters, who):  # noqa: F811
    network = make_network()
    load = writers(network)
    counting = repeaters(network, 2)
    wait_for_more(load)
    victim = network.primary() if who == "primary" else network.backups()[0]
    # Its ledger is the largest file: it can still say what is wrong in its log.
    full = FullDisk(victim, 5000)
    with contextlib.ExitStack() as stack:
        full.begin()
        stack.callback(lambda: victim.process.poll() is None and full.end())
        others = [node for node in network.nodes if node is not victim]
        wait_for(lambda: network.primary(other_than=[victim]) in others, "another primary")
        wait_for_more(load)
        wait_for_repeaters(counting)
        wait_for(lambda: re.search("File too large|No space left", victim.log()), "the node to say what is wrong")
        assert not any(re.search("File too large|No space left", node.log()) for node in others)
    victim.kill()
    victim.launch()
    wait_for_more(load)
    wait_for_repeaters(counting)
    insist_each_took_effect_once(network, counting)
    insist_nothing_is_lost(network, load, beside=[one.name for one in counting])


def test_a_rolling_restart_does_nothing_twice(make_network, repeaters):  # noqa: F811
    network = make_network()
    counting = repeaters(network)
    for _ in range(2):
        for node in list(network.nodes):
            wait_for_repeaters(counting)
            node.restart()
    wait_for_repeaters(counting)
    insist_each_took_effect_once(network, counting)


def test_nodes_come_and_go_and_nothing_is_done_twice(make_network, repeaters):  # noqa: F811
    network = make_network()
    counting = repeaters(network)
    wait_for_repeaters(counting)
    network.add()
    network.wait_voters(4)
    network.add()
    network.wait_voters(5)
    wait_for_repeaters(counting)
    for _ in range(2):
        gone = network.primary()
        gone_id = network.node_id(gone)
        network.command({"command": "retire", "node_id": gone_id})
        wait_for(
            lambda: gone_id in [entry["node_id"] for entry in network.anybody("/node/network/removable_nodes")["nodes"]],
            "the node to be removable")
        wait_for_repeaters(counting)
        gone.stop()
        network.command({"command": "remove", "node_id": gone_id})
    network.wait_voters(3)
    wait_for_repeaters(counting)
    insist_each_took_effect_once(network, counting)


VERSIONS = "CONCORDAT_TEST_PEER_VERSIONS"


def test_a_rolling_upgrade_between_two_versions(make_network, repeaters):  # noqa: F811
    """Nodes that speak version 1, then 1 and 2, then 2 alone, replaced one after the other under load."""
    network = make_network()
    counting = repeaters(network)
    for versions in ("1-2", "2-2"):
        for node in list(network.nodes):
            wait_for_repeaters(counting, 2)
            node.restart(environment={VERSIONS: versions})
            wait_for_repeaters(counting, 2)
    network.wait_voters(3)
    insist_each_took_effect_once(network, counting)


def test_a_version_that_the_others_do_not_speak_is_refused_and_said_once(make_network, writers):  # noqa: F811
    network = make_network()
    load = writers(network)
    victim = network.backups()[0]
    others = [node for node in network.nodes if node is not victim]
    victim.stop()
    before = {node: len(node.log()) for node in others}
    victim.launch(environment={VERSIONS: "2-3"}, wait=False)
    sentence = "no version of the protocol that both nodes speak"
    wait_for(lambda: sentence in victim.log(), "the node to say why nobody speaks with it")
    wait_for_more(load)
    for node in others:
        said = node.log()[before[node]:].count(sentence)
        assert 1 <= said <= 4, f"said {said} times: once for each lane and direction, not for each try"
    victim.kill()
    victim.launch()
    wait_for_more(load)
    insist_nothing_is_lost(network, load)
