"""The command line against a running node: what it prints, and the exit codes it documents."""
import csv
import io
import json
import re
import signal
import socket
import subprocess
import threading
import time
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from identity import write_identity
from node import PATIENCE, ROOT, TOOL, free_port, run_tool, wait_for

DONE, FAILED, USAGE, UNREACHABLE, NOT_VERIFIED = range(5)
SAMPLES = ROOT / "tests/data/samples"


class Caller:
    """The command line as one caller of a node."""

    def __init__(self, node, name, state):
        self.node, self.environment = node, {"XDG_STATE_HOME": str(state), "NO_COLOR": "1"}
        self.options = ["--url", f"https://{node.address}", "--workspace", node.folder, "--as", name]

    def run(self, *words, **options):
        return run_tool(*words, *self.options, environment=self.environment, **options)

    def start(self, *words):
        return subprocess.Popen(
            [str(TOOL), *map(str, words), *map(str, self.options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={"PATH": "/usr/bin", "HOME": "/nonexistent", **self.environment})

    def report(self):
        done = self.run("report", "--format", "json")
        assert done.returncode == DONE, done
        return json.loads(done.stdout)


@pytest.fixture
def caller(service, tmp_path):
    return Caller(service, "member2", tmp_path / "state")


def key():
    return uuid.uuid4().hex


def values(caller, keys):
    found = {record["lei"]: record["nace"] for record in caller.report()}
    return [found.get(lei) for lei in keys]


def txid_of(done):
    words = done.stdout.strip().split()
    return words[words.index("transaction") + 1]


# --- keygen

@pytest.mark.parametrize("options, curve", [([], "secp384r1"), (["--curve", "p256"], "secp256r1"),
                                            (["--curve", "secp384r1"], "secp384r1")])
def test_keygen_writes_a_pair_that_fits(tmp_path, options, curve):
    done = run_tool("keygen", "alice", "--directory", tmp_path, *options)
    assert done.returncode == DONE, done
    certificate = x509.load_pem_x509_certificate((tmp_path / "alice_cert.pem").read_bytes())
    key_file = tmp_path / "alice_privk.pem"
    private = serialization.load_pem_private_key(key_file.read_bytes(), None)
    assert private.public_key().public_numbers() == certificate.public_key().public_numbers()
    assert certificate.public_key().curve.name == curve and key_file.stat().st_mode & 0o777 == 0o600
    assert "alice" in certificate.subject.rfc4514_string()
    certificate.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes,
                                    ec.ECDSA(certificate.signature_hash_algorithm))
    assert {path.name for path in tmp_path.iterdir()} == {"alice_cert.pem", "alice_privk.pem"}


def test_keygen_makes_encryption_keys_when_asked(tmp_path):
    assert run_tool("keygen", "bob", "--directory", tmp_path, "--encryption").returncode == DONE
    private = serialization.load_pem_private_key((tmp_path / "bob_enc_privk.pem").read_bytes(), None)
    public = serialization.load_pem_public_key((tmp_path / "bob_enc_pubk.pem").read_bytes())
    assert isinstance(private, rsa.RSAPrivateKey) and private.key_size == 2048
    assert private.public_key().public_numbers() == public.public_numbers()
    assert (tmp_path / "bob_enc_privk.pem").stat().st_mode & 0o777 == 0o600


def test_keygen_replaces_nothing_unless_forced(tmp_path):
    run_tool("keygen", "carol", "--directory", tmp_path)
    before = (tmp_path / "carol_privk.pem").read_bytes()
    (tmp_path / "carol_cert.pem").unlink()
    done = run_tool("keygen", "carol", "--directory", tmp_path)
    assert done.returncode == FAILED and "carol_privk.pem" in done.stderr and "--force" in done.stderr, done
    assert (tmp_path / "carol_privk.pem").read_bytes() == before and not (tmp_path / "carol_cert.pem").exists()
    assert run_tool("keygen", "carol", "--directory", tmp_path, "--force").returncode == DONE
    assert (tmp_path / "carol_privk.pem").read_bytes() != before


@pytest.mark.parametrize("name", ["../up", "a/b", "-x", ".hidden", ""])
def test_keygen_refuses_names_that_are_no_file_names(tmp_path, name):
    done = run_tool("keygen", "--directory", tmp_path, "--", name)
    assert done.returncode == USAGE and "name" in done.stderr, done
    assert not list(tmp_path.iterdir())


def test_a_key_made_by_keygen_is_let_in(make_node):
    node = make_node(start=False, members=1, users=0)
    run_tool("keygen", "member0", "--directory", node.common, "--force", "--encryption")
    node.launch()
    assert Caller(node, "member0", node.folder / "state").run("submit", SAMPLES / "member0.csv").returncode == DONE


# --- submit and report

def test_the_sample_submissions_give_the_sample_reports(make_node):
    node = make_node()
    callers = [Caller(node, f"member{index}", node.folder / "state") for index in range(3)]
    for one, name in zip(callers, ("member0.csv", "member1.json", "member2.json")):
        done = one.run("submit", SAMPLES / name)
        assert done.returncode == DONE and "records submitted" in done.stdout, done
    reports = {f"member{index}": one.report() for index, one in enumerate(callers)}
    assert reports == json.loads((SAMPLES / "reports_first.json").read_text())
    callers[0].run("submit", SAMPLES / "member0_update.json")
    reports = {f"member{index}": one.report() for index, one in enumerate(callers)}
    assert reports == json.loads((SAMPLES / "reports_after_update.json").read_text())


@pytest.mark.parametrize("name, text", [
    ("records.csv", "lei,nace\n{0},A\n{1},\"B,b\"\n"), ("records.json", '[{{"lei":"{0}","nace":"A"}},{{"lei":"{1}","nace":"B,b"}}]'),
    ("records.ndjson", '{{"lei":"{0}","nace":"A"}}\n{{"lei":"{1}","nace":"B,b"}}\n'),
    ("records", "lei,nace\r\n{0},A\r\n{1},\"B,b\"\r\n"), ("records.txt", '[{{"lei":"{0}","nace":"A"}},{{"lei":"{1}","nace":"B,b"}}]')])
@pytest.mark.parametrize("from_stdin", [False, True])
def test_every_format_is_taken_from_a_file_and_from_standard_input(caller, tmp_path, name, text, from_stdin):
    keys = [key(), key()]
    content = text.format(*keys)
    if from_stdin:
        done = caller.run("submit", "-", stdin=content)
    else:
        (tmp_path / name).write_bytes(content.encode())
        done = caller.run("submit", tmp_path / name)
    assert done.returncode == DONE and done.stdout.startswith("2 records submitted in 1 request"), done
    assert values(caller, keys) == ["A", "B,b"]


def test_a_big_file_is_split_and_every_record_of_it_arrives(make_node, tmp_path):
    node = make_node()
    caller = Caller(node, "member0", tmp_path / "state")
    big = tmp_path / "big.csv"
    with big.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["lei", "nace"])
        rows.writerows([f"K{number:06}", f'V"{number}",\nx'] for number in range(45_000))
    done = caller.run("submit", big)
    assert done.returncode == DONE and "45,000 records submitted in" in done.stdout, done
    assert int(done.stdout.split(" in ")[1].split()[0]) >= 5
    assert not list((tmp_path / "state").rglob("*.json")), "the state of a complete submission is removed"
    report = caller.report()
    assert [found["lei"] for found in report] == [f"K{number:06}" for number in range(45_000)]
    assert all(found["nace"] == f'V"{number}",\nx' for number, found in enumerate(report))
    assert caller.run("tx", "status", txid_of(done)).stdout == "Committed\n"


def test_refused_records_are_named_by_line_and_nothing_of_their_request_is_stored(caller, tmp_path):
    lei = key()
    bad = tmp_path / "bad.csv"
    bad.write_text(f"lei,nace\n{lei},A\n,B\n")
    done = caller.run("submit", bad)
    assert done.returncode == FAILED and "line 3" in done.stdout + done.stderr and "lei" in done.stderr, done
    assert values(caller, [lei]) == [None]


@pytest.mark.parametrize("name, text", [("x.csv", ""), ("x.json", "[]"), ("x.json", "{"), ("x.csv", "lei,nace\n"),
                                        ("x.csv", 'lei,nace\nK,"open\n'), ("x.ndjson", "\n\n")])
def test_an_input_without_records_or_that_is_broken_is_refused(caller, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    done = caller.run("submit", tmp_path / name)
    assert done.returncode == FAILED and done.stderr.startswith("concordat: "), done


def test_an_input_that_is_not_there_is_said(caller, tmp_path):
    done = caller.run("submit", tmp_path / "nowhere.csv")
    assert done.returncode == FAILED and "nowhere.csv" in done.stderr, done


class Interrupter:
    """Stands between a client and a node, passes bytes on, and cuts all connections when told to, or after so many
    bytes of the client's."""

    def __init__(self, node, after=None):
        self.target = node.client()
        self.after, self.passed, self.cuts = after, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection((self.target.host, self.target.port))
            threading.Thread(target=self.pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()

    def pump(self, source, sink, counts):
        try:
            while data := source.recv(16384):
                if counts:
                    with self.lock:
                        self.passed += len(data)
                        if self.after is not None and self.passed > self.after:
                            self.passed = 0
                            self.cuts += 1
                            data = data[:len(data) // 2]
                            sink.sendall(data)
                            break
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def numbered(path, count, value="V"):
    path.write_text("lei,nace\n" + "".join(f"K{number:06},{value}\n" for number in range(count)))
    return path


def private_bytes_of(node):
    """How much was stored in private tables: a part that is applied twice shows."""
    done = run_tool("ledger", "show", node.ledger)
    return sum(int(size) for size in re.findall(r"(\d+) bytes encrypted", done.stdout))


def test_a_submission_whose_connection_breaks_again_and_again_is_never_doubled(make_node, tmp_path):
    node = make_node()
    caller = Caller(node, "member0", tmp_path / "state")
    path = numbered(tmp_path / "big.csv", 60_000)
    between = Interrupter(node, after=400_000)
    try:
        caller.options[1] = f"https://{between.address}"
        done = caller.run("submit", path)
        assert between.cuts > 0, "nothing was interrupted"
        for _ in range(20):
            if done.returncode == DONE:
                break
            assert done.returncode == UNREACHABLE, done
            done = caller.run("submit", path)
        assert done.returncode == DONE, done
    finally:
        between.close()
    caller.options[1] = f"https://{node.address}"
    assert len(caller.report()) == 60_000
    interrupted = private_bytes_of(node)

    straight = make_node()
    other = Caller(straight, "member0", tmp_path / "other")
    assert other.run("submit", path).returncode == DONE
    assert private_bytes_of(straight) == interrupted, "a part was applied twice, or split in another way"


def test_a_submission_goes_on_after_the_client_was_killed(make_node, tmp_path):
    node = make_node()
    caller = Caller(node, "member0", tmp_path / "state")
    path = numbered(tmp_path / "big.csv", 200_000)
    state = tmp_path / "state"

    def acknowledged():
        files = list(state.rglob("submission-*.json"))
        return files and json.loads(files[0].read_text())["acknowledged"]

    process = caller.start("submit", path)
    wait_for(lambda: acknowledged() or process.poll() is not None, "a part to be acknowledged", pause=0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait(PATIENCE) == -signal.SIGKILL, "it was done before it could be interrupted"
    process.communicate()
    assert acknowledged() >= 1
    member = node.member(0)
    assert member.ingest({"lei": "K000000", "nace": "since"}).status == 200
    done = caller.run("submit", path)
    assert done.returncode == DONE and "had been stored before" in done.stdout, done
    report = node.member(0).report()
    assert len(report) == 200_000
    assert report[0]["nace"] == "since", "the first part was applied again"
    assert not list(state.rglob("submission-*.json"))


def test_a_submission_goes_on_after_the_node_was_killed(make_node, tmp_path):
    node = make_node()
    caller = Caller(node, "member0", tmp_path / "state")
    path = numbered(tmp_path / "big.csv", 200_000)
    process = caller.start("submit", path, "--attempts", "2")
    wait_for(lambda: node.member(0).get("/app/report/K000000").status == 200, "a part to be stored")
    node.kill()
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == UNREACHABLE and "again" in errors, (process.returncode, errors)
    node.launch()
    assert node.member(0).ingest({"lei": "K000000", "nace": "since"}).status == 200
    done = caller.run("submit", path)
    assert done.returncode == DONE and "had been stored before" in done.stdout, done
    report = node.member(0).report()
    assert len(report) == 200_000 and report[0]["nace"] == "since"


def test_a_submission_lives_through_a_restart_of_the_node(make_node, tmp_path):
    node = make_node()
    caller = Caller(node, "member0", tmp_path / "state")
    process = caller.start("submit", numbered(tmp_path / "big.csv", 200_000), "--attempts", "1000")
    wait_for(lambda: node.member(0).get("/app/report/K000000").status == 200, "a part to be stored")
    node.kill()
    time.sleep(0.2)
    assert process.poll() is None, "it was done before it could be interrupted"
    node.launch()
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == DONE, (output, errors)
    assert len(node.member(0).report()) == 200_000


def test_report_formats_hold_the_same(caller):
    lei = key()
    caller.run("submit", "-", stdin=json.dumps({"lei": lei, "nace": 'a "quoted", value\nof two lines'}))
    one, = json.loads(f"[{caller.run('report', lei, '--format', 'json').stdout}]")
    one = one[0] if isinstance(one, list) else one
    assert one["lei"] == lei and one["nace"] == 'a "quoted", value\nof two lines'
    assert one in caller.report()
    rows = list(csv.DictReader(io.StringIO(caller.run("report", "--format", "csv").stdout, newline="")))
    assert {name: str(value) for name, value in one.items()} in rows
    assert len(rows) == len(caller.report())
    table = caller.run("report", "--format", "table")
    assert lei in table.stdout and "\x1b" not in table.stdout and table.stdout == caller.run("report").stdout


def test_a_table_shows_nothing_that_could_steer_a_terminal(make_node):
    node = make_node(changes={"concordat": {"application": {"text_rule": "exact"}}})
    caller, lei = Caller(node, "member0", node.folder / "state"), key()
    value = json.dumps({"lei": lei, "nace": "\x1b[31mred\x07"})
    refused = caller.run("submit", "-", stdin=value)
    assert refused.returncode == FAILED and "U+001B" in refused.stderr and "\x1b" not in refused.stderr, refused
    assert caller.run("submit", "-", "--accept", "invisible", stdin=value).returncode == DONE
    done = caller.run("report", lei)
    assert "red" in done.stdout and done.returncode == DONE and "\x1b" not in done.stdout and "\x07" not in done.stdout, done


def test_refusals_of_a_report_are_told_with_the_next_step(make_node):
    node = make_node()
    caller = Caller(node, "member0", node.folder / "state")
    empty = caller.run("report")
    assert empty.returncode == FAILED and "NoDataToReport" in empty.stderr and "submit" in empty.stderr, empty
    caller.run("submit", SAMPLES / "member0.csv")
    absent = caller.run("report", "nobody-has-this")
    assert absent.returncode == FAILED and "KeyNotFound" in absent.stderr, absent
    node.member(1).ingest({"lei": "theirs", "nace": "V"})
    assert caller.run("report", "theirs").stderr == absent.stderr


# --- transactions and receipts

def test_transactions_are_followed(caller):
    txid = txid_of(caller.run("submit", "-", stdin=json.dumps({"lei": key(), "nace": "V"})))
    assert caller.run("tx", "wait", txid).stdout == "Committed\n"
    view, seqno = txid.split(".")
    assert caller.run("tx", "status", f"{view}.{int(seqno) + 10_000_000}").stdout == "Unknown\n"
    assert caller.run("tx", "wait", f"{int(view) - 1}.{seqno}").returncode == FAILED
    assert caller.run("tx", "wait", f"{view}.{int(seqno) + 10_000_000}", "--timeout", "0").returncode == FAILED
    assert caller.run("tx", "status", "nonsense").returncode == USAGE


def test_receipts_are_fetched_and_verified_offline(caller, tmp_path, service):
    txid = txid_of(caller.run("submit", "-", stdin=json.dumps({"lei": key(), "nace": "V"})))
    receipt = tmp_path / "receipt.json"
    assert caller.run("receipt", "get", txid, "--out", receipt).returncode == DONE
    assert json.loads(caller.run("receipt", "get", txid).stdout) == json.loads(receipt.read_text())
    verify = ["receipt", "verify", receipt, "--service-cert", service.service_certificate]
    done = run_tool(*verify, "--txid", txid)
    assert done.returncode == DONE and txid in done.stdout, done
    assert run_tool("receipt", "verify", "-", "--service-cert", service.service_certificate,
                    stdin=receipt.read_text()).returncode == DONE
    assert run_tool(*verify, "--txid", "2.1").returncode == NOT_VERIFIED
    stranger = write_identity(tmp_path, "stranger")
    assert run_tool("receipt", "verify", receipt, "--service-cert", stranger.certificate_file).returncode == NOT_VERIFIED


def test_a_receipt_of_a_signature_proves_that_transaction_and_no_other(caller, tmp_path, service):
    view, seqno = service.commit()  # a commit point is always a signature
    receipt = tmp_path / "receipt.json"
    assert caller.run("receipt", "get", f"{view}.{seqno}", "--out", receipt).returncode == DONE
    verify = ["receipt", "verify", receipt, "--service-cert", service.service_certificate, "--txid"]
    assert run_tool(*verify, f"{view}.{seqno}").returncode == DONE
    assert run_tool(*verify, f"{view}.{seqno - 1}").returncode == NOT_VERIFIED
    assert run_tool(*verify, "nonsense").returncode == USAGE
    bare = {name: value for name, value in json.loads(receipt.read_text()).items() if name != "cose_signature"}
    receipt.write_text(json.dumps(bare))
    done = run_tool(*verify, f"{view}.{seqno}")
    assert done.returncode == NOT_VERIFIED and "cose_signature" in done.stderr, done


@pytest.mark.parametrize("change", [
    lambda found: found["leaf_components"].update(write_set_digest="00" * 32),
    lambda found: found["leaf_components"].update(claims_digest="11" * 32),
    lambda found: found["leaf_components"].update(commit_evidence="ce:2.1:" + "00" * 32),
    lambda found: found["proof"].append({"left": "00" * 32}),
    lambda found: found.update(signature="MEUCIQDx"),
    lambda found: found.update(node_id="00" * 32),
    lambda found: found.update(cert="nonsense"),
    lambda found: found.pop("cert"),
    lambda found: found.clear()])
def test_a_tampered_receipt_does_not_verify(caller, tmp_path, service, change):
    txid = txid_of(caller.run("submit", "-", stdin=json.dumps({"lei": key(), "nace": "V"})))
    found = json.loads(caller.run("receipt", "get", txid).stdout)
    change(found)
    (tmp_path / "receipt.json").write_text(json.dumps(found))
    done = run_tool("receipt", "verify", tmp_path / "receipt.json", "--service-cert", service.service_certificate)
    assert done.returncode == NOT_VERIFIED and done.stdout == "", done


def test_a_receipt_of_nothing_is_refused(caller, service):
    view, seqno = service.commit()
    done = caller.run("receipt", "get", f"{view}.{seqno + 10_000_000}", "--timeout", "0")
    assert done.returncode == FAILED and "tx status" in done.stderr, done


# --- connections

def test_a_service_that_is_not_there_is_told_apart(caller):
    caller.options[1] = f"https://127.0.0.1:{free_port()}"
    for words in (["report"], ["tx", "status", "2.1"], ["receipt", "get", "2.1"]):
        done = caller.run(*words)
        assert done.returncode == UNREACHABLE and "refused" in done.stderr and "check that the node runs" in done.stderr


def test_a_service_with_another_certificate_is_not_trusted(caller, tmp_path):
    stranger = write_identity(tmp_path, "stranger")
    done = caller.run("report", "--service-cert", stranger.certificate_file)
    assert done.returncode == UNREACHABLE and "certificate" in done.stderr, done


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "nonsense", "https://", "https://127.0.0.1:99999"])
def test_an_address_that_is_none_is_a_usage_error(caller, url):
    caller.options[1] = url
    done = caller.run("report")
    assert done.returncode == USAGE and "url" in done.stderr.lower(), done


def test_a_caller_that_the_service_does_not_know_is_told_what_to_do(caller, tmp_path):
    stranger = write_identity(tmp_path, "stranger")
    options = ["--url", caller.options[1], "--workspace", caller.options[3]]
    done = run_tool("report", *options, "--cert", stranger.certificate_file, "--key", stranger.key_file)
    assert done.returncode == FAILED and "401" in done.stderr and "--as" in done.stderr, done
    done = run_tool("report", *options)
    assert done.returncode == USAGE and "--as" in done.stderr, done
    done = run_tool("report", *options, "--as", "nobody")
    assert done.returncode == FAILED and "nobody_cert.pem" in done.stderr, done
    done = run_tool("report", *options, "--cert", stranger.certificate_file)
    assert done.returncode == USAGE, done


def test_the_environment_says_what_the_command_line_does_not(caller, service):
    environment = {"CONCORDAT_URL": f"https://{service.address}", "CONCORDAT_WORKSPACE": str(service.folder),
                   "CONCORDAT_AS": "member2"}
    service.member(2).ingest({"lei": "environment", "nace": "V"})
    done = run_tool("report", "environment", "--format", "json", environment=environment)
    assert done.returncode == DONE and "environment" in done.stdout, done
    wrong = {**environment, "CONCORDAT_URL": f"https://127.0.0.1:{free_port()}"}
    assert run_tool("report", environment=wrong).returncode == UNREACHABLE
    assert run_tool("report", "--url", environment["CONCORDAT_URL"], environment=wrong).returncode == DONE


# --- help

COMMANDS = [["keygen"], ["submit"], ["report"], ["tx", "status"], ["tx", "wait"], ["receipt", "get"],
            ["receipt", "verify"], ["ledger", "verify"], ["ledger", "show"], ["sandbox"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command_has_an_example_and_the_exit_codes(command):
    done = run_tool(*command, "--help")
    assert done.returncode == DONE and f"concordat {' '.join(command)}" in done.stdout, done
    assert "Example" in done.stdout and "Exit codes" in done.stdout
    assert run_tool(*command, "--no-such-option").returncode == USAGE


def test_a_command_line_without_a_command_is_a_usage_error():
    assert run_tool().returncode == run_tool("dance").returncode == USAGE
    assert run_tool("--help").returncode == run_tool("--version").returncode == DONE


def test_the_documentation_tells_the_same_exit_codes():
    text = (ROOT / "docs/cli.md").read_text()
    for code in range(5):
        assert f"`{code}`" in text or f"| {code} |" in text, code
    for command in COMMANDS:
        assert f"concordat {command[0]}" in text and command[-1] in text, command
