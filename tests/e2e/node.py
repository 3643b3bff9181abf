"""A service of one node in a folder of its own, run as real processes on 127.0.0.1."""
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from client import Client
from identity import Identity, write_identity

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("CONCORDAT_BIN", ROOT / "build/release/bin"))
DAEMON = BIN / "concordatd"
TOOL = BIN / "concordat"
PATIENCE = 120
"""Seconds after which anything that has not happened is taken for a hang; sanitizers and a busy machine are slow."""


def wait_for(condition, what, seconds=PATIENCE, pause=0.01):
    """Polls until `condition` gives something true, and returns it."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(pause)


def free_port():
    """Below those that the system gives to outgoing connections: one of these could take a stopped node's port."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def has_address_sanitizer():
    return b"__asan_init" in DAEMON.read_bytes()


def merge(into, changes):
    """Puts nested changes into a configuration; None takes a key out."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        elif value is None:
            into.pop(key, None)
        else:
            into[key] = value


class StartFailed(AssertionError):
    pass


class Node:
    """Members and users are made with the folder; a stopped node may be started again, in the same folder."""

    def __init__(self, folder, members=3, users=1, user_data=None, changes=None, program=DAEMON):
        self.program = program
        self.folder = Path(folder)
        self.common, self.home = self.folder / "common", self.folder / "node0"
        self.common.mkdir(parents=True)
        self.home.mkdir()
        self.members = [write_identity(self.common, f"member{index}") for index in range(members)]
        self.users = [write_identity(self.common, f"user{index}") for index in range(users)]
        self.service_certificate = self.common / "service_cert.pem"
        self.ledger = self.home / "ledger"
        self.log_file = self.home / "log"
        self.process = None
        self.address = None
        configured_users = []
        for index, user in enumerate(self.users):
            entry = {"certificate_file": str(user.certificate_file)}
            if user_data and index in user_data:
                data = user_data[index](self) if callable(user_data[index]) else user_data[index]
                data_file = self.common / f"user{index}_data.json"
                data_file.write_text(json.dumps(data))
                entry["data_json_file"] = str(data_file)
            configured_users.append(entry)
        self.configuration = {
            "network": {"node_to_node_interface": {"bind_address": "127.0.0.1:0"},
                        "rpc_interfaces": {"main": {"bind_address": f"127.0.0.1:{free_port()}"}}},
            "command": {
                "type": "Start", "service_certificate_file": "../common/service_cert.pem",
                "start": {"members": [{"certificate_file": str(member.certificate_file)} for member in self.members],
                          "initial_service_certificate_validity_days": 365}},
            "node_certificate": {"initial_validity_days": 365},
            "ledger": {"directory": "ledger"},
            "snapshots": {"directory": "snapshots"},
            "output_files": {"rpc_addresses_file": "rpc_addresses.json", "pid_file": "node.pid",
                             "node_certificate_file": "nodecert.pem"},
            "concordat": {"users": configured_users, "open_service": True, "sealed_directory": "sealed",
                          "sealing_key_file": "sealing.key", "application": {"vote_threshold": 3}}}
        merge(self.configuration, changes or {})
        self.write_configuration()

    def write_configuration(self):
        (self.home / "config.json").write_text(json.dumps(self.configuration, indent=1))

    # --- process
    def launch(self, environment=None, options=(), wait=True, files=None):
        """`files`: how many may be open at once."""
        assert self.process is None or self.process.poll() is not None
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*(["prlimit", f"--nofile={files}:{files}"] if files else []), self.program, "--config", "config.json", *options],
                cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(environment or {})})
        return self.wait_ready() if wait else self

    def wait_ready(self):
        """Until the application answers. The node writes its pid file when all other output files stand."""
        def ready():
            if self.process.poll() is not None:
                raise StartFailed(f"the node ended with {self.process.returncode}:\n{self.log()[-3000:]}")
            if not self.wrote_its_pid():
                return False
            self.address = json.loads((self.home / "rpc_addresses.json").read_text())["main"]
            try:
                return self.client().get("/node/ready/app").status == 204
            except OSError:
                return False  # it listens but shows no certificate yet
        wait_for(ready, "the node to be ready", pause=0.005)
        return self

    def wrote_its_pid(self):
        pid_file = self.home / "node.pid"
        return pid_file.exists() and pid_file.read_text().strip() == str(self.process.pid)

    def refuses_to_start(self):
        """Starts it, insists that it gives up without serving anything; returns what it said on this start."""
        before = len(self.log())
        self.launch(wait=False)
        wait_for(lambda: self.process.poll() is not None or self.wrote_its_pid(), "the node to give up")
        if self.process.poll() is None:
            self.kill()
            raise AssertionError(f"it started and serves:\n{self.log()[before:]}")
        assert self.process.returncode == 1, self.log()[before:]
        return self.log()[before:]

    def stop(self):
        """An orderly stop, which must end well."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(PATIENCE) == 0, self.log()[-3000:]

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def restart(self, **options):
        self.stop()
        return self.launch(**options)

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    # --- talking to it
    def client(self, identity=None, **options):
        return Client(self.address, self.service_certificate, identity, **options)

    def member(self, index, **options):
        return self.client(self.members[index], **options)

    def user(self, index, **options):
        return self.client(self.users[index], **options)

    def view(self):
        return self.client().get("/node/network").json()["current_view"]

    def commit(self):
        """(view, seqno) of the last committed transaction."""
        view, seqno = self.client().get("/app/commit").json()["transaction_id"].split(".")
        return int(view), int(seqno)

    # --- its ledger
    def ledger_files(self):
        """Chunk files in the order of what they hold."""
        files = [path for path in self.ledger.iterdir() if re.fullmatch(r"ledger_\d+(-\d+)?(\.committed)?", path.name)]
        return sorted(files, key=lambda path: int(re.match(r"ledger_(\d+)", path.name)[1]))

    def verify_ledger(self, *options):
        return run_tool("ledger", "verify", self.ledger, *options)

    def insist_ledger_verifies(self):
        done = self.verify_ledger()
        assert done.returncode == 0, done.stdout + done.stderr


class Tool:
    """What a run of the command line gave."""

    def __init__(self, done):
        self.returncode, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"<exit {self.returncode}\n{self.stdout}\n{self.stderr}>"


def run_tool(*words, environment=None, stdin=None, cwd=None, timeout=PATIENCE):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONCORDAT_")}
    done = subprocess.run(
        [str(TOOL), *map(str, words)], capture_output=True, text=True, errors="replace", input=stdin, cwd=cwd,
        timeout=timeout, env={**clean, **(environment or {})})
    return Tool(done)


def sandbox_identity(workspace, name):
    common = Path(workspace) / "common"
    return Identity(common / f"{name}_cert.pem", common / f"{name}_privk.pem")
