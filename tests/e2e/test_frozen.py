"""Ledgers that earlier versions of our own node wrote (scripts/freeze-ledger) are still read, verified and served."""
import json
import shutil
from pathlib import Path

import pytest

from node import Node, free_port, run_tool

FROZEN = sorted((Path(__file__).parents[1] / "data/frozen").iterdir())
assert FROZEN, "without any, every test here would be left out"


@pytest.fixture(params=FROZEN, ids=lambda path: path.name)
def frozen(request, tmp_path):
    copy = tmp_path / "frozen"
    shutil.copytree(request.param, copy)
    return copy


def test_it_verifies_strictly_up_to_its_end(frozen):
    done = run_tool("ledger", "verify", frozen / "node0/ledger", "--strict",
                    "--service-cert", frozen / "common/service_cert.pem")
    assert done.returncode == 0, done
    view, seqno = map(int, done.stdout.split("verified up to ")[1].split(":")[0].split("."))
    expected = json.loads((frozen / "expected.json").read_text())["committed"].split(".")
    assert view == int(expected[0]) and seqno >= int(expected[1])


def test_its_receipt_verifies(frozen, tmp_path):
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps(json.loads((frozen / "expected.json").read_text())["receipt"]))
    done = run_tool("receipt", "verify", receipt, "--txid", "2.1", "--service-cert", frozen / "common/service_cert.pem")
    assert done.returncode == 0, done


def test_a_node_starts_on_it_and_gives_the_same_reports_or_says_why_it_cannot(frozen, tmp_path):
    node = Node(tmp_path / "new")  # for its configuration; all else is what was kept
    shutil.rmtree(node.folder)
    shutil.copytree(frozen, node.folder)
    for sealed in (node.home / "sealed", node.home / "ledger"):
        sealed.chmod(0o700)
    for path in node.home.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
    configuration = json.loads((node.home / "config.json").read_text())
    configuration["network"]["rpc_interfaces"]["main"]["bind_address"] = f"127.0.0.1:{free_port()}"
    kept = node.configuration
    configuration["command"]["start"]["members"] = kept["command"]["start"]["members"]
    configuration["concordat"]["users"] = kept["concordat"]["users"]
    node.configuration = configuration
    node.write_configuration()
    try:
        node.launch()
        expected = json.loads((frozen / "expected.json").read_text())["reports"]
        if expected:
            assert [node.member(index).report() for index in range(3)] == expected
        else:  # votes of 0.1 lie elsewhere, and nothing was agreed on
            answer = node.member(0).get("/app/report")
            assert answer.status == 500 and answer.json()["error"]["errorType"] == "NoAgreedSettings", answer
        node.insist_ledger_verifies()
        node.stop()
    finally:
        node.kill()
