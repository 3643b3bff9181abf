"""Clients that mean no good, or are broken: whatever they do, others are served meanwhile."""
import contextlib
import os
import random
import resource
import socket
import ssl
import threading
import time
import uuid

import pytest

from client import read_answers
from node import wait_for

GET = b"GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n"
OPEN_FILES_KEPT_BACK = 500
MOST_CONNECTIONS = 10_000


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


def test_clients_that_drip_bytes_hold_nobody_up_and_are_ended(make_node):
    node = make_node(changes={"idle_connection_timeout": "3s"})
    stop = threading.Event()

    def drip(stream):
        with contextlib.suppress(OSError):
            for byte in GET * 1000:
                stream.sendall(bytes([byte]))
                if stop.wait(0.2):
                    return

    with all_closed([node.client().connect() for _ in range(20)]) as streams:
        threads = [threading.Thread(target=drip, args=(stream,)) for stream in streams]
        for thread in threads:
            thread.start()
        for _ in range(5):
            insist_served(node)
        stop.set()
        for thread in threads:
            thread.join()


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
    """All but the last, empty lines before a request: those may go on, at no cost to anybody else."""
    endless = [b"GET /" + b"a" * (4 << 20), b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-header: v\r\n" * 300_000,
               b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"v" * (4 << 20),
               b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000000000000000\r\n\r\n" + b"x" * (4 << 20),
               b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1_200_000,
               b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"e" * (4 << 20)]
    for data in endless:
        answers, closed = service.client(timeout=30).raw(data)
        assert closed and all(400 <= answer.status < 500 for answer in answers), (data[:40], answers)
        insist_served(service)
    with service.client().connect() as stream:
        stream.sendall(b"\r\n" * (2 << 20))
        insist_served(service)


def test_a_flood_of_pipelined_requests_does_not_starve_others(service):
    stop = threading.Event()

    def flood():
        with contextlib.suppress(OSError), service.client().connect() as stream:
            stream.settimeout(1)
            while not stop.is_set():
                with contextlib.suppress(socket.timeout):
                    stream.sendall(GET * 1000)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        insist_served(service)
    stop.set()
    for thread in threads:
        thread.join()


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


def test_sessions_above_the_soft_cap_are_told_and_above_the_hard_cap_dropped(make_node):
    node = make_node(changes={"network": {"rpc_interfaces": {
        "main": {"max_open_sessions_soft": 30, "max_open_sessions_hard": 40}}}})

    def asked(stream):
        stream.sendall(GET)
        answers, closed = read_answers(stream)
        return answers[0], closed

    wait_for(lambda: node.client().get("/node/metrics").json()["sessions"]["active"] == 1, "other sessions to end")
    with all_closed([node.client().connect() for _ in range(30)]) as held:
        with all_closed([node.client().connect() for _ in range(5)]) as above:
            for stream in above:
                answer, closed = asked(stream)
                assert (answer.status, answer.code) == (503, "SessionCapExhausted") and closed
        with all_closed([tcp(node) for _ in range(10)]):
            with pytest.raises((OSError, AssertionError)):
                for _ in range(5):
                    stream = node.client(timeout=10).connect()
                    held.append(stream)
                    answer, _ = asked(stream)
                    assert answer.status == 503
                raise EOFError("five more sessions than the hard cap allows were let in")
        assert asked(held[0])[0].status == 200, "sessions below the cap go on"
    def served():
        try:
            return node.client().get("/app/commit").status == 200
        except OSError:
            return False
    wait_for(served, "room for new sessions")
    insist_served(node)


def test_thousands_of_connections_are_held_while_others_are_served(make_node, raised_limit):
    count = min(MOST_CONNECTIONS, raised_limit - OPEN_FILES_KEPT_BACK)
    node = make_node(changes={"network": {"rpc_interfaces": {
        "main": {"max_open_sessions_soft": count + 100, "max_open_sessions_hard": count + 200}}}})
    handshakes = 200
    with all_closed([]) as streams:
        streams.extend(tcp(node) for _ in range(count - handshakes))
        streams.extend(node.client().connect() for _ in range(handshakes))
        began = time.monotonic()
        wait_for(lambda: node.client().get("/node/metrics").json()["sessions"]["active"] >= count, "all to be accepted")
        for _ in range(5):
            insist_served(node)
        for stream in streams[-handshakes:]:
            stream.sendall(GET)
        for stream in streams[-handshakes:]:
            assert stream.recv(65536).startswith(b"HTTP/1.1 200")
        print(f"{count} connections, served after {time.monotonic() - began:.2f} s")
    wait_for(lambda: node.client().get("/node/metrics").json()["sessions"]["active"] < 50, "sessions to end")
    insist_served(node)


def test_running_out_of_open_files_is_survived(make_node, raised_limit):
    node = make_node()
    resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, (100, raised_limit))
    with all_closed([tcp(node) for _ in range(150)]):
        time.sleep(0.5)
    resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, (raised_limit, raised_limit))

    def served():
        try:
            insist_served(node)
            return True
        except OSError:
            return False
    wait_for(served, "the node to accept connections again")
