"""Requests to several nodes: sent again they take effect once, and whoever has written at one node reads it at any."""
import json
import os
import signal
import threading

import pytest

from client import Client
from network import PATIENT, Network
from node import free_port, merge, run_tool, wait_for


@pytest.fixture
def make_network(tmp_path):
    made = []

    def make(size=3, **options):
        made.append(Network(tmp_path / f"network{len(made)}", size, **options))
        return made[-1]

    yield make
    for network in made:
        try:
            for node in network.nodes:
                if node.process.poll() is None:
                    os.kill(node.process.pid, signal.SIGCONT)
            network.stop()
        finally:
            network.kill()


def record(lei, nace="1"):
    return json.dumps([{"lei": lei, "nace": nace}]).encode()


def send(node, name, body, member=0):
    return node.member(member).post("/app/ingest", body, {"x-concordat-request-id": name})


def signal_all(nodes, what):
    for node in nodes:
        os.kill(node.process.pid, what)


def test_a_write_takes_effect_once_on_whichever_nodes_it_is_sent_again(make_network):
    network = make_network()
    first = send(network.primary(), "one", record("A"))
    assert first.status == 200 and "x-concordat-repetition" not in first.headers
    assert network.primary().member(0).ingest([{"lei": "A", "nace": "2"}]).status == 200

    def insist_it_is_known():
        network.level()
        for node in network.living():
            # One that has just come back knows of no primary for a moment, and says that nothing was done.
            wait_for(lambda at=node: send(at, "one", record("A")).status != 503, "the node to know a primary")
            again = send(node, "one", record("A"))
            assert (again.status, again.body, again.txid) == (200, first.body, first.txid), again
            assert again.headers["x-concordat-repetition"] == "true"
            assert node.member(0).report() == network.primary().member(0).report()
            assert [entry["nace"] for entry in node.member(0).report()] == ["2"], "it was not done again"

    insist_it_is_known()
    # Another request, and another caller, under the same id.
    for node in network.living():
        refused = send(node, "one", record("B"))
        assert (refused.status, refused.code) == (422, "RequestIdReused"), refused
        assert send(node, "not an id", record("B")).status == 400
        assert node.client().post("/app/ingest", record("B"), {"x-concordat-request-id": "one"}).status == 401
    other = send(network.primary(), "one", record("B"), member=1)
    assert other.status == 200 and other.txid != first.txid
    # Another primary, and all of them anew, know it too.
    victim = network.primary()
    victim.kill()
    wait_for(lambda: network.primary() is not victim, "another primary")
    insist_it_is_known()
    victim.launch()
    for node in network.nodes:
        node.restart()
    insist_it_is_known()
    assert send(network.primary(), "one", record("B"), member=1).txid == other.txid


def test_the_same_write_sent_to_all_nodes_at_once_takes_effect_once(make_network):
    network = make_network()
    for name in range(5):
        answers = []
        threads = [threading.Thread(target=lambda at=node: answers.append(send(at, f"id{name}", record(f"K{name}"))))
                   for node in network.nodes * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status for answer in answers} == {200}, answers
        assert len({answer.txid for answer in answers}) == 1


def test_what_was_written_at_one_node_is_read_at_any(make_network):
    network = make_network()
    for number in range(10):
        for writes in network.nodes:
            txid = writes.member(0).ingest([{"lei": f"{network.nodes.index(writes)}", "nace": str(number)}]).txid
            for reads in network.nodes:
                answer = reads.member(0).get("/app/report", {"x-concordat-after": txid})
                assert answer.status == 200, answer
                found = {entry["lei"]: entry["nace"] for entry in answer.json()["content"]}
                assert found[f"{network.nodes.index(writes)}"] == str(number)
    view, seqno = network.primary().commit()
    for node in network.nodes:
        assert node.member(0).get("/app/report", {"x-concordat-after": "last"}).status == 400
        late = node.member(0).get("/app/report", {"x-concordat-after": f"{view}.{seqno + 100000}"})
        assert (late.status, late.code) == (503, "TransactionPendingOrUnknown"), late
        never = node.member(0).get("/app/report", {"x-concordat-after": f"{view + 1}.{seqno}"})
        assert (never.status, never.code) == (409, "TransactionInvalid"), never


def test_a_session_reads_its_own_writes_and_notices_another_view(make_network):
    network = make_network()
    backup = network.backups()[0]
    with backup.member(0).session() as session:
        for number in range(20):
            answer = session.post("/app/ingest", record("S", str(number)))
            assert answer.status == 200, answer
            found = session.get("/app/report").json()["content"]
            assert [entry["nace"] for entry in found] == [str(number)], "a read of the session follows its write"
        victim = network.primary()
        victim.kill()
        wait_for(lambda: network.primary() is not victim and backup.view() > 2, "another view")
        lost = session.get("/app/report")
        assert (lost.status, lost.code) == (500, "SessionConsistencyLost"), lost
        assert lost.headers["connection"] == "close"
    with backup.member(0).session() as session:
        assert session.get("/app/report").status == 200, "a new one goes on"


def test_who_is_not_told_in_time_is_told_which_transaction_it_is(make_network):
    network = make_network(5)
    primary = network.primary()
    asked, *others = network.backups()
    signal_all(others, signal.SIGSTOP)
    late = send(asked, "late", record("L"))
    assert late.status in (503, 504), late
    assert late.txid, "it had its place at the primary"
    assert asked.client().get(f"/app/tx?transaction_id={late.txid}").json()["status"] in ("Pending", "Unknown")
    signal_all(others, signal.SIGCONT)

    def known():
        status = network.anybody(f"/app/tx?transaction_id={late.txid}")["status"]
        return status if status in ("Committed", "Invalid") else None

    status = wait_for(known, "it to be known")

    def repeated():
        again = send(asked, "late", record("L"))
        return again if again.status == 200 else None

    again = wait_for(repeated, "an answer")
    assert (again.txid == late.txid) == (status == "Committed"), (again, late, status)
    assert primary in network.nodes


def test_a_node_that_comes_back_elsewhere_is_found_there(make_network):
    network = make_network()
    for node in (network.backups()[0], network.primary()):
        node_id = network.node_id(node)
        address = f"localhost:{free_port()}"
        merge(node.configuration, {"network": {"rpc_interfaces": {"main": {
            "bind_address": f"127.0.0.1:{address.split(':')[1]}", "published_address": address}}}})
        node.write_configuration()
        node.restart()

        def published():
            listed = {entry["node_id"]: entry for entry in network.listed()}
            return listed[node_id]["rpc_interfaces"]["main"]["published_address"] == address

        wait_for(published, "its record to be true")

        def shows_certificate():
            try:
                return Client(address, node.service_certificate).get("/node/state").status == 200
            except OSError:
                return False

        wait_for(shows_certificate, "a certificate for its new name")
        node.address = address  # its certificate is for that name alone now
        assert network.node_id(node) == node_id
    assert network.primary().member(0).ingest([{"lei": "A", "nace": "1"}]).status == 200


def test_the_tool_goes_on_when_a_node_stands_still(make_network, tmp_path):
    network = make_network(changes={**PATIENT})
    stands = network.backups()[0]
    others = [node for node in network.nodes if node is not stands]
    source = tmp_path / "records.csv"
    source.write_text("lei,nace\nA,1\nB,2\n")
    os.kill(stands.process.pid, signal.SIGSTOP)
    urls = [word for node in (stands, *others) for word in ("--url", f"https://{node.address}")]
    identity = network.nodes[0].members[0]
    caller = ["--cert", identity.certificate_file, "--key", identity.key_file,
              "--service-cert", network.nodes[0].service_certificate]
    submitted = run_tool("submit", source, *urls, *caller, timeout=50, environment={"XDG_STATE_HOME": str(tmp_path)})
    assert submitted.returncode == 0, submitted
    report = run_tool("report", *urls, *caller, timeout=50)
    assert report.returncode == 0 and "A" in report.stdout, report
