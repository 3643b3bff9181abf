"""A client that sends each write under an id of its own, again and again until it is told what became of it."""
import json
import random
import threading
import time
import uuid

from network import UNREACHABLE

PASSING = (503, 504)


class Repeater(threading.Thread):
    """Counts one value up under one key, a write each time, at any node; sends old writes again in between. A write
    that took effect a second time would set the value back."""

    def __init__(self, network, name, member=0):
        super().__init__(daemon=True)
        self.network, self.name, self.member = network, name, member
        self.random = random.Random(name)
        self.done, self.repeated, self.wrong = [], 0, None
        self.ends = threading.Event()

    def run(self):
        try:
            while not self.ends.is_set():
                value = len(self.done) + 1
                request = (uuid.uuid4().hex, json.dumps([{"lei": self.name, "nace": str(value)}]).encode())
                self.done.append((request, self.until_answered(request)))
                if self.random.random() < 0.3:
                    request, txid = self.random.choice(self.done)
                    assert self.until_answered(request) == txid, "a repetition is told the first transaction"
                    self.repeated += 1
        except Exception as failure:
            self.wrong = failure

    def until_answered(self, request):
        """The id of the transaction."""
        name, body = request
        while True:
            node = self.random.choice(self.network.living() or self.network.nodes)
            try:
                answer = node.member(self.member, timeout=5).post(
                    "/app/ingest", body, {"x-concordat-request-id": name})
            except UNREACHABLE:
                time.sleep(0.02)
                continue
            if answer.status == 200:
                return answer.txid
            assert answer.status in PASSING or answer.code == "SessionConsistencyLost", answer
            time.sleep(0.02)

    def finish(self):
        """Ends it, and returns what the value must be."""
        self.ends.set()
        self.join()
        assert not self.wrong, self.wrong
        return str(len(self.done))


def insist_each_took_effect_once(network, repeaters):
    expected = {repeater.name: repeater.finish() for repeater in repeaters}
    assert any(repeater.repeated for repeater in repeaters), "nothing was sent again"
    for repeater in repeaters:
        txids = [txid for _, txid in repeater.done]
        assert len(set(txids)) == len(txids), "each write has a transaction of its own"
        seqnos = [int(txid.split(".")[1]) for txid in txids]
        assert seqnos == sorted(seqnos), "they took effect in the order in which they were made"
    network.level()
    for node in network.living():
        for repeater in repeaters:
            found = {entry["lei"]: entry["nace"] for entry in node.member(repeater.member).report()}
            assert found[repeater.name] == expected[repeater.name], (repeater.name, found[repeater.name])
