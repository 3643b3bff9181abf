"""`concordat sandbox`: a local network in one command."""
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from client import Client
from node import DAEMON, PATIENCE, ROOT, TOOL, free_port, run_tool, sandbox_identity, wait_for

SAMPLES = ROOT / "tests/data/samples"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("CONCORDAT_")}


class Sandbox:
    """A sandbox in the background."""

    def __init__(self, workspace, *options, port=None, wait=True):
        self.workspace, self.port = Path(workspace), port or free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.output_file = self.workspace.parent / f"{self.workspace.name}.out"
        with self.output_file.open("w") as output:
            self.process = subprocess.Popen(
                [TOOL, "sandbox", "--workspace", self.workspace, "--port", str(self.port), *map(str, options)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.workspace.parent, env=CLEAN)
        if wait:
            wait_for(lambda: "Ctrl-C" in self.output() or self.process.poll() is not None, "the sandbox to be open")
            assert self.process.poll() is None, self.output()

    def output(self):
        return self.output_file.read_text()

    def node_pid(self):
        return int((self.workspace / "node0/node.pid").read_text())

    def client(self, name=None):
        identity = sandbox_identity(self.workspace, name) if name else None
        return Client(f"127.0.0.1:{self.port}", self.workspace / "common/service_cert.pem", identity)

    def stop(self, how=signal.SIGINT):
        """Ends it with a signal; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@pytest.fixture
def sandbox(tmp_path):
    """Starts sandboxes that end with the test."""
    made = []

    def start(*options, name="work space", **settings):
        made.append(Sandbox(tmp_path / name, *options, **settings))
        return made[-1]

    yield start
    for one in made:
        one.stop()
    assert not processes_below(tmp_path)


def processes_below(folder):
    """The nodes that run anywhere below a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if Path(os.readlink(entry / "cwd")).is_relative_to(folder) and os.readlink(entry / "exe") in (
                        str(DAEMON.resolve()), str(TOOL.resolve())):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_the_workspace_has_the_layout_that_tools_expect(sandbox):
    workspace = sandbox().workspace
    names = {path.name for path in (workspace / "common").iterdir()}
    expected = {"service_cert.pem", "user0_cert.pem", "user0_privk.pem"}
    for index in range(3):
        expected |= {f"member{index}_{kind}.pem" for kind in ("cert", "privk", "enc_pubk", "enc_privk")}
    assert expected <= names and "member3_cert.pem" not in names and "user1_cert.pem" not in names
    for path in (workspace / "common").glob("*_privk.pem"):
        assert path.stat().st_mode & 0o077 == 0, path
    node = workspace / "node0"
    assert {"config.json", "log", "ledger", "node.pid", "rpc_addresses.json"} <= {path.name for path in node.iterdir()}
    assert json.loads((node / "config.json").read_text())["concordat"]["open_service"] is True


def test_it_prints_the_node_and_commands_that_work_when_pasted(sandbox):
    running = sandbox()
    output = running.output()
    row = next(line for line in output.splitlines() if "node0" in line and running.url in line)
    assert str(running.node_pid()) in row and "protects nothing" in output
    commands = re.findall(r"^  (\S.*(?:submit|report|curl|ledger verify).*)$", output, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=PATIENCE, cwd="/", env=CLEAN)
        assert done.returncode == 0, (command, done)


def test_members_and_users_can_use_it_at_once(sandbox):
    running = sandbox("--members", 2, "--users", 2)
    assert not (running.workspace / "common/member2_cert.pem").exists()
    for name in ("member0", "member1", "user0", "user1"):
        assert running.client(name).ingest({"lei": "K", "nace": "V"}).status == 200
    assert running.client("user1").report()[0]["members_in_agreement"] == 4


def test_a_workspace_without_users_is_possible(sandbox):
    running = sandbox("--members", 1, "--users", 0)
    assert not list((running.workspace / "common").glob("user*"))
    assert running.client("member0").get("/app/report").status == 400


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ending_it_leaves_no_processes_and_a_restart_keeps_all_data(sandbox, tmp_path, how):
    running = sandbox()
    running.client("member0").ingest({"lei": "K", "nace": "kept"})
    certificate = (running.workspace / "common/service_cert.pem").read_bytes()
    assert len(processes_below(tmp_path)) == 2
    assert running.stop(how) == 0
    assert not processes_below(tmp_path) and not (running.workspace / "node0/node.pid").exists()
    again = sandbox(port=running.port)
    assert again.client("member0").report()[0]["nace"] == "kept"
    assert (again.workspace / "common/service_cert.pem").read_bytes() == certificate


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_the_node_does_not_outlive_a_sandbox_that_is_killed(sandbox, tmp_path):
    running = sandbox()
    running.client("member0").ingest({"lei": "K", "nace": "kept"})
    running.process.kill()
    running.process.wait()
    wait_for(lambda: not processes_below(tmp_path), "the node to end")
    # A process that is ending has no name any more before its sockets are closed.
    wait_for(lambda: is_free(running.port), "its port to be free")
    again = sandbox(port=running.port)
    assert again.client("member0").report()[0]["nace"] == "kept"


def test_a_stale_pid_file_of_a_process_that_is_another_now_is_no_hindrance(sandbox):
    running = sandbox()
    running.stop()
    (running.workspace / "node0/node.pid").write_text(f"{os.getpid()}\n")
    assert sandbox(port=running.port).client().get("/node/ready/app").status == 204


def test_fresh_begins_a_new_service(sandbox):
    running = sandbox()
    running.client("member0").ingest({"lei": "K", "nace": "old"})
    certificate = (running.workspace / "common/service_cert.pem").read_bytes()
    running.stop()
    again = sandbox("--fresh", "--members", 1, port=running.port)
    assert again.client("member0").get("/app/report").status == 400
    assert (again.workspace / "common/service_cert.pem").read_bytes() != certificate
    assert not (again.workspace / "common/member1_cert.pem").exists()


def test_fresh_removes_nothing_that_it_did_not_make(sandbox):
    running = sandbox()
    running.stop()
    mine = running.workspace / "my notes.txt"
    mine.write_text("mine")
    sandbox("--fresh", port=running.port)
    assert mine.read_text() == "mine"


def test_a_second_one_in_the_same_workspace_is_told_and_the_first_goes_on(sandbox):
    running = sandbox()
    done = run_tool("sandbox", "--workspace", running.workspace, "--port", free_port())
    assert done.returncode == 1 and "another sandbox runs" in done.stderr and "--workspace" in done.stderr, done
    assert running.client("member0").ingest({"lei": "K", "nace": "V"}).status == 200


def test_a_second_one_on_the_same_port_is_told_and_the_first_goes_on(sandbox, tmp_path):
    running = sandbox()
    done = run_tool("sandbox", "--workspace", tmp_path / "other", "--port", running.port)
    assert done.returncode == 1 and str(running.port) in done.stderr and "--port" in done.stderr, done
    assert running.client("member0").ingest({"lei": "K", "nace": "V"}).status == 200
    assert len(processes_below(tmp_path)) == 2


def test_two_in_workspaces_and_on_ports_of_their_own_do_not_meet(sandbox):
    first, second = sandbox(name="first"), sandbox(name="second")
    first.client("member0").ingest({"lei": "K", "nace": "V"})
    assert second.client("member0").get("/app/report").status == 400
    assert Client(f"127.0.0.1:{second.port}", second.workspace / "common/service_cert.pem",
                  sandbox_identity(first.workspace, "member0")).get("/app/report").status == 401


def test_when_the_node_dies_the_sandbox_says_so_with_its_log_and_ends(sandbox):
    running = sandbox()
    os.kill(running.node_pid(), signal.SIGKILL)
    assert running.process.wait(PATIENCE) == 1
    assert "the node " in running.output() and "last lines of its log" in running.output()
    assert "node0/log" in running.output()


def test_when_the_node_cannot_start_its_reason_is_shown(sandbox):
    running = sandbox()
    running.stop()
    sealed = running.workspace / "node0/sealed/identity.sealed"
    sealed.write_bytes(sealed.read_bytes()[:-1])
    again = sandbox(port=running.port, wait=False)
    assert again.process.wait(PATIENCE) == 1 and "identity.sealed" in again.output(), again.output()


def test_it_can_be_ended_while_it_starts(sandbox, tmp_path):
    for pause in (0, 0.01, 0.05, 0.1, 0.2):
        running = sandbox(name=f"space{pause}", wait=False)
        time.sleep(pause)
        running.stop()
        assert not processes_below(tmp_path)


@pytest.mark.parametrize("options", [["--members", "0"], ["--members", "many"], ["--port", "99999"], ["--colour"]])
def test_wrong_options_are_a_usage_error(tmp_path, options):
    done = run_tool("sandbox", "--workspace", tmp_path / "w", *options)
    assert done.returncode == 2 and options[0] in done.stderr, done
    assert not (tmp_path / "w").exists()


def test_a_node_program_that_is_not_there_is_said(tmp_path):
    done = run_tool("sandbox", "--workspace", tmp_path / "w", "--node-binary", tmp_path / "nothing")
    assert done.returncode == 1 and "nothing" in done.stderr and "--node-binary" in done.stderr, done


def test_of_several_nodes_one_may_be_killed_and_all_come_back(sandbox):
    ports = [free_port() for _ in range(3)]
    network = sandbox("--nodes", 3, port=next(port for port in ports if all(is_free(port + more) for more in (1, 2))))
    rows = [line.split() for line in network.output().splitlines() if re.match(r"node\d ", line)]
    assert [row[2] for row in rows] == ["primary", "backup", "backup"], network.output()
    os.kill(int(rows[0][3]), signal.SIGKILL)
    wait_for(lambda: "node0 was ended by signal 9" in network.output(), "the sandbox to tell")
    urls = [word for row in rows for word in ("--url", row[1])]
    submitted = run_tool("submit", SAMPLES / "member1.json", *urls, "--workspace", network.workspace, "--as", "member1")
    assert submitted.returncode == 0, submitted
    assert network.stop() == 0

    again = sandbox("--nodes", 1, port=network.port)
    assert "was made with 3 nodes" in again.output()
    assert len([line for line in again.output().splitlines() if re.match(r"node\d ", line)]) == 3
    assert [line.split()[2] for line in again.output().splitlines() if line.startswith("node")].count("primary") == 1

    def report():
        return run_tool("report", "--url", rows[0][1], "--workspace", again.workspace, "--as", "member1")
    wait_for(lambda: "254900Z8QM2AR51H5I26" in report().stdout, "the node that was killed to have what it missed")


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False
