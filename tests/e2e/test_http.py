"""HTTP/1.1 and TLS as a client meets them: limits, malformed requests, connections, protocol versions."""
import gzip
import socket
import ssl
import uuid
import warnings
import zlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from client import read_answers, tls_context
from identity import write_identity
from node import Node

GET = b"GET /app/commit HTTP/1.1\r\nhost: x\r\n"
KIB = 1 << 10
MIB = 1 << 20


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A node with small limits."""
    node = Node(tmp_path_factory.mktemp("small") / "service", changes={"network": {"rpc_interfaces": {"main": {
        "http_configuration": {"max_body_size": "64KB", "max_header_size": "1KB", "max_headers_count": 20}}}}})
    node.launch()
    yield node
    node.stop()


@pytest.fixture(params=["service", "small"])
def limited(request, service, small):
    """A node, and its limits on bodies, on header names and values, and on the number of headers."""
    return (service, MIB, 16 * KIB, 256) if request.param == "service" else (small, 64 * KIB, KIB, 20)


def one(node, data):
    answers, closed = node.client().raw(data)
    assert len(answers) == 1, (answers, closed)
    return answers[0], closed


# --- limits

def test_a_body_at_the_limit_is_taken_and_one_above_it_refused(limited):
    node, body, _, _ = limited
    text = '{"lei":"%s","nace":"%s"}'
    lei = uuid.uuid4().hex
    records = "[" + ",".join(text % (lei, "v" * 60) for _ in range(body // 120)) + "]"
    exact = records + " " * (body - len(records))
    assert node.member(0).post("/app/ingest", exact.encode()).status == 200
    answer = node.member(0).post("/app/ingest", exact.encode() + b" ")
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge")


def test_a_body_above_the_limit_is_refused_before_it_is_sent(limited):
    node, body, _, _ = limited
    answer, closed = one(node, b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (body + 1))
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge") and closed


def test_the_limit_counts_chunked_bodies_too(limited):
    node, body, _, _ = limited
    head = b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % KIB + b"x" * KIB + b"\r\n"
    answer, closed = one(node, head + chunk * (body // KIB) + b"1\r\nx\r\n0\r\n\r\n")
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge") and closed


def test_a_header_above_its_limit_is_refused(limited):
    node, _, size, _ = limited
    assert one(node, GET + b"x-long: " + b"v" * (size - 64) + b"\r\n\r\n")[0].status == 200
    for header in (b"x-long: " + b"v" * (size + 1), b"n" * (size + 1) + b": v"):
        answer, closed = one(node, GET + header + b"\r\n\r\n")
        assert (answer.status, answer.code) == (431, "RequestHeaderTooLarge") and closed


def test_more_headers_than_allowed_are_refused(limited):
    node, _, _, count = limited
    headers = [b"x-%d: v\r\n" % index for index in range(count)]
    assert one(node, GET + b"".join(headers[:count - 2]) + b"\r\n")[0].status == 200
    answer, closed = one(node, GET + b"".join(headers) + b"\r\n")
    assert (answer.status, answer.code) == (431, "RequestHeaderTooLarge") and closed


def test_refusals_are_counted_by_kind(small):
    def errors():
        return small.client().get("/node/metrics").json()["sessions"]["interfaces"]["main"]["errors"]
    before = errors()
    small.client().raw(GET + b"x-long: " + b"v" * 2 * KIB + b"\r\n\r\n")
    small.client().raw(b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % MIB)
    small.client().raw(b"NONSENSE\r\n\r\n")
    after = errors()
    assert {name: after[name] - before[name] for name in after} == {
        "parsing": 1, "request_header_too_large": 1, "request_payload_too_large": 1}


# --- what is not HTTP

MALFORMED = [
    b"NONSENSE\r\n\r\n", b"GET\r\n\r\n", b"\x00\x01\x02\x03\r\n\r\n", b"FOO /app/commit HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /app/commit HTTP/9\r\n\r\n", b"get /app/commit HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /app/commit and more HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /app/comm\xff HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /app/commit HTTP/1.1\r\nhost: x\r\nno colon here\r\n\r\n",
    b"GET /app/commit HTTP/1.1\nhost: x\n\n", b"GET /app/commit HTTP/1.1\r\nhost: x\r\nx-a: a\x00b\r\n\r\n",
    b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: abc\r\n\r\n", b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01" + b"A" * 200 + b"\r\n\r\n"]


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed_http_is_refused_in_plain_text_and_ends_the_connection(service, data):
    answer, closed = one(service, data)
    assert (answer.status, answer.headers["content-type"]) == (400, "text/plain") and closed


def test_the_refusal_quotes_the_start_of_what_came(service):
    assert b"NONSENSE" in one(service, b"NONSENSE\r\n\r\n")[0].body
    assert len(one(service, b"NONSENSE" * 10_000 + b"\r\n\r\n")[0].body) < 4096


def test_requests_before_a_malformed_one_are_answered(service):
    answers, closed = service.client().raw(GET + b"\r\n" + GET + b"\r\nNONSENSE\r\n\r\n", answers=3)
    assert [answer.status for answer in answers] == [200, 200, 400] and closed


# --- connections

def test_one_connection_serves_many_requests_of_all_kinds(service):
    with service.member(0).session() as session:
        for _ in range(20):
            assert session.post("/app/ingest", b'{"lei":"session","nace":"V"}').status == 200
            assert session.get("/app/report/session").status == 200
            assert session.get("/app/nowhere").status == 404
            assert session.post("/app/ingest", b"{").status == 400


def test_pipelined_requests_are_answered_in_order(service):
    request = b"GET /app/tx?transaction_id=1.%d HTTP/1.1\r\nhost: x\r\n\r\n"
    answers, closed = service.client().raw(b"".join(request % index for index in range(1, 51)), answers=50)
    assert [answer.json()["transaction_id"] for answer in answers] == [f"1.{index}" for index in range(1, 51)]
    assert not closed


def test_pipelined_writes_are_applied_in_order(service):
    lei = uuid.uuid4().hex
    bodies = [b'{"lei":"%s","nace":"%d"}' % (lei.encode(), index) for index in range(20)]
    requests = [b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
                for body in bodies]
    answers, _ = service.member(0).raw(b"".join(requests), answers=20)
    assert [answer.status for answer in answers] == [200] * 20
    seqnos = [int(answer.txid.split(".")[1]) for answer in answers]
    assert seqnos == sorted(set(seqnos))
    assert service.member(0).get(f"/app/report/{lei}").json()["content"]["nace"] == "19"


def test_a_request_may_arrive_byte_by_byte(service):
    body = b'{"lei":"slow","nace":"V"}'
    with service.member(0).connect() as stream:
        for byte in b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body):
            stream.sendall(bytes([byte]))
        answers, _ = read_answers(stream)
    assert answers[0].status == 200


def test_chunks_of_a_body_are_joined(service):
    lei = uuid.uuid4().hex.encode()
    data = (b"POST /app/ingest HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            b"7;extension=1\r\n{\"lei\":\r\n22\r\n\"" + lei + b"\"\r\n" + b"c\r\n,\"nace\":\"V\"}\r\n0\r\n\r\n")
    answers, _ = service.member(0).raw(data)
    assert answers[0].status == 200, answers
    assert service.member(0).get(f"/app/report/{lei.decode()}").status == 200


@pytest.mark.parametrize("head", [
    GET + b"\r\n", b"GET /app/commit HTTP/1.0\r\n\r\n", b"\r\n\r\n" + GET + b"\r\n",
    b"GET https://x/app/commit HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /app/commit HTTP/1.1\r\nhost:\r\n\r\n",
    b"GET /app/commit HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
    GET + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n", GET + b"connection: close\r\n\r\n",
    GET + b"x-twice: 1\r\nx-twice: 2\r\n\r\n"])
def test_unusual_requests_that_are_answered(service, head):
    assert one(service, head)[0].status == 200


@pytest.mark.parametrize("hosts", [b"", b"host: x\r\nhost: x\r\n", b"host: x\r\nHost: y\r\n", b"host: a b\r\n",
                                   b"host: http://x/\r\n"])
def test_no_host_two_hosts_and_what_is_no_host_are_refused_with_a_sentence(service, hosts):
    answer, closed = one(service, b"GET /app/commit HTTP/1.1\r\n" + hosts + b"\r\n")
    assert answer.status == 400 and b"'host' header" in answer.body and closed


def test_head_has_the_headers_of_get_without_the_body(service):
    for path in ("/node/network", "/app/commit", "/node/version"):
        get = service.client().get(path)
        head = service.client().request("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"], path
    assert service.client().request("HEAD", "/node/ready/app").status == 204
    member = service.member(0)
    assert member.ingest({"lei": uuid.uuid4().hex, "nace": "V"}).status == 200
    with member.session() as session:
        assert session.request("HEAD", "/app/report").status == 200, "streamed by GET"
        assert session.get("/app/report").status == 200, "the connection is in step"


def test_options_of_the_whole_server(service):
    answer, _ = one(service, b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.status == 204 and "GET" in answer.headers["allow"]


# --- compressed bodies

@pytest.mark.parametrize("coding, compress", [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_decoded(service, coding, compress):
    lei = uuid.uuid4().hex
    member = service.member(0)
    rows = f"lei,nace\n{lei},K.64.19\n".encode()
    answer = member.post("/app/csv/ingest", compress(rows), {"content-type": "text/csv", "content-encoding": coding})
    assert answer.status == 200, answer
    assert member.get(f"/app/report/{lei}").json()["content"]["nace"] == "K.64.19"


def test_a_content_encoding_that_is_not_understood_is_named(service):
    answer = service.member(0).post("/app/csv/ingest", b"x", {"content-encoding": "br"})
    assert (answer.status, answer.code) == (415, "UnsupportedContentType") and b"'br'" in answer.body
    assert "gzip" in answer.headers["accept-encoding"]


def test_a_compressed_body_is_held_to_the_limits(limited):
    node, body, _, _ = limited
    member = node.member(0)
    gzipped = {"content-encoding": "gzip"}
    answer = member.post("/app/ingest", gzip.compress(b" " * (body - 1) + b"[]"), gzipped)
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge")
    answer = member.post("/app/ingest", gzip.compress(b" " * (body - 2) + b"[]"), gzipped)
    assert answer.status == 400 and b"there are no rows in the body" in answer.body, "it is read by the application"
    for broken in (b"not gzip", gzip.compress(b"[]")[:-1]):
        answer = member.post("/app/ingest", broken, gzipped)
        assert (answer.status, answer.code) == (400, "InvalidInput") and b"cannot be decoded" in answer.body, answer


def test_an_idle_connection_is_closed(make_node):
    node = make_node(changes={"idle_connection_timeout": "1s"})
    with node.client().connect() as stream:
        stream.settimeout(30)
        assert stream.recv(1) == b""
    with node.client().connect() as stream:
        stream.sendall(b"GET /app/com")
        stream.settimeout(30)
        while True:  # an answer may say why
            if not stream.recv(4096):
                break


# --- TLS

def connect(node, context):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return node.client().connect(context)


def context_of(node, minimum=None, maximum=None, ciphers=None):
    context = tls_context(node.service_certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if minimum:
            context.minimum_version = minimum
        if maximum:
            context.maximum_version = maximum
    if ciphers:
        context.set_ciphers(ciphers)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_protocol_versions_are_refused(service, version):
    with pytest.raises(ssl.SSLError, match="alert protocol version"):  # said by the server, not found out here
        connect(service, context_of(service, version, version, "ALL:@SECLEVEL=0"))


def test_the_newest_version_and_the_strongest_suite_are_chosen(service):
    with connect(service, context_of(service)) as stream:
        assert (stream.version(), stream.cipher()[0]) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")


@pytest.mark.parametrize("suite, offered", [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", True), ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", False), ("ECDHE-ECDSA-AES256-SHA384", False)])
def test_suites_of_tls_1_2(service, suite, offered):
    context = context_of(service, maximum=ssl.TLSVersion.TLSv1_2, ciphers=suite)
    if offered:
        with connect(service, context) as stream:
            assert stream.cipher()[0] == suite
    else:
        with pytest.raises(ssl.SSLError, match="alert handshake failure"):
            connect(service, context)


def test_other_curves_than_those_of_nist_are_refused(service):
    context = context_of(service, maximum=ssl.TLSVersion.TLSv1_2)
    context.set_ecdh_curve("brainpoolP256r1")
    with pytest.raises(ssl.SSLError, match="alert handshake failure"):
        connect(service, context)


@pytest.mark.parametrize("offered, chosen", [
    (["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), (["h2"], None), (None, None)])
def test_alpn_chooses_http_1_1(service, offered, chosen):
    context = context_of(service)
    if offered:
        context.set_alpn_protocols(offered)
    with connect(service, context) as stream:
        assert stream.selected_alpn_protocol() == chosen
        stream.sendall(GET + b"\r\n")
        assert read_answers(stream)[0][0].status == 200


def test_the_certificate_is_issued_by_the_service_and_names_the_address(service):
    with connect(service, context_of(service)) as stream:
        served = x509.load_der_x509_certificate(stream.getpeercert(True))
    issuer = x509.load_pem_x509_certificate(service.service_certificate.read_bytes())
    issuer.public_key().verify(
        served.signature, served.tbs_certificate_bytes, ec.ECDSA(served.signature_hash_algorithm))
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "127.0.0.1" in [str(name.value) for name in names]


def test_plain_http_is_told_to_use_https(service):
    client = service.client()
    with socket.create_connection((client.host, client.port), timeout=10) as stream:
        stream.sendall(GET + b"\r\n")
        answers, closed = read_answers(stream)
    assert answers[0].status == 400 and b"https://" in answers[0].body and closed


@pytest.mark.parametrize("curve", ["secp256r1", "secp384r1", "secp521r1"])
def test_client_certificates_of_any_curve_are_taken(make_node, curve):
    node = make_node(start=False, members=1, users=0)
    node.members[0] = write_identity(node.common, "member0", curve)
    node.launch()
    assert node.member(0).ingest({"lei": "K", "nace": "V"}).status == 200


def test_a_certificate_without_its_key_is_worth_nothing(service, tmp_path):
    """The certificate is public; only the handshake proves that the caller has the key."""
    thief = write_identity(tmp_path, "thief")
    context = tls_context(service.service_certificate)
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(str(service.members[0].certificate_file), str(thief.key_file))
    thief.certificate_file.write_bytes(
        service.members[0].certificate_file.read_bytes() + thief.certificate_file.read_bytes())
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(str(thief.certificate_file), str(thief.key_file))
    thief.certificate_file.write_bytes(
        thief.certificate_file.read_bytes().split(b"-----END CERTIFICATE-----\n")[1] + b"-----END CERTIFICATE-----\n"
        + service.members[0].certificate_file.read_bytes())
    assert service.client(thief).get("/app/report").status == 401, "a chain proves its first certificate only"
