"""Transaction ids, their status, receipts, and when a write is answered."""
import base64
import hashlib
import re
import uuid

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from identity import key_id
from node import wait_for
from recorded_disk import Recorder

TXID = re.compile(r"[1-9][0-9]*\.[1-9][0-9]*")
FAR = 10_000_000


def write(client, headers=None):
    """A write's transaction id."""
    answer = client.ingest({"lei": uuid.uuid4().hex, "nace": "V"}, headers)
    assert answer.status == 200 and TXID.fullmatch(answer.txid), answer
    return answer.txid


def parts(txid):
    view, seqno = txid.split(".")
    return int(view), int(seqno)


def latest(service):
    return service.client().get("/app/commit").json()["transaction_id"]


def status(service, txid):
    return service.client().get(f"/app/tx?transaction_id={txid}").json()["status"]


def receipt(service, txid):
    answer = service.client().get(f"/app/receipt?transaction_id={txid}")
    assert answer.status == 200, answer
    return answer.json()


# --- receipts, checked with nothing but the service's certificate

def sha256(*pieces):
    return hashlib.sha256(b"".join(pieces)).digest()


def leaf_of(found):
    if "leaf" in found:
        return bytes.fromhex(found["leaf"])
    components = found["leaf_components"]
    return sha256(
        bytes.fromhex(components["write_set_digest"]), sha256(components["commit_evidence"].encode()),
        bytes.fromhex(components["claims_digest"]))


def root_of(found):
    node = leaf_of(found)
    for step in found["proof"]:
        (side, sibling), = step.items()
        sibling = bytes.fromhex(sibling)
        node = sha256(sibling, node) if side == "left" else sha256(node, sibling)
    return node


def verify(found, service_certificate_pem):
    """Raises unless the service vouches for the node that signed the tree that the transaction is in."""
    service = x509.load_pem_x509_certificate(service_certificate_pem)
    node = x509.load_pem_x509_certificate(found["cert"].encode())
    service.public_key().verify(
        node.signature, node.tbs_certificate_bytes, ec.ECDSA(node.signature_hash_algorithm))
    assert key_id(node.public_key()) == found["node_id"]
    node.public_key().verify(
        base64.b64decode(found["signature"]), root_of(found), ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_the_receipt_of_a_write_is_there_at_once_and_verifies(service):
    txid = write(service.member(0))
    found = receipt(service, txid)
    verify(found, service.service_certificate.read_bytes())
    assert re.fullmatch(rf"ce:{re.escape(txid)}:[0-9a-f]{{64}}", found["leaf_components"]["commit_evidence"])
    assert found["leaf_components"]["claims_digest"] == "00" * 32


def test_receipts_of_all_transactions_so_far_verify(make_node):
    node = make_node()
    txids = [write(node.member(0)) for _ in range(20)]
    node.restart()
    txids += [write(node.member(1)) for _ in range(5)]
    certificate = node.service_certificate.read_bytes()
    for txid in txids:
        verify(receipt(node, txid), certificate)
    roots = {root_of(receipt(node, txid)) for txid in txids}
    assert len(roots) > 1


@pytest.mark.parametrize("field", ["write_set_digest", "commit_evidence", "claims_digest", "proof", "signature"])
def test_a_receipt_that_was_changed_does_not_verify(service, field):
    txid = write(service.member(0))
    found = receipt(service, txid)
    if field == "proof":
        found["proof"].append({"left": "00" * 32})
    elif field == "signature":
        found["signature"] = receipt(service, write(service.member(0)))["signature"]
    else:
        text = found["leaf_components"][field]
        found["leaf_components"][field] = text[:-1] + ("0" if text[-1] != "0" else "1")
    with pytest.raises(InvalidSignature):
        verify(found, service.service_certificate.read_bytes())


def test_the_receipt_of_a_signature_is_its_signed_root(service):
    found = receipt(service, latest(service))
    assert found["proof"] == [] and "leaf_components" not in found
    verify(found, service.service_certificate.read_bytes())


def test_two_writes_have_different_evidence(service):
    first, second = (receipt(service, write(service.member(0)))["leaf_components"]["commit_evidence"] for _ in range(2))
    assert first.split(":")[2] != second.split(":")[2], "beyond the id in it"


@pytest.mark.parametrize("query", ["", "?transaction_id=", "?transaction_id=nonsense", "?transaction_id=2"])
def test_a_receipt_needs_a_transaction_id(service, query):
    answer = service.client().get("/app/receipt" + query)
    assert (answer.status, answer.code) == (404, "TransactionInvalid")


def test_there_is_no_receipt_of_what_is_not_committed(service):
    view, seqno = parts(latest(service))
    pending = service.client().get(f"/app/receipt?transaction_id={view}.{seqno + FAR}")
    assert (pending.status, pending.code) == (404, "TransactionPendingOrUnknown")
    assert pending.headers["cache-control"] == "no-cache"
    invalid = service.client().get(f"/app/receipt?transaction_id={view - 1}.{seqno}")
    assert (invalid.status, invalid.code) == (404, "TransactionInvalid")


# --- ids and status

def test_an_answered_write_is_committed(service):
    for _ in range(20):
        txid = write(service.member(0))
        assert status(service, txid) == "Committed"
        assert parts(latest(service))[1] >= parts(txid)[1]


def test_successive_writes_have_growing_ids(service):
    txids = [parts(write(service.member(0))) for _ in range(5)]
    assert txids == sorted(set(txids))


def test_a_read_tells_of_a_state_that_includes_the_write_before_it(service):
    lei = uuid.uuid4().hex
    written = service.member(0).ingest({"lei": lei, "nace": "V"}).txid
    read = service.member(0).get(f"/app/report/{lei}")
    assert read.status == 200 and parts(read.txid)[1] >= parts(written)[1]
    assert status(service, read.txid) == "Committed"


def test_commands_that_read_no_state_have_no_transaction_id(service):
    for path in ("/app/commit", "/node/version", "/node/state"):
        assert service.client().get(path).txid is None


@pytest.mark.parametrize("frontend", ["app", "node", "gov"])
def test_commit_and_status_exist_under_every_frontend(service, frontend):
    txid = service.client().get(f"/{frontend}/commit").json()["transaction_id"]
    answer = service.client().get(f"/{frontend}/tx?transaction_id={txid}").json()
    assert answer == {"status": "Committed", "transaction_id": txid}


def test_status_of_ids_that_never_were(service):
    view, seqno = parts(latest(service))
    assert status(service, f"{view - 1}.{seqno}") == "Invalid"
    assert status(service, f"{view + 1}.{seqno}") == "Invalid"
    assert status(service, f"{view - 1}.{seqno + FAR}") == "Invalid"
    assert status(service, f"{view}.{seqno + FAR}") == "Unknown"
    assert status(service, f"{view + 50}.{seqno + FAR}") == "Unknown"


@pytest.mark.parametrize("query", ["", "?transaction_id=", "?transaction_id=2", "?transaction_id=2.x",
                                   "?transaction_id=-1.5", "?transaction_id=2.99999999999999999999999"])
def test_status_needs_a_transaction_id(service, query):
    answer = service.client().get("/app/tx" + query)
    assert (answer.status, answer.code) == (400, "InvalidQueryParameterValue")


@pytest.mark.parametrize("query, expected", [
    ("view_history=yes", 400), ("view_history_since=0", 400), ("view_history_since=100000", 404),
    ("view_history=false&view_history_since=1", 200), ("view_history_since=nonsense", 200)])
def test_view_history_is_checked(service, query, expected):
    answer = service.client().get(f"/app/commit?{query}")
    assert answer.status == expected
    assert answer.code == (None if expected == 200 else "InvalidQueryParameterValue")
    assert expected != 200 or "view_history" not in answer.json()


def test_view_history_has_the_first_transaction_of_every_view(make_node):
    node = make_node()
    first = parts(write(node.member(0)))
    node.restart()
    second = parts(write(node.member(0)))
    assert second[0] > first[0] and second[1] > first[1]
    history = node.client().get("/app/commit?view_history=true").json()["view_history"]
    since = node.client().get(f"/app/commit?view_history_since={second[0]}").json()["view_history"]
    begins = dict(parts(txid) for txid in history)
    assert begins[first[0]] <= first[1] < begins[second[0]] <= second[1]
    assert since == [f"{second[0]}.{begins[second[0]]}"]
    assert status(node, f"{first[0]}.{first[1]}") == "Committed"
    assert status(node, f"{second[0]}.{first[1]}") == "Invalid"


# --- the early answer

def test_an_executed_write_is_answered_early_and_committed_later(make_node, tmp_path):
    node, recorder = make_node(start=False), Recorder(tmp_path / "recorder")
    node.launch(environment=recorder.environment())
    recorder.set(slow_sync_us=3_000_000)  # what has to wait for the disk shows
    txids = [write(node.member(0), {"x-concordat-respond": "executed"}) for _ in range(3)]
    assert status(node, txids[-1]) == "Pending"
    recorder.set()
    for txid in txids:
        wait_for(lambda: status(node, txid) == "Committed", "the transaction to be committed")
        verify(receipt(node, txid), node.service_certificate.read_bytes())


def test_other_values_of_that_header_change_nothing(service):
    for value in ("committed", "EXECUTED", "", "nonsense"):
        assert status(service, write(service.member(0), {"x-concordat-respond": value})) == "Committed"


def test_an_early_answer_is_refused_like_any_other(service):
    answer = service.member(0).ingest({"lei": ""}, {"x-concordat-respond": "executed"})
    assert answer.status == 400 and answer.txid is None
