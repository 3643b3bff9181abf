"""Nodes that each have a network of their own, as if they were machines: what goes to and from one can be dropped."""
import ctypes
import os
import subprocess
from pathlib import Path

from network import Network
from node import DAEMON, free_port

CLONE_NEWNET = 0x40000000
SUBNET = "10.77.0"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def leave_network():
    """This process, and those that it starts, have a network of their own from now on: call it before any thread is
    started. Says why, if the machine does not allow that."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return f"no network of its own: {os.strerror(ctypes.get_errno())}"
    try:
        ip("link", "set", "lo", "up")
        ip("link", "add", "machines", "type", "bridge")
        ip("addr", "add", f"{SUBNET}.254/24", "dev", "machines")
        ip("link", "set", "machines", "up")
    except (OSError, subprocess.CalledProcessError) as failure:
        return f"no bridge: {getattr(failure, 'stderr', None) or failure}"
    return None


class Machines(Network):
    """As Network; every node runs behind a wire of its own."""

    def __init__(self, folder, size, **options):
        self.names = []
        super().__init__(folder, size, **options)

    def next_number(self):
        return len(getattr(self, "nodes", []))

    def with_ports(self):
        address = f"{SUBNET}.{self.next_number() + 1}"
        changes = super().with_ports()
        network = changes.setdefault("network", {})
        network["node_to_node_interface"] = {"bind_address": f"{address}:{free_port()}"}
        network["rpc_interfaces"] = {"main": {"bind_address": f"{address}:{free_port()}"}}
        return changes

    def program(self, number):
        name = f"concordat-{os.getpid()}-{number}"
        ip("netns", "add", name)
        self.names.append(name)
        ip("link", "add", f"wire{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        self.mend(number)
        ip("link", "set", f"wire{number}", "up")
        for words in (["link", "set", "lo", "up"], ["addr", "add", f"{SUBNET}.{number + 1}/24", "dev", "eth0"],
                      ["link", "set", "eth0", "up"]):
            ip("-n", name, *words)
        program = Path(self.folder) / f"machine{number}"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec ip netns exec {name} {DAEMON} "$@"\n')
        program.chmod(0o755)
        return program

    def cut(self, node):
        """All packets to and from it are lost, without anybody being told."""
        ip("link", "set", f"wire{self.nodes.index(node)}", "nomaster")

    def mend(self, node):
        number = node if isinstance(node, int) else self.nodes.index(node)
        ip("link", "set", f"wire{number}", "master", "machines")

    def kill(self):
        super().kill()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        self.names = []
