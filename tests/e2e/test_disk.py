"""A disk that is full, or that fails to keep what it was given: nothing acknowledged is lost, reads go on, and writes
go on by themselves once the disk does."""
import contextlib
import json
import os
import resource
import subprocess
import threading
import uuid

import pytest

from node import DAEMON, PATIENCE, wait_for
from recorded_disk import Recorder

NO_HANG = 30
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class FullDisk:
    """No file of the node may grow beyond what the largest has now, plus `room`."""

    def __init__(self, node, room):
        self.node, self.room = node, room

    def begin(self):
        size = 0 if self.room is None else self.room + max(
            path.stat().st_size for path in self.node.home.rglob("*") if path.is_file())
        resource.prlimit(self.node.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def end(self):
        resource.prlimit(self.node.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)


class FailingSync:
    def __init__(self, recorder):
        self.recorder = recorder

    def begin(self):
        self.recorder.set(failing_syncs=1)

    def end(self):
        self.recorder.set()


@pytest.fixture(params=["full", "almost full", "sync fails"])
def faulty(request, make_node, tmp_path):
    """A running node and a fault that can be switched on and off."""
    # With a little room left it is the open ledger file that must outgrow it, so that one must not end before.
    chunk_size = "5MB" if request.param == "almost full" else "60KB"
    node = make_node(start=False, changes={"ledger": {"chunk_size": chunk_size}})
    if request.param != "sync fails":
        node.launch()
        fault = FullDisk(node, None if request.param == "full" else 5000)
    else:
        recorder = Recorder(tmp_path / "recorder")
        node.launch(environment=recorder.environment())
        fault = FailingSync(recorder)
    yield node, fault
    with contextlib.suppress(OSError):
        fault.end()


class Writer:
    """Writes fresh keys, and knows which were acknowledged."""

    def __init__(self, node, index=0):
        self.node, self.index = node, index
        self.acknowledged, self.submitted, self.refusals = {}, {}, []

    def write(self, size=50, session=None):
        lei, nace = uuid.uuid4().hex, "v" * size
        self.submitted[lei] = nace
        body = json.dumps({"lei": lei, "nace": nace}).encode()
        answer = (session or self.node.member(self.index)).post("/app/ingest", body)
        if answer.status == 200:
            self.acknowledged[lei] = nace
        else:
            self.refusals.append(answer)
        return answer

    def write_until(self, stop):
        """Many writes over one connection, a new one whenever the view has changed: so that at any moment some wait
        for the batch that is being written."""
        while not stop.is_set():
            with self.node.member(self.index).session() as session:
                answer = self.write(500, session.connect())
                while answer.code != "SessionConsistencyLost" and not stop.is_set():
                    answer = self.write(500, session)

    def insist_all_there(self):
        found = {record["lei"]: record["nace"] for record in self.node.member(self.index).report()}
        assert self.acknowledged.items() <= found.items(), "an acknowledged write is lost"
        assert found.items() <= self.submitted.items()


def insist_refusals_are_clear(writer):
    for answer in writer.refusals:
        if answer.code == "SessionConsistencyLost":
            continue
        assert (answer.status, answer.code) == (503, "TransactionReplicationFailed"), answer
        assert "cannot write" in answer.json()["error"]["message"], answer


def insist_what_had_a_place_is_known_to_be_lost(node, writer):
    for txid in {answer.txid for answer in writer.refusals if answer.txid and answer.status == 503}:
        assert node.client().get(f"/app/tx?transaction_id={txid}").json()["status"] == "Invalid", txid


def test_writes_are_refused_with_a_reason_reads_go_on_and_writes_come_back(faulty):
    node, fault = faulty
    writer = Writer(node)
    for _ in range(20):
        assert writer.write().status == 200
    view, seqno = node.commit()
    early = node.member(0).ingest({"lei": "early", "nace": "V"}).txid
    writer.submitted["early"] = writer.acknowledged["early"] = "V"

    fault.begin()
    wait_for(lambda: writer.write(2000).status == 503, "writes to be refused")
    for _ in range(5):
        writer.write(2000)
        writer.insist_all_there()
        assert node.client().get("/node/network").status == 200
        assert node.client().get(f"/app/tx?transaction_id={early}").json()["status"] == "Committed"
        assert node.client().get(f"/app/receipt?transaction_id={early}").status == 200
    insist_refusals_are_clear(writer)
    assert node.process.poll() is None

    fault.end()
    wait_for(lambda: writer.write().status == 200, "writes to be taken again", pause=0.1)
    assert node.commit()[0] > view and node.commit()[1] > seqno
    assert node.client().get(f"/app/tx?transaction_id={early}").json()["status"] == "Committed"
    writer.insist_all_there()
    assert any(answer.txid for answer in writer.refusals), "the first one had its place when the disk failed"
    insist_what_had_a_place_is_known_to_be_lost(node, writer)
    node.insist_ledger_verifies()
    for _ in range(20):
        assert writer.write().status == 200
    node.restart()
    writer.insist_all_there()


def test_that_holds_for_many_writers_at_once_and_none_hangs(faulty):
    node, fault = faulty
    writers = [Writer(node, index % 3) for index in range(12)]
    stop = threading.Event()

    threads = [threading.Thread(target=writer.write_until, args=(stop,)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            wait_for(lambda: all(writer.acknowledged for writer in writers), "writes")
            fault.begin()
            refused = [len(writer.refusals) for writer in writers]
            wait_for(lambda: all(len(writer.refusals) > before for writer, before in zip(writers, refused)),
                     "every writer to be refused", seconds=NO_HANG)
            fault.end()
            counts = [len(writer.acknowledged) for writer in writers]
            wait_for(lambda: all(len(writer.acknowledged) > before for writer, before in zip(writers, counts)),
                     "every writer to be served again", seconds=NO_HANG)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    def insist_all_there():
        for index in range(3):
            found = {record["lei"]: record["nace"] for record in node.member(index).report()}
            for writer in writers[index::3]:
                assert writer.acknowledged.items() <= found.items(), "an acknowledged write is lost"

    for writer in writers:
        insist_refusals_are_clear(writer)
        insist_what_had_a_place_is_known_to_be_lost(node, writer)
    insist_all_there()
    node.restart()
    insist_all_there()


def test_what_was_refused_is_not_there_afterwards(faulty):
    node, fault = faulty
    writer = Writer(node)
    writer.write()
    fault.begin()
    wait_for(lambda: writer.write(3000).status == 503, "writes to be refused")
    refused = [lei for lei in writer.submitted if lei not in writer.acknowledged]
    fault.end()
    wait_for(lambda: writer.write().status == 200, "writes to be taken again", pause=0.1)
    found = {record["lei"] for record in node.member(0).report()}
    assert not found & set(refused)
    node.restart()
    assert not {record["lei"] for record in node.member(0).report()} & set(refused)


def test_a_session_of_the_view_before_is_told_and_closed(faulty):
    node, fault = faulty
    with node.member(0).session() as session:
        assert session.post("/app/ingest", b'{"lei":"K","nace":"V"}').status == 200
        fault.begin()
        writer = Writer(node)
        wait_for(lambda: writer.write(3000).status == 503, "writes to be refused")
        fault.end()
        wait_for(lambda: writer.write().status == 200, "writes to be taken again", pause=0.1)
        answer = session.get("/app/report/K")
        assert (answer.status, answer.code) == (500, "SessionConsistencyLost")
    assert node.member(0).get("/app/report/K").status == 200


def test_a_node_stops_in_order_while_its_disk_is_full_or_fails(faulty):
    node, fault = faulty
    writer = Writer(node)
    for _ in range(5):
        writer.write()
    fault.begin()
    wait_for(lambda: writer.write(3000).status == 503, "writes to be refused")
    node.stop()
    if isinstance(fault, FailingSync):
        fault.end()
    node.launch()
    writer.insist_all_there()
    assert writer.write().status == 200


def test_a_start_on_a_full_disk_is_refused_with_the_reason_and_loses_nothing(make_node):
    node = make_node()
    writer = Writer(node)
    for _ in range(20):
        writer.write()
    node.stop()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

    done = subprocess.run([DAEMON, "--config", "config.json"], cwd=node.home, capture_output=True, text=True,
                          preexec_fn=limit, timeout=PATIENCE)
    assert done.returncode == 1 and os.strerror(27) in done.stderr, done
    node.launch()
    writer.insist_all_there()
