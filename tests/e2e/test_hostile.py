"""Clients that mean no good, or are broken: whatever they do, others are served meanwhile."""
import concurrent.futures
import contextlib
import itertools
import os
import random
import resource
import socket
import ssl
import threading
import time
import uuid
from pathlib import Path

import pytest

from client import read_answers
from node import Node, wait_for

GET = b"GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n"
OPEN_FILES_KEPT_BACK = 500
MOST_CONNECTIONS = 2_000


def insist_served(node):
    """A normal client writes, reads its own write back, and reads what anybody may."""
    lei, value = uuid.uuid4().hex, uuid.uuid4().hex
    member = node.member(0)
    assert member.ingest({"lei": lei, "nace": value}).status == 200
    assert member.get(f"/app/report/{lei}").json()["content"]["nace"] == value
    assert node.client().get("/app/commit").status == 200


def tcp(node):
    client = node.client()
    return socket.create_connection((client.host, client.port), timeout=30)


@contextlib.contextmanager
def all_closed(streams):
    try:
        yield streams
    finally:
        for stream in streams:
            with contextlib.suppress(OSError):
                stream.close()


def client_hello(node):
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    engine = node.client().context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        engine.do_handshake()
    return outgoing.read()


@pytest.fixture
def raised_limit():
    """As many open files as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """A node that waits for clients a second or so, except between requests."""
    node = Node(tmp_path_factory.mktemp("impatient") / "service", changes={"concordat": {"http": {
        "handshake_timeout": "1s", "request_timeout": "1s", "min_answer_rate": "64KB", "answer_rate_period": "500ms"}}})
    node.launch()
    yield node
    node.stop()


def test_clients_that_never_send_hold_nobody_up(service):
    with all_closed([tcp(service) for _ in range(200)]):
        insist_served(service)


def test_clients_that_stop_in_the_middle_of_the_handshake_hold_nobody_up(service):
    hello = client_hello(service)
    with all_closed([tcp(service) for _ in range(100)]) as streams:
        for index, stream in enumerate(streams):
            stream.sendall(hello[:1 + index * (len(hello) - 1) // len(streams)])
        insist_served(service)


def test_clients_that_stop_in_the_middle_of_a_request_hold_nobody_up(service):
    with all_closed([service.client().connect() for _ in range(50)]) as streams:
        for index, stream in enumerate(streams):
            stream.sendall(GET[:1 + index % (len(GET) - 2)] if index % 2 else
                           b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + b"x" * index * 1000)
        insist_served(service)


def test_half_a_tls_record_holds_nobody_up(service):
    with all_closed([]) as streams:
        for _ in range(50):
            plain = tcp(service)
            streams.append(plain)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            engine = service.client().context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
            while True:
                try:
                    engine.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(65536))
            plain.sendall(outgoing.read())
            engine.write(GET)
            record = outgoing.read()
            plain.sendall(record[:len(record) // 2])
        insist_served(service)


CHUNKED = b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
DRIPS = {
    "request line": (b"GET /", b"a"), "headers": (GET[:-2], b"x: y\r\n"), "empty lines": (b"\r\n", b"\r\n"),
    "body": (b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n", b"x"),
    "chunks": (CHUNKED, b"1\r\nx\r\n"), "chunk extension": (CHUNKED + b"1;", b"e"),
    "trailers": (CHUNKED + b"0\r\n", b"t: v\r\n")}


def dripped_to_the_end(stream, data, pause=0.05, seconds=60):
    """Sends a byte now and then, whatever comes back, until the server has ended the connection; what came back."""
    came, end = b"", time.monotonic() + seconds
    stream.settimeout(pause)
    for byte in itertools.cycle(data):
        assert time.monotonic() < end, f"still open; it said {came!r}"
        try:
            stream.sendall(bytes([byte]))
            piece = stream.recv(4096)
            if not piece:
                return came
            came += piece
        except TimeoutError:
            continue
        except OSError:
            return came


@pytest.mark.parametrize("kind", [*DRIPS, "TLS record", "handshake"])
def test_clients_that_drip_bytes_hold_nobody_up_and_are_ended(impatient, kind):
    if kind == "handshake":
        hello = client_hello(impatient)
        streams = [tcp(impatient) for _ in range(10)]
        begin, more = hello[:5], b"x"
    elif kind == "TLS record":
        streams = [impatient.client().connect() for _ in range(10)]
        streams = [socket.socket(fileno=stream.detach()) for stream in streams]  # what is sent from here on is not TLS
        begin, more = b"\x17\x03\x03\x40\x00", b"x"
    else:
        streams = [impatient.client().connect() for _ in range(10)]
        begin, more = DRIPS[kind]
    with all_closed(streams), concurrent.futures.ThreadPoolExecutor(len(streams)) as pool:
        for stream in streams:
            stream.sendall(begin)
        dripping = [pool.submit(dripped_to_the_end, stream, more) for stream in streams]
        insist_served(impatient)
        for one in dripping:
            came = one.result()
            if kind not in ("TLS record", "handshake"):
                assert came.startswith(b"HTTP/1.1 408 "), came
    insist_served(impatient)


def test_a_silent_handshake_is_ended_long_before_an_idle_connection(impatient):
    with all_closed([impatient.client().connect(), tcp(impatient)]) as (idle, silent):
        silent.settimeout(60)
        assert silent.recv(1) == b""
        idle.sendall(GET)
        assert read_answers(idle)[0][0].status == 200, "it has waited longer, and is still there"


def test_a_reader_of_a_byte_now_and_then_is_cut_off(impatient):
    """They would keep the state that their report is made from for ever."""
    for begin in range(0, 60_000, 10_000):
        records = [{"lei": f"S{number:06}", "nace": "V" * 60} for number in range(begin, begin + 10_000)]
        assert impatient.member(1).ingest(records).status == 200
    client = impatient.member(1)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect((client.host, client.port))
    with all_closed([client.context.wrap_socket(plain, server_hostname="127.0.0.1")]) as (stream,):
        stream.sendall(b"GET /app/report HTTP/1.1\r\nhost: x\r\n\r\n")
        raw = socket.socket(fileno=os.dup(stream.fileno()))
        end = time.monotonic() + 60
        with contextlib.closing(raw):
            # What the kernel holds for them they may read on for a while.
            while active(impatient) > 1:
                assert time.monotonic() < end, "they still read"
                with contextlib.suppress(ConnectionError):
                    assert raw.recv(1), "it looks like an end"
                time.sleep(0.05)
                insist_served(impatient)
    assert len(client.report()) >= 60_000, "who reads gets it"


def test_nobody_can_hold_the_state_in_any_number_of_versions(make_node):
    """Each report that is not read keeps the state that it is made from, which others change meanwhile."""
    node = make_node(changes={"concordat": {"http": {"max_streams": 4}}})
    for index in (0, 1):
        for begin in range(0, 60_000, 10_000):
            records = [{"lei": f"S{number:06}", "nace": "V" * 60} for number in range(begin, begin + 10_000)]
            assert node.member(index).ingest(records).status == 200

    def streams():
        return node.client().get("/node/metrics").json()["sessions"]["interfaces"]["main"]["streams"]

    def begin_report(index):
        client = node.member(index)
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect((client.host, client.port))
        stream = client.context.wrap_socket(plain, server_hostname="127.0.0.1")
        stream.sendall(b"GET /app/report HTTP/1.1\r\nhost: x\r\n\r\n")
        return stream, stream.recv(12)

    with all_closed([]) as held:
        for _ in range(2):
            stream, begin = begin_report(0)
            held.append(stream)
            assert begin == b"HTTP/1.1 200"
        refused = node.member(0).get("/app/report")
        assert refused.status == 503
        assert refused.json()["error"]["code"] == "TooManyStreams"
        assert refused.headers["retry-after"] == "3"
        assert streams() == {"active": 2, "broken_off": 0, "refused": 1}
        insist_served(node)
        assert len(node.member(1).report()) >= 60_000, "others are served"
    wait_for(lambda: streams()["active"] == 0, "what is not read any more to be let go of")
    assert len(node.member(0).report()) >= 60_000


def active(node):
    return node.client().get("/node/metrics").json()["sessions"]["active"]


def memory_of(node):
    """Bytes in memory now."""
    pages = int((Path("/proc") / str(node.process.pid) / "statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_half_sent_requests_take_little_and_give_it_back(make_node, is_sanitized):
    node = make_node(changes={"concordat": {"http": {"max_unfinished_requests": "16MB"}}})
    insist_served(node)
    before = memory_of(node)
    with all_closed([node.client().connect() for _ in range(60)]) as streams:
        for stream in streams:
            with contextlib.suppress(OSError):
                stream.sendall(b"GET /" + b"a" * ((2 << 20) - 100))
        insist_served(node)
        if not is_sanitized:  # what was freed at full speed goes back to the system a moment later
            wait_for(lambda: memory_of(node) < before + (48 << 20), "what is beyond the room to be given up", seconds=5)
    wait_for(lambda: active(node) <= 1, "they to be gone")
    if not is_sanitized:
        # The allocator keeps some of what it was given back; never more than the room.
        wait_for(lambda: memory_of(node) < before + (16 << 20), "the memory to be given back", seconds=20)


def test_members_get_in_while_strangers_fill_whatever_they_can(make_node, raised_limit):
    node = make_node(changes={"network": {"rpc_interfaces": {
        "main": {"max_open_sessions_soft": 50, "max_open_sessions_hard": 60}}}})
    with all_closed([]) as streams:
        streams.extend(tcp(node) for _ in range(1010))
        insist_served_as_member(node)
        streams.extend(node.client().connect() for _ in range(50))
        for stream in streams[-50:]:
            stream.sendall(GET)
        for stream in streams[-50:]:
            assert stream.recv(65536).startswith(b"HTTP/1.1 200")
        assert node.client().get("/app/commit").status == 503
        for _ in range(20):
            insist_served_as_member(node)
        with node.user(0).session() as session:
            assert session.get("/app/commit").status == 200


def insist_served_as_member(node):
    lei, value = uuid.uuid4().hex, uuid.uuid4().hex
    member = node.member(0)
    assert member.ingest({"lei": lei, "nace": value}).status == 200
    assert member.get(f"/app/report/{lei}").json()["content"]["nace"] == value


def test_no_member_can_keep_the_others_out(make_node):
    node = make_node(changes={
        "network": {"rpc_interfaces": {"main": {"max_open_sessions_soft": 5, "max_open_sessions_hard": 10}}},
        "concordat": {"http": {"max_known_sessions": 20}}})
    with all_closed([]) as streams:
        served = 0
        for _ in range(40):
            with contextlib.suppress(OSError):
                streams.append(node.member(0).connect())
                streams[-1].sendall(GET)
                served += streams[-1].recv(65536).startswith(b"HTTP/1.1 200")
        assert 10 <= served < 20 + 5, "half of the share of members, and what strangers leave"
        for _ in range(5):
            lei = uuid.uuid4().hex
            assert node.member(1).ingest({"lei": lei, "nace": "V"}).status == 200


def test_clients_that_do_not_read_hold_nobody_up(make_node):
    node = make_node()
    for begin in range(0, 20_000, 5_000):
        records = [{"lei": f"K{number:06}", "nace": "V" * 50} for number in range(begin, begin + 5_000)]
        assert node.member(0).ingest(records).status == 200
    with all_closed([node.member(0).connect() for _ in range(30)]) as streams:
        for stream in streams:
            stream.sendall(b"GET /app/report HTTP/1.1\r\nhost: x\r\n\r\n" * 20)
        for _ in range(5):
            insist_served(node)
        assert len(node.member(0).report()) > 20_000
    insist_served(node)


def test_garbage_of_all_kinds_is_survived(service, seed):
    random_bytes = random.Random(seed)
    hello = client_hello(service)
    for round_number in range(60):
        data = random_bytes.randbytes(random_bytes.randrange(1, 20_000))
        kind = round_number % 3
        with all_closed([tcp(service)]) as (stream,):
            with contextlib.suppress(OSError):
                if kind == 0:
                    stream.sendall(data)
                elif kind == 1:
                    broken = bytearray(hello)
                    broken[random_bytes.randrange(len(broken))] ^= 1 << random_bytes.randrange(8)
                    stream.sendall(bytes(broken) + data)
                else:
                    stream.close()
                    stream = service.client().connect()
                    stream.sendall(random_bytes.choice([b"", GET[:20], b"POST /app/ingest HTTP/1.1\r\nhost: x\r\n"]) + data)
                    stream.close()
    insist_served(service)


def test_too_much_of_everything_is_refused_and_survived(service):
    """All but the last, empty lines before a request: those may go on for a while, at no cost to anybody else."""
    endless = [(b"GET /" + b"a" * (4 << 20), 431), (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-header: v\r\n" * 300_000, 431),
               (b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"v" * (4 << 20), 431),
               (b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000000000000000\r\n\r\n" + b"x" * (4 << 20), 413),
               (CHUNKED + b"1\r\nx\r\n" * 1_200_000, 413), (CHUNKED + b"1;" + b"e" * (4 << 20), 400)]
    for data, status in endless:
        answers, closed = service.client(timeout=30).raw(data)
        assert closed and [answer.status for answer in answers] == [status], (data[:40], answers)
        insist_served(service)
    with service.client().connect() as stream:
        stream.sendall(b"\r\n" * (2 << 20))
        insist_served(service)


def test_a_flood_of_pipelined_requests_does_not_starve_others(service):
    stop = threading.Event()

    def flood():
        """Sends and never reads; returns how much the server let in before it was told to stop."""
        taken = 0
        with service.client().connect() as stream:
            stream.settimeout(0.1)
            while not stop.is_set():
                with contextlib.suppress(TimeoutError, ssl.SSLWantWriteError):
                    stream.sendall(GET * 10)
                    taken += 10
        return taken

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        floods = [pool.submit(flood) for _ in range(4)]
        try:
            for _ in range(5):
                insist_served(service)
        finally:
            stop.set()
    for one in floods:
        assert one.result() > 100, "that was no flood"


def test_connections_that_come_and_go_at_once_leave_nothing_behind(service):
    def descriptors():
        return len(os.listdir(f"/proc/{service.process.pid}/fd"))

    insist_served(service)
    before = descriptors()
    for index in range(1000):
        stream = tcp(service)
        if index % 3 == 0:
            stream.sendall(b"\x16\x03\x01")
        if index % 3 == 1:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset instead of an orderly end
        stream.close()
    insist_served(service)
    wait_for(lambda: descriptors() <= before + 5, "connections to be cleaned up")


def test_strangers_above_the_soft_cap_are_told_and_above_the_hard_cap_dropped(make_node):
    node = make_node(changes={"network": {"rpc_interfaces": {
        "main": {"max_open_sessions_soft": 30, "max_open_sessions_hard": 40}}}})

    def asked(stream):
        stream.sendall(GET)
        answers, closed = read_answers(stream)
        return answers[0] if answers else None, closed

    wait_for(lambda: active(node) == 1, "other sessions to end")
    with all_closed([node.client().connect() for _ in range(30)]) as held:
        with all_closed([node.client().connect() for _ in range(5)]) as above:
            for stream in above:
                answer, closed = asked(stream)
                assert (answer.status, answer.code) == (503, "SessionCapExhausted") and closed
        with all_closed([]) as crowd:
            told = 0
            for _ in range(15):  # a refused session takes its place until it has read the refusal
                with contextlib.suppress(OSError):
                    crowd.append(node.client(timeout=10).connect())
                    answer, _ = asked(crowd[-1])
                    told += answer is not None
            assert 1 <= told <= 10
        assert asked(held[0])[0].status == 200, "sessions below the cap go on"
    def served():
        try:
            return node.client().get("/app/commit").status == 200
        except OSError:
            return False
    wait_for(served, "room for new sessions")
    insist_served(node)


def test_sessions_by_the_thousand_are_held_while_others_are_served(make_node, raised_limit):
    count = min(MOST_CONNECTIONS, (raised_limit - OPEN_FILES_KEPT_BACK) // 2)
    node = make_node(changes={"network": {"rpc_interfaces": {
        "main": {"max_open_sessions_soft": count + 100, "max_open_sessions_hard": count + 200}}}})
    with all_closed([]) as streams:
        streams.extend(node.client().connect() for _ in range(count))
        for _ in range(5):
            insist_served(node)
        for stream in streams[::10]:
            stream.sendall(GET)
        for stream in streams[::10]:
            assert stream.recv(65536).startswith(b"HTTP/1.1 200")
        assert active(node) >= count
    wait_for(lambda: active(node) < 50, "sessions to end")
    insist_served(node)


def test_files_of_the_node_can_be_opened_whatever_strangers_hold(make_node, raised_limit):
    """A small chunk size has the node open a file with every write or so; only 1,024 files may be open."""
    node = make_node(start=False, changes={"ledger": {"chunk_size": "4KB"}})
    node.launch(files=1024)
    with all_closed([tcp(node) for _ in range(1500)]):
        for _ in range(30):
            insist_served_as_member(node)
        with all_closed([]) as sessions:
            for _ in range(900):
                with contextlib.suppress(OSError):
                    sessions.append(node.client().connect())
            for _ in range(30):
                insist_served_as_member(node)
            before = processor_time(node)
            time.sleep(1)
            assert processor_time(node) - before < 0.5, "accepting does not spin"


def processor_time(node):
    """Seconds."""
    fields = (Path("/proc") / str(node.process.pid) / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_running_out_of_open_files_is_survived(make_node, raised_limit):
    node = make_node()
    resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, (100, raised_limit))
    with all_closed([tcp(node) for _ in range(150)]):
        wait_for(lambda: "cannot take connections" in node.log(), "the node to run out of open files")
    resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, (raised_limit, raised_limit))

    def served():
        try:
            insist_served(node)
            return True
        except OSError:
            return False
    wait_for(served, "the node to accept connections again")
