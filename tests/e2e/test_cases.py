"""What people really have and do: files, spreadsheets' damage, pipes, tools. Inputs lie in tests/data/cases."""
import gzip
import io
import json
import os
import shutil
import subprocess
import threading
import uuid
import zipfile

import pytest

from identity import write_identity
from node import BIN, DAEMON, PATIENCE, ROOT, free_port, run_tool
from test_sandbox import Sandbox

CASES = ROOT / "tests/data/cases"
DONE, FAILED, USAGE, UNREACHABLE, NOT_VERIFIED = range(5)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    running = Sandbox(tmp_path_factory.mktemp("cases") / "workspace")
    yield running
    assert running.stop() == 0


class Desk:
    """Where one test works: an empty directory beside the sandbox."""

    def __init__(self, sandbox, folder):
        self.sandbox, self.folder = sandbox, folder
        self.environment = {
            "BIN": str(BIN), "WS": str(sandbox.workspace), "TMP": str(folder), "CONCORDAT_URL": sandbox.url,
            "CONCORDAT_WORKSPACE": str(sandbox.workspace), "FREE_PORT": str(free_port()),
            "XDG_STATE_HOME": str(folder / "state")}

    def script(self, name):
        """The output of a case, both streams together."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CONCORDAT_")}
        done = subprocess.run(
            ["bash", str(CASES / name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**clean, **self.environment}, timeout=PATIENCE)
        return done.stdout

    def submit(self, *words, **options):
        return run_tool("submit", *words, "--as", "member0", environment=self.environment, **options)

    def submit_bytes(self, name, content, *words):
        path = self.folder / name
        path.write_bytes(content)
        return self.submit(path, *words)

    def report(self, key):
        done = run_tool("report", key, "--as", "member0", "--format", "json", environment=self.environment)
        if done.returncode != DONE:
            return None
        found = json.loads(done.stdout)
        return (found[0] if isinstance(found, list) else found)["nace"]


@pytest.fixture
def desk(sandbox, tmp_path):
    return Desk(sandbox, tmp_path)


def lei():
    return uuid.uuid4().hex[:18].upper() + "07"


# --- the cases as they were found

def test_what_stands_at_out_is_written_to(desk):
    output = desk.script("out-is-a-pipe.sh")
    assert "still a pipe" in output and "the receipt arrived" in output and "FAULT" not in output, output


def test_an_older_ledger_is_not_taken_for_the_present_one(desk):
    output = desk.script("older-ledger.sh")
    assert "lacks transaction " in output and "--accept-loss" in output and "Invalid" not in output, output


def test_nothing_verified_is_not_verified(desk):
    assert f"exit code {NOT_VERIFIED}" in desk.script("verify-empty-ledger.sh")


def test_a_mistake_far_below_leaves_nothing_stored(desk):
    output = desk.script("bad-row-in-third-part.sh")
    assert "23,001" in output.replace("23001", "23,001") and "23002" in output.replace(",", ""), output
    assert "KeyNotFound" in output and "records submitted" not in output, output


@pytest.mark.parametrize("name, parts", [
    ("one-key-two-values.csv", ["lines 2 and 3 contradict"]), ("key-trailing-space.csv", ["line 2", "lei", "space"]),
    ("key-in-scientific-notation.csv", ["line 2", "scientific"]), ("trailing-comma.json", ["line 3, column 49", "comma"])])
def test_what_must_be_looked_at_is_refused_with_its_place(desk, name, parts):
    done = desk.submit(CASES / name)
    assert done.returncode == FAILED and not done.stdout and all(part in done.stderr for part in parts), done


@pytest.mark.parametrize("name, key", [("blank-lines-at-end.csv", "984500000000000BLE01"),
                                       ("semicolon.csv", "984500000000000SEM01")])
def test_what_is_clear_is_taken(desk, name, key):
    done = desk.submit(CASES / name)
    assert done.returncode == DONE and done.stdout.startswith("1 records submitted"), done
    assert desk.report(key) == "K.64.19"


def test_input_comes_from_pipes_under_any_name(desk):
    output = desk.script("pipe-input.sh")
    assert output.count("2 records submitted") == 3, output


def test_check_finds_an_address_that_does_not_start(desk):
    output = desk.script("check-address-without-port.sh")
    assert "exit code 0" not in output and "bind_address" in output, output


def test_a_sandbox_answers_to_localhost(desk):
    output = desk.script("localhost.sh")
    assert "Committed" in output and "exit code 0" in output and "curl exit code 0" in output, output


def test_head_is_answered_where_get_is(desk):
    output = desk.script("head-ready.sh")
    assert " 204" in output and " 200" in output, output


def test_a_packed_body_is_unpacked_or_refused_by_name(desk):
    output = desk.script("gzip-body.sh")
    assert " 200" in output, output


def test_a_file_rendered_for_a_ccf_node_is_good(tmp_path):
    member = write_identity(tmp_path, "member0")
    assert member.certificate_file.name == "member0_cert.pem"
    run_tool("keygen", "m", "--encryption", "--directory", tmp_path)
    (tmp_path / "m_enc_pubk.pem").rename(tmp_path / "member0_enc_pubk.pem")
    (tmp_path / "actions.js").write_text("// nothing yet\n")
    shutil.copy(CASES / "ccf-node-config.json", tmp_path / "config.json")
    done = subprocess.run([DAEMON, "--config", "config.json", "--check"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# --- further members of their kinds

def workbook(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


def wide(columns, value_at, name="Entity.NACE"):
    def make(key):
        header = ["LEI"] + [f"Column{number}" for number in range(columns - 1)]
        header[value_at] = name
        row = [key] + ['"a, ""b"""'] * (columns - 1)
        row[value_at] = "K.64.19"
        return (",".join(header) + "\n" + ",".join(row) + "\n").encode()
    return make


TAKEN = {
    "tabs": ("x.tsv", lambda key: f"lei\tnace\n{key}\tK.64.19\n".encode(), []),
    "bars": ("x.csv", lambda key: f"lei|nace\n{key}|K.64.19\n".encode(), []),
    "sep line": ("x.csv", lambda key: f"sep=;\r\nlei;nace\r\n{key};K.64.19\r\n".encode(), []),
    "header in capitals and spaced": ("x.csv", lambda key: f" LEI , Nace \n{key},K.64.19\n".encode(), []),
    "empty columns": ("x.csv", lambda key: f"lei,nace,,\n{key},K.64.19,,\n,,,\n".encode(), []),
    "Ctrl-Z": ("x.csv", lambda key: f"lei,nace\r\n{key},K.64.19\r\n\x1a".encode(), []),
    "old Mac line ends": ("x.csv", lambda key: f"lei,nace\r{key},K.64.19\r".encode(), []),
    "UTF-16 with mark": ("x.csv", lambda key: f"lei\tnace\r\n{key}\tK.64.19\r\n".encode("utf-16"), []),
    "UTF-16 big-endian": ("x.txt", lambda key: f"lei;nace\n{key};K.64.19\n".encode("utf-16-be"), []),
    "UTF-16 without mark": ("x.csv", lambda key: f"lei,nace\n{key},K.64.19\n".encode("utf-16-le"), []),
    "byte order mark": ("x.csv", lambda key: f"\ufefflei,nace\n{key},K.64.19\n".encode(), []),
    "gzip": ("x.csv.gz", lambda key: gzip.compress(f"lei,nace\n{key},K.64.19\n".encode()), []),
    "gzip under another name": ("x.csv", lambda key: gzip.compress(f"lei;nace\n{key};K.64.19\n".encode()), []),
    "gzip of JSON": ("x.json.gz", lambda key: gzip.compress(json.dumps([{"lei": key, "nace": "K.64.19"}]).encode()), []),
    "JSON lines named json": ("x.json", lambda key: f'{{"lei":"{key}","nace":"K.64.19"}}\n'.encode() * 2, []),
    "wide": ("x.csv", wide(338, 170), ["--value-column", "entity.nace"]),
    "wide with both named": ("x.csv", wide(338, 3, "NACE"), ["--key-column", "LEI", "--value-column", "nace"]),
    "Latin-1 that is named": ("x.csv", lambda key: f"lei;nace\r\n{key};K.64.19\r\n;\xa0\r\n".encode("latin-1"),
                              ["--encoding", "windows-1252"]),
    "a separator that is named": ("x.csv", lambda key: f"lei:nace\n{key}:K.64.19\n".encode(), ["--separator", ":"]),
    "same row twice": ("x.csv", lambda key: f"lei,nace\n{key},K.64.19\n{key},K.64.19\n".encode(), []),
    "total skipped": ("x.csv", lambda key: f"lei,nace\n{key},K.64.19\nTotal,1\n(1 row)\n".encode(), ["--skip", "total,fields"]),
    "quoted digits accepted": ("x.csv", lambda key: f'lei,nace\n="{key}",K.64.19\n'.encode(), ["--accept", "formula"]),
    "space accepted": ("x.csv", lambda key: f"lei,nace\n{key} ,K.64.19\n".encode(), ["--accept", "space"])}

REFUSED = {
    "leading space": ("x.csv", "lei,nace\n {key},K.64.19\n", ["line 2", "(space)"]),
    "no-break space": ("x.csv", "lei,nace\n{key}\u00a0,K.64.19\n", ["line 2", "U+00A0", "character 21"]),
    "zero width": ("x.csv", "lei,nace\n{key},K.64\u200b.19\n", ["line 2", "nace", "U+200B"]),
    "mark inside": ("x.csv", "lei,nace\n{key},\ufeffK.64.19\n", ["U+FEFF"]),
    "decomposed accent": ("x.csv", "lei,nace\n{key},Zu\u0308rich\n", ["(form)"]),
    "full width": ("x.csv", "lei,nace\n{key},\uff2b.64\n", ["(form)", "U+FF2B"]),
    "bidirectional": ("x.json", '[{{"lei":"{key}","nace":"K\\u202e.64"}}]', ["line 1", "U+202E"]),
    "small letters": ("x.csv", "lei,nace\n{small},K.64.19\n", ["(case)"]),
    "two spellings": ("x.csv", "lei,nace\nAbc,K.64.19\naBC,K.64.19\n", ["line 2 in case alone"]),
    "cyrillic": ("x.csv", "lei,nace\n{key},\u041a.64.19\n", ["(lookalike)"]),
    "comma as point": ("x.csv", "lei;nace\n9,845E+19;K.64.19\n", ["line 2", "(scientific)"]),
    "quoted digits": ("x.csv", 'lei,nace\n="0012",K.64.19\n', ["line 2", "(formula)"]),
    "error value": ("x.csv", "lei,nace\n{key},#N/A\n", ["line 2", "(error-value)"]),
    "header again": ("x.csv", "lei,nace\n{key},K.64.19\nlei,nace\n", ["line 3", "(header)"]),
    "total": ("x.csv", "lei,nace\n{key},K.64.19\nTotal,1\n", ["line 3", "(total)"]),
    "no value": ("x.csv", "lei,nace\n{key},\n", ["line 2", "(empty)"]),
    "NULL": ("x.csv", "lei,nace\n{key},NULL\n", ["line 2", "(placeholder)"]),
    "title above": ("x.csv", "Clients of May\n\nlei,nace\n{key},K.64.19\n", ["line 1", "(preamble)"]),
    "contradiction far apart": ("x.csv", "lei,nace\n{key},A\nB1,X\nB2,Y\n{key},B\n", ["lines 2 and 5"]),
    "contradiction unseen": ("x.csv", "lei,nace\n{key},A\n{key}\u00a0,B\n", ["lines 2 and 3"]),
    "contradiction in JSON": ("x.json", '[{{"lei":"{key}","nace":"A"}},\n{{"lei":"{key}","nace":"B"}}]', ["lines 1 and 2"]),
    "long row": ("x.csv", "lei,nace\n{key},K.64,19\n", ["line 2", "3 fields"]),
    "NUL": ("x.csv", "lei,nace\n{key}\0,K.64\n", ["line 2, byte 21", "NUL"]),
    "wide without names": ("x.csv", "lei,nace,name\n{key},K.64,B\n", ["--key-column", "name"]),
    "a column that is not there": ("x.csv", "LEI_CODE;NACE2\n{key};K\n", ["LEI_CODE, NACE2", "nearest"]),
    "no header": ("x.csv", "{key},K.64.19\n", ["put a header above it"]),
    "web page": ("x.csv", "<!doctype html><html><table>", ["HTML"]),
    "PDF": ("x.csv", "%PDF-1.7\n", ["PDF"]),
    "key file": ("x.csv", "-----BEGIN PRIVATE KEY-----\n", ["PEM"]),
    "single quotes": ("x.json", "[{{'lei':'{key}'}}]", ["line 1, column 3", "double quotes"]),
    "number as key": ("x.json", '[\n{{"lei":98,"nace":"K"}}]', ["line 2", "lei", "string, not a number"]),
    "broken line": ("x.ndjson", '{{"lei":"{key}","nace":"K"}}\n{{"lei"', ["line 2, column 7"]),
    "two kinds, one accepted": ("x.csv", "lei,nace\n{key} ,#N/A\n", ["(error-value)"], "--accept", "space"),
    "an unknown kind": ("x.csv", "lei,nace\n{key},K\n", ["scientific, formula"], "--accept", "all")}


@pytest.mark.parametrize("name", TAKEN)
def test_an_input_as_people_have_it_is_taken(desk, name):
    file, content, options = TAKEN[name]
    key = lei()
    done = desk.submit_bytes(file, content(key), *options)
    assert done.returncode == DONE and "records submitted" in done.stdout, done
    assert desk.report(key) == "K.64.19"


@pytest.mark.parametrize("name", REFUSED)
def test_an_input_that_needs_a_look_is_refused_with_its_place_and_nothing_stored(desk, name):
    file, text, parts, *options = REFUSED[name]
    key = lei()
    done = desk.submit_bytes(file, text.format(key=key, small="k" + key[1:].lower()).encode(), *options)
    assert done.returncode == (USAGE if name == "an unknown kind" else FAILED), done
    assert all(part in done.stderr for part in parts) and not done.stdout, done
    assert desk.report(key) is None


@pytest.mark.parametrize("name, content, what", [
    ("x.xlsx", workbook("[Content_Types].xml", "xl/workbook.xml"), "Excel workbook"), ("x.csv", workbook("a.csv"), "zip archive"),
    ("x.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "xls"), ("x.parquet", b"PAR1" + bytes(100), "Parquet"),
    ("x.bin", bytes(range(32)) * 30, "binary"), ("x.csv", "lei,nace\nA,Z\xfcrich\n".encode("latin-1"), "line 2, byte 4"),
    ("x.csv", gzip.compress(gzip.compress(b"lei,nace\n")), "gzip file within another"),
    ("x.csv.gz", gzip.compress(b"lei,nace\nA,1\n" * 50)[:-6], "ends too early"),
    ("x.csv.gz", gzip.compress(b"0" * (160 << 20)), "200 times")],
    ids=["xlsx", "zip", "xls", "parquet", "binary", "latin-1", "packed twice", "cut", "bomb"])
def test_what_is_no_text_of_records_is_named(desk, name, content, what):
    done = desk.submit_bytes(name, content)
    assert done.returncode == FAILED and what in done.stderr and len(done.stderr) < 1000, done


def test_a_device_without_end_is_not_read_for_ever(desk):
    done = desk.submit("/dev/zero")
    assert done.returncode == FAILED and "binary" in done.stderr, done
    assert desk.submit("/dev/null").returncode == FAILED
    assert "directory" in desk.submit(desk.folder).stderr


def test_a_pipe_larger_than_its_buffer_arrives_whole(desk):
    fifo, count = desk.folder / "records.csv", 30_000
    os.mkfifo(fifo)
    text = "lei,nace\n" + "".join(f"98450003{number:012},K.64.19\n" for number in range(count))
    writer = threading.Thread(target=fifo.write_text, args=(text,))
    writer.start()
    done = desk.submit(fifo)
    writer.join()
    assert done.returncode == DONE and done.stdout.startswith("30,000 records submitted"), done


def test_an_interface_client_is_held_to_the_same_rule_of_texts(desk):
    member, key = desk.sandbox.client("member0"), lei()
    assert member.ingest([{"lei": f" {key}\u00a0", "nace": "Zu\u0308rich\u200b"}]).status == 200
    assert desk.report(key) == "Z\u00fcrich"
    answer = member.ingest([{"lei": key, "nace": "A"}, {"lei": "\u200b", "nace": "A"}])
    assert answer.status == 400 and "row 2" in answer.body.decode() and desk.report(key) == "Z\u00fcrich", answer


def test_an_interface_client_is_told_the_place_of_a_mistake(desk):
    member = desk.sandbox.client("member0")
    answer = member.post("/app/ingest", b'[\n {"lei":"A","nace":"1"},\n]')
    assert answer.status == 400 and b"line 2, column 24" in answer.body, answer
    answer = member.post("/app/csv/ingest", b"lei;nace\nA;1\n")
    assert answer.status == 400 and b"semicolons" in answer.body, answer
