"""A service of several nodes, run as real processes on 127.0.0.1."""
import contextlib
import http.client
import json
import os
import socket

from node import DAEMON, PATIENCE, Node, free_port, merge, wait_for

UNREACHABLE = (OSError, http.client.HTTPException)
PATIENT = {"consensus": {"message_timeout": "100ms", "election_timeout": "1500ms"}}
"""A busy machine's disk can take longer than the usual time-out: roles stay as they are unless a test changes them."""


class Joiner(Node):
    """A node that joins the service of another one, whose folder for common things it shares."""

    def __init__(self, first, folder, changes=None):
        super().__init__(folder, members=0, users=0, program=first.program)
        self.members, self.users = first.members, first.users
        self.service_certificate = first.service_certificate
        configuration = self.configuration
        configuration["command"] = {
            "type": "Join", "service_certificate_file": str(first.service_certificate),
            "join": {"target_rpc_address": first.address, "retry_timeout": "100ms"}}
        configuration["concordat"].pop("users")
        configuration["concordat"]["open_service"] = False
        merge(configuration, changes or {})
        self.write_configuration()


class Network:
    """Nodes that agree with each other. The first one makes the service; the others join it and are trusted."""

    def __init__(self, folder, size=3, changes=PATIENT, environment=lambda number: {}):
        """`environment`: of each node, by its number."""
        self.folder, self.changes, self.environment = folder, changes, environment
        self.nodes = [Node(folder / "0", changes=self.with_ports(), program=self.program(0))]
        self.nodes[0].launch(environment=environment(0))
        for _ in range(size - 1):
            self.add()
        self.wait_voters(size)

    def with_ports(self):
        changes = {"network": {"node_to_node_interface": {"bind_address": f"127.0.0.1:{free_port()}"}}}
        merge(changes, self.changes)
        return changes

    def program(self, number):
        """What a node runs."""
        return DAEMON

    def launch_joiner(self):
        """Starts one more node, which asks a node that lives, and waits to be trusted."""
        node = Joiner(self.living()[0], self.folder / str(len(self.nodes)), self.with_ports())
        node.program = self.program(len(self.nodes))
        self.nodes.append(node)
        node.launch(environment=self.environment(len(self.nodes) - 1), wait=False)
        wait_for(lambda: self.pending(), "the node to ask")
        return node

    def add(self):
        """Starts one more node, and has the primary trust it."""
        node = self.launch_joiner()
        for pending in self.pending():
            self.command({"command": "trust", "node_id": pending})
        node.wait_ready()
        return node

    def pending(self):
        return [node["node_id"] for node in self.listed() if node["status"] == "Pending"]

    def listed(self):
        return self.anybody("/node/network/nodes")["nodes"]

    # --- who lives, and who does what
    def living(self):
        return [node for node in self.nodes if node.process and node.process.poll() is None and node.address]

    def anybody(self, path):
        """What a node that answers says."""
        def ask():
            for node in self.living():
                with contextlib.suppress(*UNREACHABLE):
                    answer = node.client(timeout=5).get(path)
                    if answer.status == 200:
                        return answer
            return None
        return wait_for(ask, f"an answer to {path}").json()

    def state_of(self, node):
        with contextlib.suppress(*UNREACHABLE, ValueError):
            return node.client(timeout=5).get("/node/consensus").json()["details"]
        return None

    def primary(self, other_than=()):
        """The node that takes writes, once there is one."""
        def look():
            for node in self.living():
                if node in other_than:
                    continue
                state = self.state_of(node)
                if state and state["leadership_state"] == "Leader":
                    return node
            return None
        return wait_for(look, "a primary")

    def backups(self):
        primary = self.primary()
        return [node for node in self.living() if node is not primary]

    def node_id(self, node):
        return node.client().get("/node/state").json()["node_id"]

    def voters(self):
        state = self.state_of(self.primary())
        return set(state["configs"][-1]["nodes"]) if state else set()

    def wait_voters(self, count):
        wait_for(lambda: len(self.voters()) == count, f"{count} nodes to agree")

    # --- commands of the operator
    def command(self, command):
        def ask():
            for node in self.living():
                answer = ask_control(node, command)
                if answer and "error" not in answer:
                    return answer
                if answer and answer["error"]["code"] not in ("NodeCannotHandleRequest", "PrimaryNotFound"):
                    raise AssertionError(answer)
            return None
        return wait_for(ask, f"somebody to do {command}")

    # --- all
    def stop(self):
        for node in self.living():
            node.process.terminate()
        for node in self.nodes:
            node.stop()

    def kill(self):
        for node in self.nodes:
            node.kill()

    def level(self):
        """Waits until every living node has committed what the primary has."""
        view, seqno = self.primary().commit()
        for node in self.living():
            wait_for(lambda at=node: at.commit() >= (view, seqno), "the nodes to be level")


def ask_control(node, command):
    """One command at the control socket of a node; nothing if it does not answer."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(PATIENCE)
        # Its path from there is short, wherever the tests run: a socket has a longest one.
        before = os.open(".", os.O_RDONLY)
        try:
            os.chdir(node.home)
            stream.connect("control.sock")
        finally:
            os.fchdir(before)
            os.close(before)
        stream.sendall(json.dumps(command).encode() + b"\n")
        return json.loads(stream.makefile().readline() or "null")
    return None
