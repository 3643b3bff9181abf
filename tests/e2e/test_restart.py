"""What a node does when it comes back, and what it refuses to start from."""
import concurrent.futures
import contextlib
import http.client
import random
import shutil
import signal
import subprocess
import time

import pytest

import ledger_file
from node import DAEMON, PATIENCE, merge, wait_for

VALUES = {f"K{number:03}": f"V{number}" for number in range(40)}


def fill(node):
    with node.member(0).session() as session:
        for lei, nace in VALUES.items():
            assert session.post("/app/ingest", b'{"lei":"%s","nace":"%s"}' % (lei.encode(), nace.encode())).status == 200
    assert node.member(1).ingest([{"lei": lei, "nace": nace} for lei, nace in VALUES.items()]).status == 200


def insist_filled(node):
    for index in (0, 1):
        assert {found["lei"]: found["nace"] for found in node.member(index).report()} == VALUES


@pytest.fixture
def filled(make_node):
    """A stopped node with data, over several ledger files; its ledger is about to be damaged."""
    node = make_node(damaged=True, changes={"ledger": {"chunk_size": "30KB"}})
    fill(node)
    node.stop()
    assert len(node.ledger_files()) > 2
    return node


# --- coming back

@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_a_node_comes_back_with_all_data_in_a_higher_view(make_node, end):
    node = make_node(changes={"ledger": {"chunk_size": "20KB"}})
    fill(node)
    certificate, identity = node.service_certificate.read_text(), node.client().get("/node/state").json()["node_id"]
    for _ in range(3):
        view, seqno = node.commit()
        node.process.send_signal(getattr(signal, end))
        code = node.process.wait(PATIENCE)
        assert code == (-signal.SIGKILL if end == "SIGKILL" else 0)
        node.launch()
        insist_filled(node)
        assert node.view() > view and node.commit() > (view, seqno)
        assert node.service_certificate.read_text() == certificate
        assert node.client().get("/node/state").json()["node_id"] == identity
        assert node.member(2).ingest({"lei": "after", "nace": "restart"}).status == 200
    assert node.client().get("/node/network").json()["recovery_count"] == 0


def test_what_was_answered_before_an_orderly_stop_is_there_and_nothing_that_was_not_submitted(make_node):
    node = make_node()
    submitted, answered = [set(), set(), set()], [set(), set(), set()]

    def write(member):
        """Over one connection, for as long as the node lets it."""
        with contextlib.suppress(OSError, http.client.HTTPException), node.member(member).session() as session:
            session.connect()
            while True:
                key = f"K{len(submitted[member])}"
                submitted[member].add(key)
                if session.post("/app/ingest", b'{"lei":"%s","nace":"V"}' % key.encode()).status == 200:
                    answered[member].add(key)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, member) for member in range(3)]
        wait_for(lambda: all(len(keys) > 20 for keys in answered), "writes")
        node.stop()
        for writer in writers:
            writer.result()
    node.launch()
    for member in range(3):
        found = {record["lei"] for record in node.member(member).report()}
        assert answered[member] <= found <= submitted[member]


def test_the_pid_file_is_there_while_the_node_runs(make_node):
    node = make_node()
    assert (node.home / "node.pid").read_text() == f"{node.process.pid}\n"
    node.stop()
    assert not (node.home / "node.pid").exists()


def test_a_node_that_moved_to_another_address_says_so(make_node):
    node = make_node(changes={"network": {"rpc_interfaces": {"main": {"bind_address": "127.0.0.1:0"}}}})
    first = node.address
    node.stop()
    merge(node.configuration, {"network": {"rpc_interfaces": {"main": {"bind_address": "127.0.0.2:0"}}}})
    node.write_configuration()
    node.launch()
    assert node.address != first
    record = node.client().get("/node/network/nodes/self").json()
    assert record["rpc_interfaces"]["main"]["published_address"] == node.address
    assert node.client().get("/app/commit").status == 200, "its certificate names the new address"


def test_data_of_members_is_read_once_and_kept(make_node):
    """The configuration's members are those of the creation; files that go later are not missed."""
    node = make_node()
    fill(node)
    node.stop()
    for member in node.members[2:]:
        member.certificate_file.unlink()
    node.launch()
    insist_filled(node)


# --- configuration

def check(node, changes):
    merge(node.configuration, changes)
    node.write_configuration()
    return subprocess.run([DAEMON, "--config", "config.json", "--check"], cwd=node.home, capture_output=True, text=True)


def test_a_good_configuration_passes_the_check_and_nothing_is_begun(make_node):
    node = make_node(start=False)
    before = sorted(path.name for path in node.home.iterdir())
    done = check(node, {})
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in node.home.iterdir()) == before


MAIN = {"bind_address": "127.0.0.1:0"}


@pytest.mark.parametrize("changes, path", [
    ({"colour": "red"}, "colour"),
    ({"network": {"colour": "red"}}, "network.colour"),
    ({"network": {"rpc_interfaces": {"main": {"bind_adress": "127.0.0.1:1"}}}}, "network.rpc_interfaces.main.bind_adress"),
    ({"network": {"rpc_interfaces": {"main": {"bind_address": None}}}}, "network.rpc_interfaces.main.bind_address"),
    ({"network": {"rpc_interfaces": {"main": {"bind_address": 8000}}}}, "network.rpc_interfaces.main.bind_address"),
    ({"network": {"rpc_interfaces": {"main": {"max_open_sessions_soft": -1}}}},
     "network.rpc_interfaces.main.max_open_sessions_soft"),
    ({"network": {"rpc_interfaces": {"main": {"http_configuration": {"max_body_size": "1 parsec"}}}}},
     "network.rpc_interfaces.main.http_configuration.max_body_size"),
    ({"network": {"rpc_interfaces": {"main": {"accepted_endpoints": ["("]}}}},
     "network.rpc_interfaces.main.accepted_endpoints"),
    ({"network": None}, "network"),
    ({"command": {"type": "Begin"}}, "command.type"),
    ({"command": {"start": {"members": None}}}, "command.start.members"),
    ({"command": {"start": {"members": [{"certificate": "x"}]}}}, "command.start.members"),
    ({"command": {"start": {"service_configuration": {"recovery_threshold": "two"}}}},
     "command.start.service_configuration.recovery_threshold"),
    ({"ledger": {"chunk_size": "5 MB or so"}}, "ledger.chunk_size"),
    ({"ledger": {"chunk_size": "0B"}}, "ledger.chunk_size"),
    ({"node_certificate": {"curve_id": "P-256"}}, "node_certificate.curve_id"),
    ({"idle_connection_timeout": "soon"}, "idle_connection_timeout"),
    ({"worker_threads": 1.5}, "worker_threads"),
    ({"concordat": {"open_service": "yes"}}, "concordat.open_service"),
    ({"concordat": {"users": [{"certificate_file": 1}]}}, "concordat.users"),
    ({"concordat": {"application": {"vote_treshold": 3}}}, "vote_treshold"),
    ({"concordat": {"application": {"vote_threshold": 0}}}, "vote_threshold"),
    ({"concordat": {"application": []}}, "concordat.application")])
def test_a_configuration_that_is_wrong_is_refused_by_the_path_of_its_key(make_node, changes, path):
    node = make_node(start=False)
    done = check(node, changes)
    assert done.returncode == 1 and path in done.stderr and "config.json" in done.stderr, done
    assert path in node.refuses_to_start()


def no_certificate(node):
    node.members[1].certificate_file.unlink()
    return node.members[1].certificate_file.name


def open_sealing_key(node):
    key = node.home / "sealing.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o644)
    return "concordat.sealing_key_file"


def half_a_sealed_state(node):
    (node.home / "sealing.key").write_bytes(b"k" * 32)
    (node.home / "sealing.key").chmod(0o600)
    (node.home / "sealed").mkdir()
    (node.home / "sealed/consensus.sealed").write_bytes(b"x")
    return "concordat.sealed_directory"


def a_ledger_without_identity(node):
    node.ledger.mkdir()
    (node.ledger / "ledger_1").write_bytes(b"")
    return "ledger.directory"


def no_place_for_an_output(node):
    node.configuration["output_files"]["pid_file"] = "nowhere/node.pid"
    return "output_files.pid_file"


def one_place_for_two(node):
    node.configuration["output_files"]["pid_file"] = "./nodecert.pem"
    return "output_files.node_certificate_file"


def an_address_without_a_port(node):
    node.configuration["network"]["rpc_interfaces"]["main"]["bind_address"] = "127.0.0.1"
    return "network.rpc_interfaces.main.bind_address"


def one_address_twice(node):
    interfaces = node.configuration["network"]["rpc_interfaces"]
    interfaces["second"] = dict(interfaces["main"])
    return "network.rpc_interfaces.second.bind_address"


def a_name_that_is_none(node):
    node.configuration["node_certificate"]["subject_alt_names"] = ["node0"]
    return "node_certificate"


@pytest.mark.parametrize("spoil", [
    no_certificate, open_sealing_key, half_a_sealed_state, a_ledger_without_identity, no_place_for_an_output,
    one_place_for_two, an_address_without_a_port, one_address_twice, a_name_that_is_none])
def test_what_stops_a_start_is_found_by_the_check(make_node, spoil):
    node = make_node(start=False, damaged=True)
    named = spoil(node)
    done = check(node, {})
    assert done.returncode == 1 and named in done.stderr, done
    assert node.refuses_to_start().strip().endswith(done.stderr.strip()), "word for word"


def test_null_means_absent_and_sections_of_other_commands_are_left_aside(make_node):
    node = make_node(start=False)
    node.configuration["command"].update(
        {"join": {"target_rpc_address": "127.0.0.1:1", "retry_timeout": "1s"},
         "recover": {"previous_service_identity_file": "x.pem"}})
    node.configuration["command"]["start"]["service_configuration"] = {"recovery_threshold": None}
    for member in node.configuration["command"]["start"]["members"]:
        member.update({"recovery_role": None, "data_json_file": None, "encryption_public_key_file": None})
    node.configuration.update({"node_client_interface": None, "node_data_json_file": None, "memory": None})
    node.configuration["network"]["rpc_interfaces"]["main"]["accepted_endpoints"] = None
    node.write_configuration()
    node.launch()


def test_a_wildcard_address_is_warned_of_with_what_to_do(make_node):
    node = make_node(start=False)
    node.configuration["network"]["rpc_interfaces"]["main"]["bind_address"] = "0.0.0.0:0"
    node.write_configuration()
    done = check(node, {})
    assert done.returncode == 0 and "node_certificate.subject_alt_names" in done.stderr, done
    node.configuration["node_certificate"]["subject_alt_names"] = ["dNSName:node0.example.com"]
    node.configuration["network"]["rpc_interfaces"]["main"]["published_address"] = "node0.example.com:443"
    node.write_configuration()
    assert check(node, {}).stderr == ""


@pytest.mark.parametrize("text, place", [
    ('{\n "network": {},\n}', "line 2, column 15"), ('{"network": {}, "network": {}}', "line 1, column 17")])
def test_mistakes_in_the_text_have_a_line_and_a_column(make_node, text, place):
    node = make_node(start=False)
    (node.home / "config.json").write_text(text)
    assert place in node.refuses_to_start()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"network": ' + "[" * 100])
def test_a_configuration_that_is_no_json_object_is_refused(make_node, text):
    node = make_node(start=False)
    (node.home / "config.json").write_text(text)
    assert "config.json" in node.refuses_to_start()


def test_a_configuration_that_is_missing_is_named(make_node):
    node = make_node(start=False)
    (node.home / "config.json").unlink()
    assert "config.json" in node.refuses_to_start()


@pytest.mark.parametrize("what", ["missing", "nonsense"])
def test_a_members_certificate_that_cannot_be_used_is_named(make_node, what):
    node = make_node(start=False)
    certificate = node.members[1].certificate_file
    certificate.write_text("nonsense") if what == "nonsense" else certificate.unlink()
    assert certificate.name in node.refuses_to_start()


def test_an_address_that_is_taken_is_named(make_node, service):
    node = make_node(start=False, changes={"network": {"rpc_interfaces": {"main": {"bind_address": service.address}}}})
    assert service.address in node.refuses_to_start()


def test_a_second_node_on_the_same_directories_is_refused_and_the_first_goes_on(make_node):
    node = make_node()
    fill(node)
    merge(node.configuration, {"network": {"rpc_interfaces": {"main": {"bind_address": "127.0.0.1:0"}}}})
    node.write_configuration()
    second = subprocess.run([DAEMON, "--config", "config.json"], cwd=node.home, capture_output=True, text=True,
                            timeout=PATIENCE)
    assert second.returncode == 1 and "another node is running" in second.stderr, second
    insist_filled(node)
    assert node.member(0).ingest({"lei": "K000", "nace": "V0"}).status == 200
    assert (node.home / "node.pid").read_text() == f"{node.process.pid}\n"


# --- sealed files

@pytest.mark.parametrize("name", ["identity.sealed", "consensus.sealed"])
@pytest.mark.parametrize("damage", ["first byte", "middle", "last byte", "shorter", "empty", "nonsense"])
def test_a_sealed_file_that_was_tampered_with_is_refused_by_name(filled, name, damage):
    path = filled.home / "sealed" / name
    data = bytearray(path.read_bytes())
    if damage in ("first byte", "middle", "last byte"):
        data[{"first byte": 0, "middle": len(data) // 2, "last byte": -1}[damage]] ^= 1
    else:
        data = {"shorter": data[:-1], "empty": b"", "nonsense": b"nonsense" * 100}[damage]
    path.write_bytes(bytes(data))
    before = {file.name: file.read_bytes() for file in filled.ledger.iterdir()}
    assert name in filled.refuses_to_start()
    assert {file.name: file.read_bytes() for file in filled.ledger.iterdir()} == before


def test_sealed_files_do_not_stand_in_for_each_other(filled):
    sealed = filled.home / "sealed"
    shutil.copy(sealed / "consensus.sealed", sealed / "identity.sealed")
    assert "identity.sealed" in filled.refuses_to_start()


def test_another_sealing_key_opens_nothing(filled):
    (filled.home / "sealing.key").write_bytes(b"k" * 32)
    assert "sealed" in filled.refuses_to_start()


def test_a_lost_sealing_key_is_not_replaced_silently(filled):
    """A new key would be made, and then opens nothing."""
    (filled.home / "sealing.key").unlink()
    assert "sealed" in filled.refuses_to_start()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_a_sealing_key_that_others_may_read_is_refused(filled, mode):
    (filled.home / "sealing.key").chmod(mode)
    said = filled.refuses_to_start()
    assert "sealing.key" in said and "chmod 600" in said
    (filled.home / "sealing.key").chmod(0o600)
    filled.launch()
    insist_filled(filled)


def test_secret_files_are_readable_by_their_owner_only(make_node):
    node = make_node()
    sealed, ledger = list((node.home / "sealed").iterdir()), list(node.ledger.iterdir())
    assert len(sealed) >= 2 and ledger
    for path in [node.home / "sealing.key", *sealed, *ledger]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_an_older_copy_of_the_consensus_state_is_refused(make_node):
    node = make_node(damaged=True)
    fill(node)
    node.stop()
    sealed = node.home / "sealed" / "consensus.sealed"
    older = sealed.read_bytes()
    node.launch()
    assert node.member(0).ingest({"lei": "K000", "nace": "V0"}).status == 200
    node.stop()
    sealed.write_bytes(older)
    assert "older copy" in node.refuses_to_start()


def test_a_lost_consensus_state_is_refused(filled):
    (filled.home / "sealed" / "consensus.sealed").unlink()
    assert "older copy" in filled.refuses_to_start()


# --- ledger files

def first_acknowledged_record(node):
    """The file and entry of a write to a private table, long before the end of the ledger."""
    for path in node.ledger_files():
        for entry in ledger_file.entries(path):
            if entry.private_size > 0:
                return path, entry
    raise AssertionError("no entry with a private part")


PLACES = {"version": lambda entry: entry.offset, "flags": lambda entry: entry.offset + 1,
          "size": lambda entry: entry.offset + 2, "high size": lambda entry: entry.offset + 6,
          "tag": lambda entry: entry.offset + 8, "seqno": lambda entry: entry.offset + 24,
          "view": lambda entry: entry.offset + 32, "public length": lambda entry: entry.offset + 36,
          "public part": lambda entry: entry.offset + 44, "private part": lambda entry: entry.end - 1}


@pytest.mark.parametrize("where", ["in a committed file", "in the open file"])
@pytest.mark.parametrize("place", PLACES)
def test_a_bit_flipped_in_an_acknowledged_entry_is_refused(make_node, place, where):
    changes = {"ledger": {"chunk_size": "30KB"}} if where == "in a committed file" else {}
    node = make_node(damaged=True, changes=changes)
    fill(node)
    node.stop()
    path, entry = first_acknowledged_record(node)
    assert path.name.endswith(".committed") == (where == "in a committed file")
    ledger_file.flip(path, PLACES[place](entry))
    before = {file.name: file.read_bytes() for file in node.ledger.iterdir()}
    said = node.refuses_to_start()
    # The entry itself, or the signature over it; or the file that cannot be read on.
    places = path.name, f"entry {entry.seqno} ", f"entry {entry.seqno + 1} ", f"another entry where {entry.seqno} belongs"
    assert any(place in said for place in places), said
    assert {file.name: file.read_bytes() for file in node.ledger.iterdir()} == before, "evidence is left as it is"
    assert node.verify_ledger().returncode == 4
    ledger_file.flip(path, PLACES[place](entry))
    node.launch()
    insist_filled(node)


@pytest.mark.parametrize("which", [0, 1, -2])
def test_a_ledger_file_that_is_missing_is_refused(filled, which):
    missing = filled.ledger_files()[which]
    first = ledger_file.entries(missing)[0].seqno
    missing.unlink()
    assert f"transaction {first} is expected" in filled.refuses_to_start()


def test_a_lost_ledger_is_refused_and_not_begun_anew(filled):
    for path in filled.ledger_files():
        path.unlink()
    said = filled.refuses_to_start()
    assert "ledger" in said and "empty" in said
    filled.launch(options=("--accept-loss",), wait=False)
    assert filled.process.wait(PATIENCE) == 1, "no service is left to go on with"
    filled.ledger.rmdir()
    said = filled.refuses_to_start()
    assert "ledger.directory" in said and "restore its ledger" in said


def test_a_ledger_without_its_identity_is_refused(filled):
    shutil.rmtree(filled.home / "sealed")
    said = filled.refuses_to_start()
    assert "ledger" in said and "identity" in said
    assert filled.ledger_files(), "nothing of it is removed"


@pytest.mark.parametrize("tail", [b"\0", b"\1", b"\1\0\x40\0\0\0\0\0half of an entry", b"\0" * 5000, b"garbage" * 1000])
def test_a_torn_tail_is_cut_and_said(make_node, tail):
    node = make_node()
    fill(node)
    node.kill()
    last = node.ledger_files()[-1]
    with last.open("ab") as file:
        file.write(tail)
    before = len(node.log())
    node.launch()
    said = node.log()[before:]
    assert "torn tail" in said and str(len(tail)) in said and last.name in said
    insist_filled(node)
    assert node.member(0).ingest({"lei": "K000", "nace": "V0"}).status == 200
    node.restart()
    insist_filled(node)


def test_whole_entries_that_no_signature_covers_are_cut_and_said(make_node):
    """A crash between writing a batch and answering it may leave its first entries: nobody was told of them."""
    node = make_node()
    fill(node)
    view, seqno = node.commit()
    sealed = node.home / "sealed" / "consensus.sealed"
    before = sealed.read_bytes()
    node.member(2).ingest({"lei": "unanswered", "nace": "V"})
    node.kill()
    sealed.write_bytes(before)  # what was committed is sealed now and then only; here, not since
    last = node.ledger_files()[-1]
    batch = [entry for entry in ledger_file.entries(last) if entry.seqno > seqno]
    assert len(batch) == 2
    with last.open("r+b") as file:
        file.truncate(batch[0].end)
    before = len(node.log())
    node.launch()
    assert f"from transaction {seqno + 1} on: no signature covers it" in node.log()[before:]
    assert "acknowledged" not in node.log()[before:], "that is not known"
    insist_filled(node)
    assert node.member(2).get("/app/report").status == 400
    assert node.view() > view


def test_a_first_start_that_was_killed_at_any_moment_is_begun_again(make_node, seed):
    """Until the service is created nothing has been promised to anybody; afterwards it is the same service."""
    moments = random.Random(seed)
    began = time.monotonic()
    make_node().stop()
    whole = time.monotonic() - began
    for _ in range(8):
        node = make_node(start=False)
        service = None
        for _ in range(2):
            node.launch(wait=False)
            time.sleep(moments.uniform(0, whole))
            node.kill()
            if node.service_certificate.exists():  # written once the service is created
                assert service in (None, node.service_certificate.read_bytes())
                service = node.service_certificate.read_bytes()
        node.launch()
        assert service in (None, node.service_certificate.read_bytes())
        assert node.member(0).ingest({"lei": "K", "nace": "V"}).status == 200
        node.restart()
        assert node.member(0).report()[0]["nace"] == "V"
        node.stop()
