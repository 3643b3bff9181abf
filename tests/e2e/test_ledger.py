"""What lies on the disk: a ledger that anybody can verify, and nothing of what members submitted."""
import base64
import os
import re
import shutil
import uuid

import pytest

import ledger_file
from node import Node, run_tool


@pytest.fixture(scope="module")
def canaries(tmp_path_factory):
    """A node that was given a key and values to keep secret, in every way there is, and was restarted in between."""
    node = Node(tmp_path_factory.mktemp("canaries") / "service", changes={"ledger": {"chunk_size": "20KB"}})
    node.launch(options=["--log-level", "Trace"])
    secrets = {kind: f"canary-{kind}-{uuid.uuid4().hex}" for kind in ("key", "value", "csv", "refused", "absent", "after")}
    member = node.member(0)
    assert member.ingest({"lei": secrets["key"], "nace": secrets["value"]}).status == 200
    assert member.ingest_csv(f"lei,nace\n{secrets['key']}-csv,{secrets['csv']}\n").status == 200
    assert member.ingest([{"lei": secrets["refused"], "nace": 1}]).status == 400
    assert member.ingest_csv(f'lei,nace\n{secrets["refused"]},"x"y\n').status == 400
    assert member.get(f"/app/report/{secrets['absent']}").status == 400
    assert member.get(f"/app/report?after={secrets['after']}").status == 200
    member.raw(f"NONSENSE {secrets['refused']}\r\n\r\n".encode())
    for number in range(100):
        assert member.ingest({"lei": f"{secrets['key']}-{number}", "nace": secrets["value"]}).status == 200
    node.restart()
    assert len(member.report()) == 102
    node.secrets = secrets
    yield node
    node.stop()


def forms_of(text):
    """How a text may stand in a file: as it is, in hex, in base64 at each of its three alignments."""
    data = text.encode()
    yield data
    yield data[::-1]
    yield data.hex().encode()
    yield data.hex().upper().encode()
    yield text.encode("utf-16-le")
    for shift in range(3):
        # The first and last digits depend on the neighbours; what lies between does not.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * shift + data)[4:-4]


def test_nothing_that_was_submitted_lies_in_any_file_in_clear(canaries):
    canaries.client().get("/node/network")
    files = [path for path in canaries.folder.rglob("*") if path.is_file()]
    assert len(files) > 10 and any(path.name.endswith(".committed") for path in files)
    for path in files:
        content = path.read_bytes()
        for kind, secret in canaries.secrets.items():
            for form in forms_of(secret):
                assert form not in content, f"{kind} lies in {path} as {form!r}"


def test_the_search_for_canaries_finds_what_is_hidden_in_every_form():
    secret = f"canary-{uuid.uuid4().hex}"
    data = b"before" + secret.encode() + b"behind"
    for encode in (bytes, bytes.hex, base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            content = encode(b"x" * shift + data)
            content = content if isinstance(content, bytes) else content.encode()
            assert any(form in content for form in forms_of(secret)), (encode, shift)


def test_no_private_key_lies_in_a_file_of_the_node(canaries):
    """In the form that tools read; src/node/restore_test.cpp looks for the bytes of all secrets."""
    for path in canaries.folder.rglob("*"):
        if path.is_file() and path.parent != canaries.common:
            assert b"PRIVATE KEY" not in path.read_bytes(), path


def test_the_ledger_verifies_while_it_is_written_and_after(make_node):
    node = make_node(changes={"ledger": {"chunk_size": "20KB"}})
    for number in range(60):
        node.member(0).ingest({"lei": f"K{number}", "nace": "V"})
        if number % 20 == 0:
            node.insist_ledger_verifies()
    done = node.verify_ledger("--service-cert", node.service_certificate)
    assert done.returncode == 0, done
    view, seqno = node.commit()
    node.stop()
    done = node.verify_ledger("--strict", "--service-cert", node.service_certificate)
    assert done.returncode == 0 and f"verified up to {view}.{seqno}" in done.stdout and "Open" in done.stdout, done
    assert node.verify_ledger("--committed-only").returncode == 0


def test_completed_files_are_named_by_what_they_hold(make_node):
    node = make_node(changes={"ledger": {"chunk_size": "10KB"}})
    for number in range(60):
        node.member(0).ingest({"lei": f"K{number}", "nace": "V"})
    node.restart()
    files = node.ledger_files()
    expected = 1
    for path in files:
        found = ledger_file.entries(path)
        first, last = re.fullmatch(r"ledger_(\d+)(?:-(\d+)\.committed)?", path.name).groups()
        assert [entry.seqno for entry in found] == list(range(expected, expected + len(found)))
        assert int(first) == expected
        expected += len(found)
        assert last is None if path == files[-1] and last is None else int(last) == expected - 1
    assert len(files) > 3


def test_public_tables_can_be_read_by_anybody(canaries):
    shown = run_tool("ledger", "show", canaries.ledger, "--full")
    assert shown.returncode == 0, shown
    for table in ("members.certs", "users.certs", "nodes.info", "service.info", "service.config"):
        assert f"public:ccf.gov.{table}" in shown.stdout
    for member in canaries.members:
        assert member.id in shown.stdout
    assert "bytes encrypted" in shown.stdout
    for secret in canaries.secrets.values():
        assert secret not in shown.stdout
    one = run_tool("ledger", "show", canaries.ledger, "--table", "public:ccf.gov.members.certs")
    assert "public:ccf.gov.members.certs" in one.stdout and "service.info" not in one.stdout
    created = run_tool("ledger", "show", canaries.ledger, "--txid", "2.1")
    assert created.stdout.startswith("2.1") and "\n2.2" not in created.stdout


def test_no_table_of_the_application_is_public(canaries):
    shown = run_tool("ledger", "show", canaries.ledger, "--full")
    tables = set(re.findall(r"public:[\w.]+", shown.stdout))
    assert "public:ccf.gov.members.certs" in tables
    assert all(table.startswith("public:ccf.") for table in tables), tables
    assert not re.search(r"\brecon\.", shown.stdout)


@pytest.mark.parametrize("place", ["tag", "public part", "private part", "size"])
def test_a_damaged_ledger_does_not_verify_and_the_place_is_named(canaries, tmp_path, place):
    copy = tmp_path / "ledger"
    shutil.copytree(canaries.ledger, copy)
    path = min(copy.glob("ledger_*.committed"), key=lambda found: int(found.name.split("_")[1].split("-")[0]))
    entry = ledger_file.entries(path)[2]
    ledger_file.flip(path, {"tag": entry.offset + 8, "public part": entry.offset + 44, "private part": entry.end - 1,
                            "size": entry.offset + 2}[place])
    done = run_tool("ledger", "verify", copy)
    assert done.returncode == 4, done
    first = next(line for line in done.stdout.splitlines() if "error:" in line)
    # The entry itself or the signature over it, or the file that cannot be read on.
    assert re.search(rf"\b2\.({entry.seqno}|{entry.seqno + 1})\b", first) or path.name in first, done


def test_a_ledger_with_a_file_missing_does_not_verify(canaries, tmp_path):
    copy = tmp_path / "ledger"
    shutil.copytree(canaries.ledger, copy)
    sorted(copy.glob("ledger_*.committed"))[0].unlink()
    done = run_tool("ledger", "verify", copy)
    assert done.returncode == 4 and "does not continue the files before it" in done.stdout, done


def test_the_ledger_of_another_service_does_not_verify_against_this_ones_certificate(canaries, service):
    done = run_tool("ledger", "verify", canaries.ledger, "--service-cert", service.service_certificate)
    assert done.returncode == 4 and "signed by another service" in done.stdout, done
    assert run_tool("ledger", "verify", canaries.ledger, "--service-cert",
                    canaries.service_certificate).returncode == 0


def test_a_directory_that_cannot_be_read_is_said(tmp_path):
    done = run_tool("ledger", "verify", tmp_path / "nowhere")
    assert done.returncode == 1 and "nowhere" in done.stderr


def test_nothing_signed_is_nothing_verified(tmp_path):
    for content in (None, b"", bytes(8)):
        ledger = tmp_path / f"ledger{len(list(tmp_path.iterdir()))}"
        ledger.mkdir()
        if content is not None:
            (ledger / "ledger_1").write_bytes(content)
        done = run_tool("ledger", "verify", ledger)
        assert done.returncode == 4 and ("nothing in it is signed" in done.stdout or "no ledger files" in done.stdout), done


def test_what_is_no_file_is_neither_waited_for_nor_read(canaries, tmp_path):
    while canaries.ledger_files()[-1].name.endswith(".committed"):
        assert canaries.member(0).ingest({"lei": canaries.secrets["key"], "nace": canaries.secrets["value"]}).status == 200
    ledger = tmp_path / "ledger"
    shutil.copytree(canaries.ledger, ledger)
    last = max(ledger.iterdir(), key=lambda path: int(re.match(r"ledger_(\d+)", path.name)[1]))
    for replace in (lambda: last.symlink_to("/dev/zero"), lambda: os.mkfifo(last), last.mkdir):
        last.unlink() if not last.is_dir() else last.rmdir()
        replace()
        done = run_tool("ledger", "verify", ledger)
        assert done.returncode == 4 and last.name in done.stdout, done


def test_an_unsigned_end_is_marked_and_not_shown_strictly(canaries, tmp_path):
    ledger = tmp_path / "ledger"
    shutil.copytree(canaries.ledger, ledger)
    last = max(ledger.iterdir(), key=lambda path: int(re.match(r"ledger_(\d+)", path.name)[1]))
    content = last.read_bytes()
    cut = ledger_file.entries(last)[-1]  # a signature; what it signed is signed by nothing now
    last.write_bytes(content[:cut.offset])
    given = ["--service-cert", canaries.service_certificate]
    assert run_tool("ledger", "verify", ledger, *given).returncode == 0
    shown = run_tool("ledger", "show", ledger, *given)
    assert shown.returncode == 0 and "NOT SIGNED" in shown.stdout, shown
    strict = run_tool("ledger", "show", ledger, "--strict", *given)
    assert strict.returncode == 4 and "NOT SIGNED" not in strict.stdout, strict
    assert strict.stdout and shown.stdout.index("NOT SIGNED") >= len(strict.stdout) - 200
