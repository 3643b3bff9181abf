"""What every service of this kind answers, whatever its application: operators' endpoints, errors, paths, API texts."""
import base64
import json
import re

import pytest
from cryptography import x509

from identity import DAY, key_id, write_identity
from node import wait_for

HEX64 = re.compile(r"[0-9a-f]{64}")
TXID = re.compile(r"[1-9][0-9]*\.[1-9][0-9]*")
NOBODY = "0" * 64
INSTALLED = {"GET /app/report", "GET /app/report/{id}", "POST /app/ingest", "POST /app/csv/ingest"}


@pytest.fixture(scope="module")
def get(service):
    return service.client().get


@pytest.fixture(scope="module")
def node_id(get):
    return get("/node/state").json()["node_id"]


# --- /node

def test_state_of_a_running_node(get):
    state = get("/node/state").json()
    assert HEX64.fullmatch(state.pop("node_id")) and state.pop("last_signed_seqno") > 0
    assert state == {"state": "PartOfNetwork", "startup_seqno": 0, "stop_notice": False}


def test_network_describes_the_open_service(get, node_id, service):
    answer = get("/node/network")
    assert TXID.fullmatch(answer.txid)
    network = answer.json()
    assert network.pop("service_certificate") == service.service_certificate.read_text()
    assert TXID.fullmatch(network.pop("current_service_create_txid")) and network.pop("current_view") >= 2
    assert network == {"primary_id": node_id, "recovery_count": 0, "service_data": None, "service_status": "Open"}


def test_the_one_node_is_listed_alone_as_itself_and_as_primary(get, node_id, service):
    one = get(f"/node/network/nodes/{node_id}").json()
    assert one["node_id"] == node_id and one["primary"] is True and one["status"] == "Trusted"
    assert one["rpc_interfaces"]["main"]["published_address"] == service.address
    for path in ("/node/network/nodes/self", "/node/network/nodes/primary"):
        assert get(path).json() == one
    assert get("/node/network/nodes").json() == {"nodes": [one]}
    assert get("/node/network/removable_nodes").json() == {"nodes": []}


@pytest.mark.parametrize("query, found", [
    ("status=Trusted", True), ("status=Pending", False), ("host=127.0.0.1", True), ("host=elsewhere.example", False),
    ("port={port}", True), ("port=1", False), ("host=127.0.0.1&port={port}&status=Trusted", True)])
def test_node_list_is_filtered(get, service, query, found):
    query = query.format(port=service.address.split(":")[1])
    assert len(get(f"/node/network/nodes?{query}").json()["nodes"]) == int(found)


def test_node_list_refuses_a_status_that_is_none(get):
    answer = get("/node/network/nodes?status=trusted")
    assert (answer.status, answer.code) == (400, "InvalidQueryParameterValue")


def test_unknown_nodes_are_not_found_and_trusted_ones_not_deleted(service, get, node_id):
    assert (get(f"/node/network/nodes/{NOBODY}").status, get(f"/node/network/nodes/{NOBODY}").code) == (
        404, "ResourceNotFound")
    answer = service.client().request("DELETE", f"/node/network/nodes/{node_id}")
    assert (answer.status, answer.code) == (400, "NodeNotRetiredCommitted")


def test_primary_and_backup_say_what_this_node_is(service, get):
    assert (get("/node/primary").status, get("/node/primary").body) == (200, b"")
    assert get("/node/backup").status == 404
    head = service.client().request("HEAD", "/node/primary")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "0")


def test_evidence_binds_the_node_to_its_key(get, node_id):
    quote = get("/node/quotes/self").json()
    evidence = json.loads(base64.b64decode(quote["raw"]))
    assert (quote["node_id"], quote["format"]) == (node_id, "Insecure_Virtual")
    assert base64.b64decode(evidence["report_data"]).hex() == node_id
    assert bytes.fromhex(quote["measurement"]).decode() == evidence["measurement"]
    assert get("/node/quotes").json() == {"quotes": [quote]}
    assert get("/node/attestations").json() == {"attestations": [quote]}
    assert get("/node/attestations/self").json() == quote


def test_the_self_signed_certificate_has_the_nodes_key(get, node_id, service):
    pem = get("/node/self_signed_certificate").json()["self_signed_certificate"]
    assert key_id(x509.load_pem_x509_certificate(pem.encode()).public_key()) == node_id
    assert (service.home / "nodecert.pem").read_text() == pem


def test_consensus_of_a_network_of_one(get, node_id):
    details = get("/node/consensus").json()["details"]
    assert (details["membership_state"], details["leadership_state"], details["primary_id"]) == (
        "Active", "Leader", node_id)
    assert list(details["configs"][0]["nodes"]) == [node_id]
    assert list(get("/node/config").json()) == [node_id]


@pytest.mark.parametrize("path, keys", [
    ("/node/version", {"ccf_version", "quickjs_version", "unsafe"}),
    ("/node/memory", {"max_total_heap_size", "current_allocated_heap_size", "peak_allocated_heap_size"}),
    ("/node/metrics", {"sessions"}), ("/node/jwt_keys/refresh/metrics", {"attempts", "successes", "failures"}),
    ("/node/js_metrics", {"bytecode_size", "bytecode_used", "max_heap_size", "max_stack_size", "max_execution_time",
                          "max_cached_interpreters"})])
def test_endpoints_for_operators_have_their_fields(get, path, keys):
    assert set(get(path).json()) == keys


def test_metrics_count_the_session_that_asks(get, service):
    sessions = get("/node/metrics").json()["sessions"]
    assert 1 <= sessions["active"] <= sessions["peak"]
    main = sessions["interfaces"]["main"]
    assert (main["soft_cap"], main["hard_cap"]) == (1000, 1010)
    assert set(main["errors"]) == {"parsing", "request_header_too_large", "request_payload_too_large"}


def test_readiness_and_service_configuration(get):
    assert get("/node/ready/app").status == get("/node/ready/gov").status == 204
    assert get("/node/service/configuration").json()["recovery_threshold"] == 0
    assert get("/node/service/previous_identity").code == "ResourceNotFound"
    assert get("/node/index/strategies").json() == []


def test_joining_is_refused_after_its_input_is_checked(service):
    client = service.client()
    for body in ({}, {"quote_info": 3}, []):
        answer = client.post("/node/join", body)
        assert (answer.status, answer.code) == (400, "InvalidInput")
    assert client.post("/node/create", {}).status == 403


@pytest.mark.parametrize("path", ["/node/network/nodes/set_retired_committed", "/node/jwt_keys/refresh"])
def test_endpoints_among_nodes_are_closed_to_everybody_else(service, path):
    for client in (service.client(), service.member(0), service.user(0)):
        answer = client.post(path, {})
        assert (answer.status, answer.code) == (401, "InvalidAuthenticationInfo")


# --- errors, verbs, headers

def test_an_error_is_one_object_with_code_and_message(get):
    answer = get("/app/nowhere")
    assert list(answer.json()) == ["error"] and set(answer.json()["error"]) == {"code", "message"}
    assert answer.txid is None and answer.headers["content-type"] == "application/json"


def test_an_unknown_path_is_named_without_its_frontend(get):
    message = get("/node/nowhere/at/all").json()["error"]["message"]
    assert "/nowhere/at/all" in message and "/node" not in message


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_a_verb_that_a_path_does_not_know_is_told_those_it_knows(service, verb):
    answer = service.client().request(verb, "/app/commit")
    assert (answer.status, answer.code) == (405, "UnsupportedHttpVerb")
    assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", "GET"}


def test_options_names_the_verbs_and_answers_nothing_else(service):
    headers = {"origin": "https://other.example", "access-control-request-method": "GET"}
    answer = service.client().request("OPTIONS", f"/node/network/nodes/{NOBODY}", headers=headers)
    assert answer.status == 204 and set(answer.headers["allow"].split(", ")) == {"OPTIONS", "GET", "DELETE"}
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_head_answers_carry_no_body_so_the_connection_stays_in_step(service):
    heads = b"".join(b"HEAD %s HTTP/1.1\r\nhost: x\r\n\r\n" % path
                     for path in (b"/app/nowhere", b"/app/commit", b"/node/primary"))
    answers, closed = service.client().raw(heads, answers=3, heads=True)
    assert [answer.status for answer in answers] == [404, 200, 200] and not closed


def test_header_names_are_lower_case_and_nothing_tells_the_time_or_the_server(service):
    with service.client().connect() as stream:
        stream.sendall(b"GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n")
        head = stream.recv(65536).split(b"\r\n\r\n")[0].decode()
    names = [line.split(":")[0] for line in head.split("\r\n")[1:]]
    assert names == [name.lower() for name in names] and "content-length" in names
    assert "date" not in names and "server" not in names


@pytest.mark.parametrize("accept, status", [
    ("application/json", 200), ("*/*", 200), ("application/*", 200), ("text/html, application/json;q=0.5", 200),
    ("text/html", 406), ("application/cbor", 406), ("nonsense", 400)])
def test_only_callers_that_accept_json_are_answered(get, accept, status):
    answer = get("/app/commit", {"accept": accept})
    assert answer.status == status
    assert answer.code == {200: None, 406: "UnsupportedContentType", 400: "InvalidHeaderValue"}[status]


def test_the_body_of_a_get_is_ignored(service):
    assert service.client().request("GET", "/app/commit", b"{not json").status == 200


# --- paths and queries

@pytest.mark.parametrize("path", ["/app/commit/", "/app//commit", "//app/commit", "/app/%63ommit", "/app/Commit", "/APP/commit",
                                  "/app", "/", "/app/../app/commit", "/app/commit%00"])
def test_paths_are_compared_literally(get, path):
    answer = get(path)
    assert (answer.status, answer.code) == (404, "ResourceNotFound")


def test_a_path_without_frontend_is_the_applications(get):
    assert set(get("/commit").json()) == {"transaction_id"}


@pytest.mark.parametrize("query", [
    "transaction_id=2.1", "transaction_id=2%2E1", "transaction_id%3D2.1", "transaction_id=2.1&transaction_id=9.9",
    "colour=red&transaction_id=2.1", "transaction_id=2.1&filler=" + "y" * 100_000])
def test_query_is_decoded_as_a_whole_and_the_first_of_a_name_counts(get, query):
    assert get(f"/app/tx?{query}").json()["transaction_id"] == "2.1"


def test_a_fragment_ends_the_query(service):
    answers, _ = service.client().raw(b"GET /app/tx?transaction_id=2.1#part HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answers[0].json()["transaction_id"] == "2.1"


def test_a_key_in_the_path_does_not_span_slashes(service):
    answer = service.member(0).get("/app/report/one/two")
    assert (answer.status, answer.code) == (404, "ResourceNotFound")


# --- API descriptions

@pytest.mark.parametrize("frontend", ["app", "node", "gov"])
def test_api_description_is_openapi_3_with_prefixed_paths(get, frontend):
    document = get(f"/{frontend}/api").json()
    assert document["openapi"] == "3.0.0" and set(document["info"]) == {"title", "description", "version"}
    assert document["servers"] == []
    assert set(document["components"]) >= {"responses", "schemas", "securitySchemes", "x-ccf-forwarding"}
    assert all(path.startswith(f"/{frontend}/") for path in document["paths"])
    for name in ("commit", "tx", "receipt", "api"):
        assert "get" in document["paths"][f"/{frontend}/{name}"]


def test_api_description_names_operations_in_camel_case(get):
    paths = get("/node/api").json()["paths"]
    assert paths["/node/commit"]["get"]["operationId"] == "GetNodeCommit"
    assert paths["/node/network/nodes/{node_id}"]["delete"]["operationId"] == "DeleteNodeNetworkNodesNodeId"


def test_api_description_of_the_application_has_its_endpoints_and_resolves_its_references(get):
    document = get("/app/api").json()
    listed = {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}
    assert listed == INSTALLED | {f"GET /app/{name}" for name in ("commit", "tx", "receipt", "api")}
    references = re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(document))
    assert len(references) > 10
    for reference in references:
        found = document
        for step in reference.split("/"):
            found = found[step]


@pytest.mark.parametrize("path", ["/node/join", "/node/create", "/node/snapshot", "/node/jwt_keys/refresh"])
def test_internal_endpoints_are_not_described(get, path):
    assert path not in get("/node/api").json()["paths"]


def test_every_described_get_of_the_node_answers(get):
    asked = 0
    for path, verbs in get("/node/api").json()["paths"].items():
        if "get" in verbs and "{" not in path:
            asked += 1
            answer = get(path)
            assert answer.status in (200, 204) or answer.code in (
                "InvalidQueryParameterValue", "TransactionInvalid", "ResourceNotFound"), (path, answer)
            assert answer.code != "ResourceNotFound" or path in ("/node/backup", "/node/service/previous_identity")
    assert asked > 20


# --- who a caller is

def test_validity_of_certificates_is_checked_for_users_and_not_for_members(make_node):
    node = make_node(start=False)
    node.members[0] = write_identity(node.common, "member0", begins=-3 * DAY, lasts=DAY)
    node.users[0] = write_identity(node.common, "user0", begins=-3 * DAY, lasts=DAY)
    node.launch()
    assert node.member(0).ingest({"lei": "K", "nace": "V"}).status == 200
    assert node.user(0).ingest({"lei": "K", "nace": "V"}).status == 401, "users' certificates must be valid now"


def test_an_interface_may_be_narrowed_to_some_endpoints(make_node):
    node = make_node(changes={"network": {"rpc_interfaces": {
        "main": {"accepted_endpoints": ["/node/.*", "/app/(commit|report/\\{id\\})"]}}}})
    assert node.client().get("/app/commit").status == 200
    assert node.member(0).get("/app/report/K").status == 400
    refused = node.member(0).get("/app/report")
    assert (refused.status, refused.body) == (503, b"")
    assert node.member(0).ingest({"lei": "K", "nace": "V"}).status == 503


def test_a_service_that_is_not_open_yet_serves_operators_only(make_node):
    node = make_node(start=False, changes={"concordat": {"open_service": False}})
    node.launch(wait=False)
    wait_for(lambda: node.wrote_its_pid() or node.process.poll() is not None, "the node to listen")
    node.address = json.loads((node.home / "rpc_addresses.json").read_text())["main"]

    def network():
        try:
            return node.client().get("/node/network").json()
        except OSError:
            return None

    assert wait_for(network, "an answer")["service_status"] == "Opening"
    answer = node.member(0).get("/app/report")
    assert (answer.status, answer.code) == (404, "FrontendNotOpen")
    assert node.client().get("/node/ready/app").status == 503
    assert node.client().get("/node/ready/gov").status == 204
