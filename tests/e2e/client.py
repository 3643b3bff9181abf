"""HTTP/1.1 over TLS: one-shot requests, keep-alive sessions, and bytes sent as they are."""
import http.client
import json
import socket
import ssl

TIMEOUT = 60


class Answer:
    """What came back: status, headers (names in lower case) and body bytes."""

    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of the framework's error envelope, None for any other body."""
        try:
            return self.json()["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def txid(self):
        return self.headers.get("x-ms-ccf-transaction-id")

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:600]!r}>"


def tls_context(service_certificate, identity=None):
    context = ssl.create_default_context(cafile=str(service_certificate))
    if identity:
        context.load_cert_chain(str(identity.certificate_file), str(identity.key_file))
    return context


class Session:
    """One connection that stays open."""

    def __init__(self, client):
        self._connection = http.client.HTTPSConnection(
            client.host, client.port, timeout=client.timeout, context=client.context)

    def connect(self):
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    def request(self, method, path, body=None, headers=None):
        self._connection.request(method, path, body=body, headers=headers or {})
        response = self._connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, response.reason, names, response.read())

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, headers=None):
        return self.request("POST", path, body, headers)

    def close(self):
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Client:
    """Talks to one node as one caller, or as nobody; every request has a connection of its own."""

    def __init__(self, address, service_certificate, identity=None, timeout=TIMEOUT):
        self.host, port = address.rsplit(":", 1)
        self.port, self.timeout, self.identity = int(port), timeout, identity
        self.context = tls_context(service_certificate, identity)

    def session(self):
        return Session(self)

    def request(self, method, path, body=None, headers=None):
        with Session(self) as session:
            return session.request(method, path, body, headers)

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body=b"", headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        return self.request("POST", path, body, headers)

    # --- the application
    def ingest(self, records, headers=None):
        return self.post("/app/ingest", records, headers)

    def ingest_csv(self, text, headers=None):
        return self.post("/app/csv/ingest", text if isinstance(text, bytes) else text.encode(), headers)

    def report(self, query=""):
        """The content of the full report; the request must succeed."""
        answer = self.get("/app/report" + query)
        assert answer.status == 200, answer
        return answer.json()["content"]

    # --- bytes as they are
    def connect(self, context=None):
        plain = socket.create_connection((self.host, self.port), timeout=self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return (context or self.context).wrap_socket(plain, server_hostname=self.host)

    def raw(self, data, answers=1, heads=False):
        """Sends bytes; returns (the answers, True if the server closed the connection after them)."""
        with self.connect() as stream:
            try:
                stream.sendall(data)
            except OSError:
                pass  # the server may refuse and close before it has read everything
            return read_answers(stream, answers, heads)


def read_answers(stream, count=1, heads=False):
    """The next answers on a connection, fewer if it ends or nothing comes in time; and whether it was closed."""
    got, rest = [], b""
    while len(got) < count:
        answer, rest, closed = _read_answer(stream, rest, heads)
        if answer is None:
            return got, closed
        got.append(answer)
    return got, closes(stream)


def _read_answer(stream, rest, head):
    while b"\r\n\r\n" not in rest:
        piece = receive(stream)
        if not piece:
            return None, rest, piece == b""
        rest += piece
    top, rest = rest.split(b"\r\n\r\n", 1)
    lines = top.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    length = 0 if head else int(headers.get("content-length", "0"))
    while len(rest) < length:
        piece = receive(stream)
        if not piece:
            break
        rest += piece
    _, status, reason = (lines[0] + " ").split(" ", 2)
    return Answer(int(status), reason.strip(), headers, rest[:length]), rest[length:], False


def receive(stream):
    """Bytes; b"" when the peer closed; None when nothing came in time."""
    try:
        return stream.recv(65536)
    except socket.timeout:
        return None
    except (ssl.SSLError, OSError):
        return b""


def closes(stream, wait=1.0):
    """True if the peer has closed, or does so within `wait` seconds."""
    stream.settimeout(wait)
    return receive(stream) == b""


def first_bytes(client, path, headers=()):
    """The answer to a GET byte for byte, from the status line to the end of the body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    with client.connect() as stream:
        stream.sendall(f"GET {path} HTTP/1.1\r\nhost: service\r\n{lines}\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += stream.recv(65536)
        head, body = data.split(b"\r\n\r\n", 1)
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < length:
            body += stream.recv(65536)
    return head + b"\r\n\r\n" + body
