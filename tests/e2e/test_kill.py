"""A node that is killed at any moment under load, again and again, keeps every promise it made."""
import http.client
import json
import os
import random
import shutil
import threading
import time
import uuid

import pytest

from node import Node

KILLS = int(os.environ.get("CONCORDAT_KILLS", "200"))
KILLS_OF_ONE_LEDGER = 50
LONGEST_LIFE = 0.15
KEYS_OF_A_WRITER = 60
ROUNDS_BETWEEN_VERIFICATIONS = 10


class Writer:
    """One client that writes its own keys of one member, in order, and remembers what was promised.

    The value of a key is the number of the request that wrote it, so later is greater. A key's promise is the number
    that was acknowledged last, or seen in a report of a restarted node; what came after it may or may not be there.
    """

    def __init__(self, member, name, randomness):
        self.member, self.name, self.random = member, name, randomness
        self.keys = [f"{name}-{number}" for number in range(KEYS_OF_A_WRITER)]
        self.requests = 0
        self.promised = {}    # key → number
        self.in_flight = None  # (number, keys) of the request that had no answer when the node went
        self.submission, self.part = None, 0
        self.acknowledged = 0
        self.wrong = None

    def run(self, node):
        """Writes until the node goes away."""
        try:
            with node.member(self.member, timeout=30).session() as session:
                session.connect()
                while True:
                    self.write(session)
        except (OSError, http.client.HTTPException):
            pass
        except Exception as failure:
            self.wrong = failure

    def write(self, session):
        self.requests += 1
        batch = self.random.random() < 0.3
        keys = self.random.sample(self.keys, self.random.randrange(2, 30)) if batch else [self.random.choice(self.keys)]
        headers = {}
        if self.in_flight and self.in_flight[2]:
            # A part that had no answer is sent again as it was: it must take effect exactly once.
            number, keys, headers = self.in_flight
            self.requests -= 1
        else:
            number = self.requests
            if batch and self.random.random() < 0.5:
                self.submission = self.submission or uuid.UUID(int=self.random.getrandbits(128)).hex
                self.part += 1
                headers = {"x-concordat-submission": self.submission, "x-concordat-part": str(self.part)}
        self.in_flight = (number, keys, headers)
        if self.random.random() < 0.3:
            path, body = "/app/csv/ingest", "lei,nace\r\n" + "".join(f"{key},{number:09}\r\n" for key in keys)
        else:
            path = "/app/ingest"
            body = json.dumps([{"lei": key, "nace": f"{number:09}"} for key in keys])
        answer = session.request("POST", path, body.encode(), headers)
        assert answer.status == 200, answer
        for key in keys:
            self.promised[key] = number
        self.in_flight = None
        self.acknowledged += 1

    def check(self, report):
        """Compares a report of the restarted node with the promises, which are then renewed."""
        found = {key: int(report[key]) for key in self.keys if key in report}
        number, keys, _ = self.in_flight or (None, (), None)
        for key, promised in self.promised.items():
            assert key in found, f"{key} is lost: {promised} was acknowledged"
            assert found[key] == promised or (key in keys and found[key] == number), (
                f"{key} has {found[key]}; {promised} was acknowledged, {number} was under way for {keys}")
        for key in found:
            assert key in self.promised or (key in keys and found[key] == number), f"{key} came from nowhere"
        applied = [key for key in keys if found.get(key) == number]
        assert len(applied) in (0, len(set(keys))), f"half of request {number} is there: {applied} of {keys}"
        self.promised = found
        if self.in_flight and not self.in_flight[2]:
            self.in_flight = None


def damage_tail(node, randomness):
    """What a disk may make of the end of a file that was being written when the power went. Returns how much."""
    last = node.ledger_files()[-1]
    if last.name.endswith(".committed"):
        return 0
    tail = randomness.choice([b"\0" * randomness.randrange(1, 5000), randomness.randbytes(randomness.randrange(1, 5000)),
                              b"\1\0" + randomness.randbytes(4) + b"\0\0" + randomness.randbytes(100)])
    with last.open("ab") as file:
        file.write(tail)
    return len(tail)


def insist_promises_are_kept(node, writers):
    reports = {}
    for member in {writer.member for writer in writers if writer.promised or writer.in_flight}:
        answer = node.member(member).get("/app/report")
        assert answer.status == 200 or b"NoDataToReport" in answer.body, answer
        reports[member] = {found["lei"]: found["nace"] for found in answer.json()["content"] or []}
    for writer in writers:
        assert not writer.wrong, writer.wrong
        writer.check(reports.get(writer.member, {}))
    for member, report in reports.items():
        known = {key for writer in writers if writer.member == member for key in writer.keys}
        assert report.keys() <= known


def kill_again_and_again(folder, kills, seed):
    randomness = random.Random(seed)
    node = Node(folder, changes={"ledger": {"chunk_size": f"{randomness.choice([10, 50, 1000])}KB"}})
    try:
        return kill_node_again_and_again(node, kills, randomness)
    finally:
        node.kill()


def kill_node_again_and_again(node, kills, randomness):
    writers = [Writer(index % 3, f"writer{index}", random.Random(randomness.getrandbits(64))) for index in range(5)]
    node.launch()
    view, torn = node.view(), 0
    for round_number in range(kills):
        threads = [threading.Thread(target=writer.run, args=(node,)) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(randomness.uniform(0, LONGEST_LIFE))
        node.kill()
        for thread in threads:
            thread.join()
        cut = damage_tail(node, randomness) if randomness.random() < 0.15 else 0
        log_size = len(node.log())
        interrupted = randomness.random() < 0.1
        if interrupted:
            node.launch(wait=False)  # killed again while it comes back
            time.sleep(randomness.uniform(0, 0.05))
            node.kill()
        node.launch()
        if cut and not interrupted:
            torn += 1
            said = node.log()[log_size:]
            words = "torn tail", "was completed", "was removed"
            assert any(word in said for word in words), f"{cut} bytes were cut without a word:\n{said}"
        insist_promises_are_kept(node, writers)
        if round_number % ROUNDS_BETWEEN_VERIFICATIONS == 0:  # what a kill tore has been cut by now
            done = node.verify_ledger()
            assert done.returncode == 0, done
        assert node.view() > view
        view = node.view()
    last = node.commit()
    node.insist_ledger_verifies()
    node.stop()
    node.insist_ledger_verifies()
    return sum(writer.acknowledged for writer in writers), torn, last


@pytest.mark.long
def test_every_acknowledged_write_survives_any_number_of_kills(tmp_path, seed):
    began = time.monotonic()
    acknowledged, left, number = 0, KILLS, 0
    while left > 0:
        kills = min(left, KILLS_OF_ONE_LEDGER)
        folder = tmp_path / f"ledger{number}"
        more, torn, last = kill_again_and_again(folder, kills, seed + number)
        acknowledged += more
        print(f"ledger {number}: {kills} kills, {more} requests acknowledged, {torn} torn tails, ended at {last[0]}.{last[1]}")
        shutil.rmtree(folder)
        left, number = left - kills, number + 1
    assert acknowledged > KILLS, "the load was too light to prove anything"
    print(f"{KILLS} kills in {time.monotonic() - began:.1f} s")


def test_a_few_kills_lose_nothing(tmp_path, seed):
    kill_again_and_again(tmp_path / "service", 5, seed)


def test_the_check_itself_notices_what_is_lost_old_or_half(tmp_path):
    def writer():
        made = Writer(0, "w", random.Random(1))
        made.promised, made.in_flight = {"w-0": 5, "w-1": 6}, (9, ["w-1", "w-2"], {})
        return made

    for report in ({"w-0": "5", "w-1": "6"}, {"w-0": "5", "w-1": "9", "w-2": "9"}):
        writer().check(report)
    for report in ({"w-1": "6"}, {"w-0": "4", "w-1": "6"}, {"w-0": "7", "w-1": "6"}, {"w-0": "5", "w-1": "9"},
                   {"w-0": "5", "w-1": "6", "w-2": "9"}, {"w-0": "5", "w-1": "6", "w-3": "1"}):
        with pytest.raises(AssertionError):
            writer().check(report)
