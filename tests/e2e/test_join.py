"""Nodes that join a service, managed with the command line as an operator would."""
import json
import os
import signal
import subprocess

import pytest

from network import PATIENT
from node import DAEMON, PATIENCE, Node, free_port, run_tool, wait_for


class Joiner:
    """A node that `concordat node add` has prepared."""

    def __init__(self, founder, folder, *options):
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.process = None
        self.log_file = folder.parent / f"{folder.name}.log"
        self.added = run_tool(
            "node", "add", "--from", founder.home / "config.json", "--into", folder, "--rpc-address", self.address,
            "--node-address", f"127.0.0.1:{free_port()}", *options)

    def launch(self):
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [DAEMON, "--config", self.folder / "node.json"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_ready(self):
        def ready():
            assert self.process.poll() is None, self.log()[-3000:]
            pid_file = self.folder / "node.pid"
            return pid_file.exists() and pid_file.read_text().strip() == str(self.process.pid)
        wait_for(ready, "the node to have joined")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)


@pytest.fixture
def service(tmp_path):
    founder = Node(tmp_path, changes=PATIENT).launch()
    joiners = []

    def join(name, *options):
        joiners.append(Joiner(founder, tmp_path / name, *options))
        return joiners[-1]
    founder.join = join
    yield founder
    for joiner in joiners:
        joiner.kill()
    founder.kill()


def control(founder):
    # Shorter than the absolute path, which may be longer than a socket's can be.
    return os.path.relpath(founder.home / "control.sock")


def nodes(founder):
    return {node["node_id"]: node for node in founder.client().get("/node/network/nodes").json()["nodes"]}


def pending(founder):
    return next((name for name, node in nodes(founder).items() if node["status"] == "Pending"), None)


def test_an_operator_adds_a_node_to_an_open_service_and_takes_it_out(service):
    founder = service
    joiner = founder.join("node1")
    assert joiner.added.returncode == 0, joiner.added
    joiner.launch()
    name = wait_for(lambda: pending(founder), "the node to ask")
    listed = run_tool("node", "list", "--control", control(founder))
    assert listed.returncode == 0 and name in listed.stdout and "Pending" in listed.stdout, listed

    trusted = run_tool("node", "trust", name[:10], "--control", control(founder))
    assert trusted.returncode == 0 and f"node {name} is trusted" in trusted.stdout, trusted
    joiner.wait_ready()
    assert nodes(founder)[name]["status"] == "Trusted"
    again = run_tool("node", "trust", name, "--control", control(founder))
    assert again.returncode == 0 and "already is trusted" in again.stdout, again

    founder_id = next(other for other in nodes(founder) if other != name)
    retired = run_tool("node", "retire", name, "--control", control(founder))
    assert retired.returncode == 0, retired
    wait_for(lambda: run_tool("node", "remove", name, "--control", control(founder)).returncode == 0,
             "all to agree that it takes no part any more")
    assert set(nodes(founder)) == {founder_id}
    last = run_tool("node", "retire", founder_id, "--control", control(founder))
    assert last.returncode == 1 and "last trusted node" in last.stderr, last


def test_a_node_that_is_refused_says_why_and_ends(service):
    founder = service
    first = founder.join("node1")
    first.launch()
    wait_for(lambda: pending(founder), "the node to ask")
    # Another node at the address for nodes of the first.
    second = founder.join("node2")
    configuration = json.loads((second.folder / "node.json").read_text())
    theirs = json.loads((first.folder / "node.json").read_text())["network"]["node_to_node_interface"]
    configuration["network"]["node_to_node_interface"] = {"bind_address": "127.0.0.1:0",
                                                          "published_address": theirs["bind_address"]}
    (second.folder / "node.json").write_text(json.dumps(configuration))
    second.launch()
    assert second.process.wait(PATIENCE) == 1
    assert "NodeAlreadyExists" in second.log(), second.log()


def test_a_node_that_waits_can_be_stopped_and_asks_again_as_the_same(service):
    founder = service
    joiner = founder.join("node1").launch()
    name = wait_for(lambda: pending(founder), "the node to ask")
    joiner.process.send_signal(signal.SIGTERM)
    joiner.process.wait(PATIENCE)
    joiner.launch()
    wait_for(lambda: joiner.log().count("waits for the members") >= 2, "it to ask again")
    assert list(nodes(founder)).count(name) == 1 and len(nodes(founder)) == 2


def test_the_socket_is_for_its_owner_alone(service):
    assert os.stat(service.home / "control.sock").st_mode & 0o777 == 0o600
