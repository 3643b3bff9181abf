"""A disk that does not answer, under one of several nodes: it delays nobody, and who leads lets another one lead."""
import pytest

from network import PATIENT
from node import wait_for
from recorded_disk import Recorder
from test_network import insist_nothing_is_lost, make_network, wait_for_more, writers  # noqa: F401


@pytest.fixture
def network_and_disks(make_network, tmp_path):  # noqa: F811
    recorders = [Recorder(tmp_path / f"disk{number}") for number in range(3)]
    network = make_network(changes=PATIENT, environment=lambda number: recorders[number].environment())
    yield network, dict(zip(network.nodes, recorders))
    for recorder in recorders:
        recorder.set()


def test_a_primary_whose_disk_hangs_gives_way(network_and_disks, writers):  # noqa: F811
    network, disks = network_and_disks
    load = writers(network)
    wait_for_more(load)
    victim = network.primary()
    disks[victim].set(hangs=1)
    assert network.primary(other_than=[victim]) is not victim
    wait_for(lambda: network.state_of(victim)["leadership_state"] == "Follower", "it to follow")
    wait_for_more(load)
    assert "the disk does not answer" in victim.log()
    disks[victim].set()
    wait_for(lambda: "the disk answers again" in victim.log(), "it to notice")
    insist_nothing_is_lost(network, load)


def test_a_backup_whose_disk_hangs_delays_nobody(network_and_disks, writers):  # noqa: F811
    network, disks = network_and_disks
    load = writers(network)
    wait_for_more(load)
    primary, victim = network.primary(), network.backups()[0]
    view = primary.commit()[0]
    disks[victim].set(hangs=1)
    for _ in range(3):
        wait_for_more(load)
    before = victim.commit()
    wait_for_more(load)
    assert victim.commit() == before, "what it cannot store it does not tell of"
    assert network.primary() is primary and primary.commit()[0] == view
    disks[victim].set()
    insist_nothing_is_lost(network, load)
