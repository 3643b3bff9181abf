"""What was acknowledged is on the disk, not only in the page cache, before the answer leaves; a power failure at any moment
loses nothing of it."""
import json
import random
import re
import threading

import pytest

from ledger_file import entries_in
from node import wait_for
from recorded_disk import Disk, Event, Recorder, node_on

CLIENTS = 4
WRITES = 25
IMAGES = 5


class Recorded:
    """A running node whose disk is watched, and what it acknowledged."""

    def __init__(self, node, recorder):
        self.node, self.recorder = node, recorder
        self.disk = Disk(node.folder, node.home)
        self.acknowledged = []  # (position before the request, port of the client, member, key, value, (view, seqno))

    def write(self, session, member, key, value="V"):
        """@return the answer; what is acknowledged is remembered"""
        port = session._connection.sock.getsockname()[1]
        before = self.recorder.position()
        answer = session.post("/app/ingest", json.dumps({"lei": key, "nace": value}).encode())
        if answer.status == 200:
            view, seqno = map(int, answer.txid.split("."))
            self.acknowledged.append((before, port, member, key, value, (view, seqno)))
        return answer

    def write_many(self, member, name, count):
        with self.node.member(member).session() as session:
            session.connect()
            # After this nothing is on its way to the client that was not asked for.
            assert session.get("/app/commit").status == 200
            for number in range(count):
                assert self.write(session, member, f"{name}-{number}", "V" * random.randrange(1, 3000)).status == 200

    def write_from_many(self, count=WRITES):
        threads = [threading.Thread(target=self.write_many, args=(index % 3, f"client{index}", count))
                   for index in range(CLIENTS)]
        before = len(self.acknowledged)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(self.acknowledged) == before + CLIENTS * count

    def answers(self, events):
        """[(index of the event with which the answer left, acknowledged write)] in the order of leaving."""
        sent = {}
        for index, event in enumerate(events):
            if event.kind == "s":
                sent.setdefault(event.value, []).append((event.end, index))
        found = []
        for write in self.acknowledged:
            before, port = write[:2]
            found.append((next(index for end, index in sent[port] if end > before), write))
        return sorted(found, key=lambda pair: pair[0])

    def insist_answers_left_after_their_bytes_were_durable(self):
        events = self.recorder.events()
        answers, applied = self.answers(events), 0
        for index, (_, _, _, key, _, (_, seqno)) in answers:
            for event in events[applied:index]:
                self.disk.apply(event)
            applied = index
            last = last_seqno(self.disk.after_power_loss())
            # Its signature too: without that nothing covers it.
            assert last > seqno, f"the answer for {key} ({seqno}) left when the disk had the ledger up to {last}"
        for event in events[applied:]:
            self.disk.apply(event)

    def insist_the_record_is_whole(self):
        """What the process did unseen would be missing in the model."""
        recorded = {name: content for name, content in self.disk.current().items()}
        real = {str(path.relative_to(self.node.folder)): path.read_bytes()
                for path in self.node.folder.rglob("*") if path.is_file() and path != self.node.log_file}
        recorded.pop(str(self.node.log_file.relative_to(self.node.folder)), None)
        assert recorded.keys() == real.keys()
        assert recorded == real

    def insist_survives(self, files, folder, expected):
        """Starts a node on an image of the disk, and looks for what was acknowledged."""
        node = node_on(self.node, files, folder)
        try:
            node.launch()
            for member in {write[2] for write in expected}:
                found = {record["lei"]: record["nace"] for record in node.member(member).report()}
                wanted = {key: value for _, _, owner, key, value, _ in expected if owner == member}
                lost = {key for key in wanted if found.get(key) != wanted[key]}
                assert not lost, f"acknowledged, and lost by the power failure: {sorted(lost)}"
            node.stop()
            node.insist_ledger_verifies()
        finally:
            node.kill()


def last_seqno(files):
    """The last entry of the ledger in an image of the disk."""
    seqnos = [entry.seqno for name, content in files.items() if re.search(r"/ledger_\d+(-\d+)?(\.committed)?$", name)
              for entry in entries_in(content)]
    return max(seqnos, default=0)


@pytest.fixture
def record(make_node, tmp_path):
    """Makes nodes whose disk is recorded."""
    def make(faults=None, **changes):
        node = make_node(start=False, changes=changes)
        recorder = Recorder(tmp_path / f"recorder{len(list(tmp_path.glob('recorder*')))}")
        recorder.set(**(faults or {}))
        recorded = Recorded(node, recorder)
        node.launch(environment=recorder.environment())
        return recorded

    return make


def test_an_answer_leaves_after_everything_it_promises_is_on_the_disk(record):
    # Chunks end often, so that new and renamed files are on the way too; slow syncs let an answer that is early be seen.
    recorded = record(faults={"slow_sync_us": 2000}, ledger={"chunk_size": "20KB"})
    recorded.write_from_many()
    recorded.node.stop()
    recorded.insist_answers_left_after_their_bytes_were_durable()
    recorded.insist_the_record_is_whole()
    committed = [path for path in recorded.node.ledger_files() if path.name.endswith(".committed")]
    assert len(committed) > 3, "no chunk ended: this proves nothing about new and renamed files"


def insist_power_failures_lose_nothing(recorded, tmp_path, randomness, images=IMAGES):
    """Images of the disk at moments when answers left, and at any moments between."""
    events = recorded.recorder.events()
    answers = recorded.answers(events)
    moments = [index for index, _ in randomness.sample(answers, images)] + [len(events)]
    moments += [randomness.randrange(answers[0][0], len(events)) for _ in range(images)]
    applied = 0
    for number, moment in enumerate(sorted(moments)):
        for event in events[applied:moment]:
            recorded.disk.apply(event)
        applied = max(applied, moment)
        expected = [write for index, write in answers if index < moment]
        kept = randomness if number % 2 else None
        recorded.insist_survives(recorded.disk.after_power_loss(kept), tmp_path / f"image{number}", expected)


def test_a_power_failure_at_any_moment_loses_nothing_acknowledged(record, tmp_path, seed):
    recorded = record(ledger={"chunk_size": "20KB"})
    recorded.write_from_many()
    recorded.node.kill()
    insist_power_failures_lose_nothing(recorded, tmp_path, random.Random(seed))


def test_that_holds_for_a_node_that_was_started_again(record, tmp_path, seed):
    recorded = record(ledger={"chunk_size": "20KB"})
    recorded.write_from_many(10)
    recorded.node.kill()
    recorded.node.launch(environment=recorded.recorder.environment())
    recorded.write_many(0, "later", 10)
    recorded.node.kill()
    insist_power_failures_lose_nothing(recorded, tmp_path, random.Random(seed), images=2)


@pytest.mark.parametrize("faults", [{"short_writes": 1}, {"interrupted": 1}, {"short_writes": 1, "interrupted": 1}])
def test_calls_that_do_half_of_it_or_are_interrupted_are_no_failure(record, faults, tmp_path):
    recorded = record(faults=faults, ledger={"chunk_size": "20KB"})
    recorded.write_from_many(8)
    recorded.node.stop()
    recorded.insist_answers_left_after_their_bytes_were_durable()
    recorded.insist_the_record_is_whole()
    recorded.insist_survives(recorded.disk.after_power_loss(), tmp_path / "image", recorded.acknowledged)


@pytest.mark.parametrize("fault", ["failing_syncs", "full", "failing_writes"])
def test_what_is_acknowledged_after_a_failure_of_the_disk_survives_a_power_failure(record, fault, tmp_path):
    """What an earlier sync failed to store is not stored by a later one that succeeds."""
    recorded = record(ledger={"chunk_size": "60KB"})
    recorded.write_from_many(3)
    with recorded.node.member(0).session() as session:
        recorded.write(session.connect(), 0, "last before the failure")
        recorded.recorder.set(**{fault: 1})
        wait_for(lambda: refused(recorded), "writes to be refused")
        recorded.recorder.set()
    wait_for(lambda: not refused(recorded), "writes to be taken again", pause=0.1)
    recorded.write_from_many(3)
    recorded.node.kill()
    for event in recorded.recorder.events():
        recorded.disk.apply(event)
    recorded.insist_survives(recorded.disk.after_power_loss(), tmp_path / "image", recorded.acknowledged)


def refused(recorded):
    with recorded.node.member(0).session() as session:
        answer = recorded.write(session.connect(), 0, f"try{recorded.recorder.position()}", "V" * 2000)
    if answer.code == "SessionConsistencyLost":  # the next view began between the session and its write
        return True
    assert answer.status in (200, 503), answer
    return answer.status == 503


# --- the model itself
def events_of(*steps):
    """Events of steps such as ("c", 1, "a/b") or ("w", 1, 0, b"content")."""
    for kind, inode, *more in steps:
        if kind in "wt":
            yield Event(kind, inode, more[0], b"".join(more[1:]))
        else:
            names = [*more, "", ""][:2]
            yield Event(kind, inode, 0, b"\0".join(name.encode() for name in names))


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    (folder / "d").mkdir(parents=True)
    (folder / "d/old").write_bytes(b"12345")

    def play(*steps):
        made = Disk(folder, folder)
        for event in events_of(*steps):
            made.apply(event)
        return made.after_power_loss()

    return play


CREATED = (("c", 1, "d/new"), ("w", 1, 0, b"abc"))
SYNC_FILE = (("b", 1, "d/new"), ("e", 1, "d/new"))
SYNC_DIRECTORY = (("b", 9, "d"), ("e", 9, "d"))


def test_the_model_keeps_what_was_synced_and_loses_the_rest(disk):
    old = {"d/old": b"12345"}
    assert disk() == old
    assert disk(*CREATED) == old
    assert disk(*CREATED, *SYNC_FILE) == old
    assert disk(*CREATED, *SYNC_DIRECTORY) == {**old, "d/new": b""}
    assert disk(*CREATED, *SYNC_FILE, *SYNC_DIRECTORY) == {**old, "d/new": b"abc"}
    assert disk(*CREATED, *SYNC_DIRECTORY, *SYNC_FILE, ("w", 1, 1, b"xyz")) == {**old, "d/new": b"abc"}
    assert disk(("o", 2, "d/old"), ("w", 2, 1, b"x"), ("t", 2, 3)) == old
    assert disk(("o", 2, "d/old"), ("w", 2, 1, b"x"), ("t", 2, 3), ("b", 2, "d/old"), ("e", 2, "d/old")) == {"d/old": b"1x3"}


def test_the_model_counts_nothing_that_came_while_a_sync_was_running(disk):
    assert disk(*CREATED, *SYNC_DIRECTORY, ("b", 1, "d/new"), ("w", 1, 3, b"d"), ("e", 1, "d/new"))["d/new"] == b"abc"
    assert "d/new" not in disk(("b", 9, "d"), *CREATED, *SYNC_FILE, ("e", 9, "d"))


def test_the_model_forsakes_what_a_sync_failed_to_store(disk):
    assert disk(*CREATED, *SYNC_DIRECTORY, ("f", 1, "d/new"), *SYNC_FILE)["d/new"] == b""


def test_the_model_keeps_names_apart_from_contents(disk):
    renamed = (("r", 0, "d/old", "d/renamed"),)
    assert disk(*renamed) == {"d/old": b"12345"}
    assert disk(*renamed, *SYNC_DIRECTORY) == {"d/renamed": b"12345"}
    assert disk(("u", 0, "d/old")) == {"d/old": b"12345"}
    assert disk(("u", 0, "d/old"), *SYNC_DIRECTORY) == {}
    deep = (("d", 0, "d/deep"), ("c", 1, "d/deep/f"), ("b", 8, "d/deep"), ("e", 8, "d/deep"))
    assert "d/deep/f" not in disk(*deep)
    assert "d/deep/f" in disk(*deep, *SYNC_DIRECTORY)
