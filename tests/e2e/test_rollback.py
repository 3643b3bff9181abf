"""A disk that goes back in time: what a node says when its ledger is older than what it has promised."""
import json
import shutil
import subprocess

import ledger_file
from node import DAEMON, PATIENCE, merge, run_tool


def put_back(copy, place):
    shutil.rmtree(place)
    shutil.copytree(copy, place)


def older_ledger(node):
    """Stops a node whose ledger was put back from before its last write; @return ids of what is kept and what is lost"""
    assert node.member(0).ingest({"lei": "kept", "nace": "V"}).status == 200
    node.stop()
    then = node.folder / "ledger then"
    shutil.copytree(node.ledger, then)
    kept = [entry.seqno for path in node.ledger_files() for entry in ledger_file.entries(path)][-1]
    node.launch()
    answer = node.member(0).ingest({"lei": "lost", "nace": "V"})
    assert answer.status == 200
    node.stop()
    put_back(then, node.ledger)
    return kept, answer.headers["x-ms-ccf-transaction-id"]


def test_an_older_ledger_is_refused_naming_the_first_transaction_missing(make_node):
    node = make_node(damaged=True)
    kept, _ = older_ledger(node)
    for _ in range(2):
        said = node.refuses_to_start()
        assert f"lacks transaction {kept + 1} " in said and "--accept-loss" in said, said


def test_the_operators_word_lets_it_start_and_is_recorded(make_node):
    node = make_node(damaged=True)
    kept, lost = older_ledger(node)
    node.refuses_to_start()
    node.launch(options=("--accept-loss",))
    assert [row["lei"] for row in node.member(0).report()] == ["kept"]
    assert node.client().get(f"/app/tx?transaction_id={lost}").json()["status"] == "Invalid"
    assert node.member(0).ingest({"lei": "after", "nace": "V"}).status == 200
    node.restart()  # without another word: it is settled
    assert {row["lei"] for row in node.member(0).report()} == {"kept", "after"}
    node.stop()
    shown = run_tool("ledger", "show", node.ledger)
    assert "public:ccf.internal.accepted_losses" in shown.stdout, shown
    node.insist_ledger_verifies()


def test_a_ledger_damaged_in_its_last_batch_is_refused_after_a_clean_stop(make_node):
    node = make_node(damaged=True)
    assert node.member(0).ingest({"lei": "K", "nace": "V"}).status == 200
    node.stop()
    last = node.ledger_files()[-1]
    whole = last.read_bytes()
    newest = ledger_file.entries(last)[-1]
    for end in (newest.end - 1, newest.offset, newest.offset - 1):
        last.write_bytes(whole[:end])
        assert "lacks transaction " in node.refuses_to_start()
        assert last.read_bytes() == whole[:end], "evidence is left as it is"
    last.write_bytes(whole)
    node.launch()


def test_a_copied_sealed_directory_lets_nobody_write_the_same_ledger(make_node):
    node = make_node()
    shutil.copytree(node.home / "sealed", node.home / "copied")
    changed = json.loads((node.home / "config.json").read_text())
    merge(changed, {"network": {"rpc_interfaces": {"main": {"bind_address": "127.0.0.1:0"}}},
                    "concordat": {"sealed_directory": "copied"}})
    (node.home / "second.json").write_text(json.dumps(changed))
    second = subprocess.run([DAEMON, "--config", "second.json"], cwd=node.home, capture_output=True, text=True,
                            timeout=PATIENCE)
    assert second.returncode == 1 and "another process is using the directory" in second.stderr, second
    node.insist_ledger_verifies()  # reading is kept from nobody
    assert node.member(0).ingest({"lei": "K", "nace": "V"}).status == 200


def test_ledger_and_sealed_files_put_back_together_start_under_a_secret_of_their_own(make_node):
    """Nothing tells the node. But the same write in the same place, under the same key, would be the same bytes."""
    node = make_node(damaged=True)
    assert node.member(0).ingest({"lei": "K", "nace": "V"}).status == 200
    node.stop()
    for name in ("ledger", "sealed"):
        shutil.copytree(node.home / name, node.home / f"{name} then")
    before = {entry.seqno for path in node.ledger_files() for entry in ledger_file.entries(path)}
    histories = []
    for _ in range(2):
        node.launch()
        assert node.member(1).ingest({"lei": "secret", "nace": "the same"}).status == 200
        node.stop()
        histories.append({(entry.view, entry.seqno): path.read_bytes()[entry.offset:entry.end]
                          for path in node.ledger_files() for entry in ledger_file.entries(path)
                          if entry.seqno not in before})
        for name in ("ledger", "sealed"):
            put_back(node.home / f"{name} then", node.home / name)
    first, second = histories
    assert first.keys() == second.keys() and len(first) >= 4, "each nonce was used by both"
    assert all(first[nonce] != second[nonce] for nonce in first)
