"""What an application may touch, tried by one that touches whatever it is asked to (tests/tables_application)."""
from urllib.parse import quote

import pytest

from node import BIN

GOVERNED = "public:ccf.gov.members.certs"
INTERNAL = "public:ccf.internal.signatures"
CLOSED = ["public:ccf.internal.tree", "public:ccf.internal.cose_signatures", "public:ccf.gov.service.info", "public:ccf.gov.x",
          "ccf.internal.x", "ccf.gov.x", "public:ccf.x", "ccf.", GOVERNED, INTERNAL]
KEY_OF_SINGLE = "%00" * 8


@pytest.fixture
def tables(make_node):
    return make_node(program=BIN / "concordatd_tables")


def call(node, method, what, table, key="k", body=b"v"):
    path = f"/app/{what}?map={quote(table, safe='')}&key={key}"
    client = node.member(0)
    return client.get(path) if method == "GET" else client.post(path, body)


def test_an_application_cannot_write_what_is_not_its_own_and_the_node_starts_again(tables):
    assert call(tables, "POST", "put", "public:records").status == 204
    for table in CLOSED:
        for what, key in (("put", "k"), ("put", KEY_OF_SINGLE), ("remove", "k")):
            answer = call(tables, "POST", what, table, key)
            assert answer.status == 500, (table, what)
            assert answer.json()["error"]["code"] == "InternalError"
            assert f"may not write the map '{table}'" in answer.json()["error"]["message"]
            assert "x-ms-ccf-transaction-id" not in answer.headers
    tables.restart()
    assert call(tables, "GET", "get", "public:records").body == b"v"
    assert call(tables, "GET", "get", GOVERNED, "k").status == 404


def test_a_handler_sees_the_refusal_and_can_go_on(tables):
    answer = call(tables, "POST", "try_put", INTERNAL, "once")
    assert answer.status == 200
    assert answer.body.decode() == f"an application may not write the map '{INTERNAL}', only read it"
    assert call(tables, "GET", "get", "outcomes", "once").body == answer.body
    assert call(tables, "POST", "try_put", "records", "twice").body == b"written"


def test_an_application_reads_what_is_public_and_nothing_that_is_closed(tables):
    members = call(tables, "GET", "keys", GOVERNED).body.decode().split()
    assert sorted(members) == sorted(member.id for member in tables.members)
    assert call(tables, "GET", "keys", INTERNAL).body == bytes(8) + b"\n"
    for table in ("ccf.internal.x", "ccf.gov.x", "ccf.x", "public:ccf.x"):
        for what in ("get", "keys"):
            answer = call(tables, "GET", what, table)
            assert answer.status == 500
            assert f"may not read the map '{table}'" in answer.json()["error"]["message"]


def test_an_application_learns_about_members_and_users_without_their_tables(tables):
    answer = call(tables, "GET", "party", "", tables.members[1].id)
    assert answer.body.decode() == "member\n" + tables.members[1].certificate_file.read_text()
    assert call(tables, "GET", "party", "", tables.users[0].id).body.startswith(b"user\n-----BEGIN CERTIFICATE")
    assert call(tables, "GET", "party", "", "0" * 64).status == 404
