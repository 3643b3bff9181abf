"""The reconciliation application over HTTP: what it stores, what it reports, and what it refuses."""
import itertools
import json
import uuid
from urllib.parse import quote

import pytest

from client import first_bytes
from identity import write_identity
from node import ROOT, Node

SAMPLES = ROOT / "tests/data/samples"
ENVELOPE = ["content", "error", "success", "failure", "statusCode", "status"]
INGESTED = "data has ingested successfully"
RECORD = ["lei", "nace", "group_status", "majority_minority", "count_of_unique_values", "members_in_agreement"]


def sample(name):
    return (SAMPLES / name).read_bytes()


def expected(name):
    return json.loads(sample(name))


def key(name="key"):
    """A key that no other test uses."""
    return f"{name}-{uuid.uuid4().hex}"


def record(lei, nace="A.01.1"):
    return {"lei": lei, "nace": nace}


def verdict(client, lei):
    answer = client.get(f"/app/report/{lei}")
    assert answer.status == 200, answer
    found = answer.json()["content"]
    return (found["nace"], found["group_status"], found["majority_minority"], found["count_of_unique_values"],
            found["members_in_agreement"])


def insist_error(answer, status, error_type):
    """Checks a whole error envelope, and returns its error."""
    body = answer.json()
    assert list(body) == ENVELOPE, answer
    assert answer.status == body["statusCode"] == status, answer
    assert (body["content"], body["success"], body["failure"], body["status"]) == (None, False, True, "Error")
    assert body["error"]["errorType"] == error_type, answer
    assert body["error"]["errorMessage"] and isinstance(body["error"]["details"], list)
    assert answer.headers["content-type"] == "application/json" and answer.txid is None
    return body["error"]


def insist_key_is_absent(client, lei):
    insist_error(client.get(f"/app/report/{lei}"), 400, "KeyNotFound")


# --- the sample data

@pytest.fixture(scope="module")
def reconciled(tmp_path_factory):
    """The three members' first submissions are in."""
    node = Node(tmp_path_factory.mktemp("samples") / "service")
    node.launch()
    assert node.member(0).ingest_csv(sample("member0.csv")).status == 200
    for index in (1, 2):
        assert node.member(index).post("/app/ingest", sample(f"member{index}.json")).status == 200
    yield node
    node.stop()
    node.insist_ledger_verifies()


def test_sample_reports_are_exact_and_stay_exact_over_an_update_and_a_restart(reconciled):
    def reports():
        return {f"member{index}": reconciled.member(index).report() for index in range(3)}

    first = reports()
    assert first == expected("reports_first.json")
    assert all(list(found) == RECORD for report in first.values() for found in report)
    assert reconciled.member(0).post("/app/ingest", sample("member0_update.json")).status == 200
    assert reports() == expected("reports_after_update.json")
    reconciled.restart()
    assert reports() == expected("reports_after_update.json")


def test_one_record_is_reported_as_in_the_full_report(reconciled):
    for index in range(3):
        for found in reconciled.member(index).report():
            answer = reconciled.member(index).get(f"/app/report/{found['lei']}")
            assert answer.json()["content"] == found


def test_pages_of_any_size_join_to_the_full_report(reconciled):
    member = reconciled.member(1)
    whole = member.report()
    for size in (1, 2, 3, len(whole), len(whole) + 1):
        pages, after = [], ""
        while True:
            page = member.report(f"?limit={size}{after}")
            assert len(page) <= size
            if not page:
                break
            pages.append(page)
            after = f"&after={page[-1]['lei']}"
        assert list(itertools.chain.from_iterable(pages)) == whole


def test_after_need_not_be_a_key_that_exists(reconciled):
    whole = reconciled.member(2).report()
    assert reconciled.member(2).report(f"?after={whole[0]['lei']}0") == whole[1:]
    assert reconciled.member(2).report(f"?after_hex={whole[0]['lei'].encode().hex()}") == whole[1:]


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=ten", "limit=", "limit=1.5", "after_hex=abc"])
def test_a_page_that_cannot_be_is_refused(reconciled, query):
    insist_error(reconciled.member(0).get(f"/app/report?{query}"), 400, "InvalidInput")


# --- ingest

def test_success_envelope_of_an_ingest(service):
    answer = service.member(0).ingest(record(key()))
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ENVELOPE
    assert answer.json() == {"content": INGESTED, "error": None, "success": True, "failure": False, "statusCode": 200,
                             "status": "Success"}
    assert answer.txid


def test_success_envelope_of_one_record(service):
    lei = key()
    service.member(0).ingest(record(lei, "C.10"))
    answer = service.member(0).get(f"/app/report/{lei}")
    assert list(answer.json()) == ENVELOPE and answer.txid
    assert answer.json() == {
        "content": {"lei": lei, "nace": "C.10", "group_status": "NOT_ENOUGH_DATA", "majority_minority": "Majority",
                    "count_of_unique_values": 1, "members_in_agreement": 1},
        "error": None, "success": True, "failure": False, "statusCode": 200, "status": "Success"}


def test_of_a_key_twice_in_one_request_the_last_one_stands(service):
    lei = key()
    assert service.member(0).ingest([record(lei, "first"), record(lei, "second")]).status == 200
    assert verdict(service.member(0), lei)[0] == "second"
    assert service.member(0).ingest_csv(f"lei,nace\r\n{lei},third\r\n{lei},fourth\r\n").status == 200
    assert verdict(service.member(0), lei)[0] == "fourth"


def test_an_empty_text_is_a_value(service):
    lei = key()
    assert service.member(0).ingest(record(lei, "")).status == 200
    assert verdict(service.member(0), lei)[0] == ""


@pytest.mark.parametrize("value", ["with,comma", 'with "quotes"', "two\nlines", "Zürich 東京 🏦"])
def test_values_come_back_as_they_were_sent_by_json_and_by_csv(service, value):
    by_json, by_csv = key(), key()
    assert service.member(0).ingest(record(by_json, value)).status == 200
    quoted = value.replace('"', '""')
    assert service.member(0).ingest_csv(f'﻿lei,nace\r\n{by_csv},"{quoted}"\r\n').status == 200
    assert verdict(service.member(0), by_json)[0] == value
    assert verdict(service.member(0), by_csv)[0] == value


def test_keys_with_special_characters_are_found_percent_encoded(service):
    lei = key("a b/c%d?é")
    assert service.member(0).ingest(record(lei, "x")).status == 200
    assert verdict(service.member(0), quote(lei, safe=""))[0] == "x"


def test_columns_of_csv_may_stand_in_either_order(service):
    lei = key()
    assert service.member(0).ingest_csv(f"nace,lei\nK.64,{lei}").status == 200
    assert verdict(service.member(0), lei)[0] == "K.64"


BAD_JSON = {
    "no body": b"", "not JSON": b"{", "null": b"null", "a number": b"3", "a text": b'"x"', "no rows": b"[]",
    "a row that is null": b"[null]", "a row that is a list": b"[[]]", "a missing value": b'[{"lei":"K1"}]',
    "a missing key": b'[{"nace":"V"}]', "an empty key": b'{"lei":"","nace":"V"}', "a null key": b'{"lei":null,"nace":"V"}',
    "a number as value": b'{"lei":"K1","nace":0}', "false as value": b'{"lei":"K1","nace":false}',
    "a null value": b'{"lei":"K1","nace":null}', "an object as value": b'{"lei":"K1","nace":{}}',
    "a field that is not known": b'{"lei":"K1","nace":"V","extra":"1"}',
    "a key above 1 KiB": json.dumps(record("k" * 1025)).encode(), "text after the end": b'{"lei":"K1","nace":"V"} x',
    "bytes that are not UTF-8": b'{"lei":"K\xff","nace":"V"}', "half a surrogate pair": b'{"lei":"\\ud800","nace":"V"}',
    "deep nesting": b"[" * 5000 + b"]" * 5000}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_json_that_is_no_records_is_refused(service, body):
    insist_error(service.member(0).post("/app/ingest", body), 400, "InvalidInput")


BAD_CSV = {
    "no body": "", "only a header": "lei,nace\r\n", "no header": "K1,V1\nK2,V2\n", "a wrong header": "lei,code\nK1,V\n",
    "a doubled column": "lei,lei,nace\nK1,K1,V\n", "a third column": "lei,nace,extra\nK1,V,1\n",
    "a short row": "lei,nace\nK1\n", "a long row": "lei,nace\nK1,V,W\n", "an empty key": "lei,nace\n,V\n",
    "an open quote": 'lei,nace\nK1,"V\n', "a quote inside": 'lei,nace\nK1,V"W"\n', "text behind a quote": 'lei,nace\nK1,"V"W\n',
    "a long key": "lei,nace\n" + "k" * 1025 + ",V\n", "a NUL": "lei,nace\nK\0,V\n"}


@pytest.mark.parametrize("text", BAD_CSV.values(), ids=BAD_CSV)
def test_csv_that_is_no_records_is_refused(service, text):
    insist_error(service.member(0).ingest_csv(text), 400, "InvalidInput")


def test_a_bad_row_is_named_by_row_column_and_reason_and_nothing_of_its_request_is_stored(service):
    good = [key(), key()]
    answer = service.member(0).ingest([record(good[0]), {"lei": key(), "nace": 7}, record(good[1])])
    detail, = insist_error(answer, 400, "InvalidInput")["details"]
    assert (detail["row"], detail["column"]) == (2, "nace") and "string" in detail["reason"]
    for lei in good:
        insist_key_is_absent(service.member(0), lei)


def test_a_bad_row_of_csv_is_named_by_row_and_line_too(service):
    good = [key(), key()]
    answer = service.member(0).ingest_csv(f'lei,nace\r\n{good[0]},"a\r\nb"\r\n,x\r\n{good[1]},c\r\n')
    detail, = insist_error(answer, 400, "InvalidInput")["details"]
    assert (detail["row"], detail["line"], detail["column"]) == (2, 4, "lei") and detail["reason"]
    for lei in good:
        insist_key_is_absent(service.member(0), lei)


def test_a_failing_batch_leaves_values_that_stood_before_as_they_were(service):
    lei = key()
    service.member(0).ingest(record(lei, "before"))
    assert service.member(0).ingest([record(lei, "after"), record("")]).status == 400
    assert verdict(service.member(0), lei)[0] == "before"


def test_at_most_a_hundred_bad_rows_are_described(service):
    answer = service.member(0).ingest([record("")] * 250)
    error = insist_error(answer, 400, "InvalidInput")
    assert [detail["row"] for detail in error["details"]] == list(range(1, 101)) and "250" in error["errorMessage"]


def test_errors_never_repeat_what_was_submitted(service):
    secret = "s3cret-" + uuid.uuid4().hex
    bodies = [[record(secret), {"lei": secret, "nace": 1}], {secret: secret}, {"lei": secret}, secret]
    answers = [service.member(0).post("/app/ingest", json.dumps(body).encode()) for body in bodies]
    answers += [service.member(0).ingest_csv(text) for text in (
        f"{secret},nace\n", f"lei,nace\n{secret}\n", f'lei,nace\n{secret},"x\n', f"lei,nace\n{secret},a,b\n")]
    answers += [service.member(0).get(f"/app/report/{secret}"), service.member(0).get(f"/app/report?limit={secret}")]
    for answer in answers:
        assert answer.status == 400 and secret.encode() not in answer.body, answer


def test_a_body_above_the_limit_is_refused_and_nothing_of_it_is_stored(service):
    lei = key()
    answer = service.member(0).ingest([record(lei)] + [record(key(), "v" * 1000) for _ in range(1100)])
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge")
    insist_key_is_absent(service.member(0), lei)


# --- votes

def test_verdicts_follow_the_votes(service):
    lei = key()
    first, second, third = (service.member(index) for index in range(3))
    first.ingest(record(lei, "A"))
    assert verdict(first, lei) == ("A", "NOT_ENOUGH_DATA", "Majority", 1, 1)
    second.ingest(record(lei, "B"))
    assert verdict(first, lei) == ("A", "NOT_ENOUGH_DATA", "Minority", 2, 1)
    third.ingest(record(lei, "A"))
    assert verdict(first, lei) == verdict(third, lei) == ("A", "LACK_OF_CONSENSUS", "Majority", 2, 2)
    assert verdict(second, lei) == ("B", "LACK_OF_CONSENSUS", "Minority", 2, 1)
    second.ingest(record(lei, "A"))
    assert verdict(second, lei) == ("A", "IN_CONSENSUS", "Majority", 1, 3)


def test_values_are_compared_as_bytes(service):
    lei = key()
    for index, value in enumerate(["A01.1", "A.01.1", "a01.1"]):
        service.member(index).ingest(record(lei, value))
    assert verdict(service.member(0), lei) == ("A01.1", "LACK_OF_CONSENSUS", "Minority", 3, 1)


def test_the_threshold_is_as_configured(make_node):
    node = make_node(members=2, changes={"concordat": {"application": {"vote_threshold": 1}}})
    node.member(0).ingest(record("K", "A"))
    assert verdict(node.member(0), "K") == ("A", "IN_CONSENSUS", "Majority", 1, 1)


def test_what_was_agreed_at_the_start_holds_whatever_the_file_says_later(make_node):
    node = make_node(members=2, changes={"concordat": {"application": {"vote_threshold": 1, "total_votes_count": True}}})
    node.member(0).ingest(record("K", "A"))
    before = node.member(0).report()
    assert before[0]["group_status"] == "IN_CONSENSUS" and before[0]["total_votes_count"] == 1
    node.stop()
    assert "the service has agreed on" not in node.log()
    node.configuration["concordat"]["application"] = {"vote_threshold": 3}
    node.write_configuration()
    node.launch()
    assert node.member(0).report() == before
    assert "application.vote_threshold is 3 in the configuration, but the service has agreed on 1, which holds" in node.log()
    assert "total_votes_count is" not in node.log()


def test_users_of_one_organisation_share_its_vote(make_node):
    node = make_node(members=3, users=4, user_data={
        0: lambda made: {"organisation": made.members[0].id}, 1: lambda made: {"organisation": made.members[0].id},
        2: {"team": "blue"}, 3: {"organisation": "0" * 64}})
    node.user(0).ingest(record("K", "A"))
    node.user(1).ingest(record("K", "B"))
    assert verdict(node.member(0), "K") == verdict(node.user(0), "K") == ("B", "NOT_ENOUGH_DATA", "Majority", 1, 1)
    node.user(2).ingest(record("K", "B"))
    assert verdict(node.user(2), "K") == ("B", "NOT_ENOUGH_DATA", "Majority", 1, 2), "without one they vote for themselves"
    node.member(1).ingest(record("K", "B"))
    assert verdict(node.user(1), "K") == ("B", "IN_CONSENSUS", "Majority", 1, 3)
    insist_error(node.user(3).ingest(record("K", "B")), 403, "AuthorizationFailed")
    insist_error(node.user(3).get("/app/report"), 403, "AuthorizationFailed")
    insist_error(node.user(3).get("/app/report/K"), 403, "AuthorizationFailed")
    assert verdict(node.member(1), "K")[4] == 3, "a refused vote does not count"


# --- what nobody may learn

def test_a_key_of_others_is_answered_byte_for_byte_like_a_key_that_nobody_has(service):
    theirs, nobodys = key("theirs"), key("nobody-has-it")
    assert len(theirs) != len(nobodys)
    for index in (1, 2):
        service.member(index).ingest(record(theirs, "their-value"))
    service.member(0).ingest(record(key("mine")))
    answers = [first_bytes(service.member(0), f"/app/report/{lei}") for lei in (theirs, nobodys)]
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 400 ") and b"KeyNotFound" in answers[0]


def test_that_holds_for_a_caller_without_any_records_too(make_node):
    node = make_node()
    node.member(1).ingest(record("theirs"))
    answers = [first_bytes(node.member(0), f"/app/report/{lei}") for lei in ("theirs", "nobodys")]
    assert answers[0] == answers[1] and b"KeyNotFound" in answers[0]


def test_a_caller_without_records_has_no_data_to_report(make_node):
    node = make_node()
    before = first_bytes(node.member(0), "/app/report")
    insist_error(node.member(0).get("/app/report"), 400, "NoDataToReport")
    node.member(1).ingest(record("theirs"))
    insist_error(node.member(0).get("/app/report"), 400, "NoDataToReport")
    assert first_bytes(node.member(0), "/app/report") == before, "what others submit does not show"


def test_a_report_holds_the_callers_records_only(service):
    mine, theirs = key("mine"), key("theirs")
    service.member(0).ingest(record(mine, "my-value"))
    service.member(1).ingest([record(theirs, "their-value"), record(mine, "other-value")])
    text = service.member(0).get("/app/report").body.decode()
    assert mine in text and theirs not in text and "their-value" not in text and "other-value" not in text


# --- who may call

ENDPOINTS = [("POST", "/app/ingest"), ("POST", "/app/csv/ingest"), ("GET", "/app/report"), ("GET", "/app/report/K")]


@pytest.mark.parametrize("method, path", ENDPOINTS)
def test_without_a_certificate_nobody_is_let_in(service, method, path):
    answer = service.client().request(method, path, b"x" if method == "POST" else None)
    assert (answer.status, answer.code) == (401, "InvalidAuthenticationInfo")
    assert [detail["auth_policy"] for detail in answer.json()["error"]["details"]] == ["member_cert", "user_cert"]


@pytest.mark.parametrize("method, path", ENDPOINTS)
def test_a_certificate_that_the_service_does_not_know_is_not_let_in(service, tmp_path, method, path):
    stranger = service.client(write_identity(tmp_path, "stranger"))
    answer = stranger.request(method, path, b"x" if method == "POST" else None)
    assert (answer.status, answer.code) == (401, "InvalidAuthenticationInfo")


# --- submissions in parts

def part(number, submission):
    return {"x-concordat-submission": submission, "x-concordat-part": str(number)}


def test_a_part_that_is_sent_again_is_answered_the_same_and_changes_nothing(service):
    lei, submission = key(), uuid.uuid4().hex
    member = service.member(0)
    first = member.ingest(record(lei, "one"), part(1, submission))
    assert first.status == 200
    member.ingest(record(lei, "since"))
    again = member.ingest(record(lei, "one"), part(1, submission))
    assert (again.status, again.body) == (first.status, first.body)
    assert verdict(member, lei)[0] == "since", "a part is never applied twice"


def test_parts_are_applied_in_order_and_none_is_left_out(service):
    lei, submission = key(), uuid.uuid4().hex
    member = service.member(0)
    assert member.ingest(record(lei, "1"), part(1, submission)).status == 200
    insist_error(member.ingest(record(lei, "3"), part(3, submission)), 400, "SubmissionOutOfOrder")
    assert verdict(member, lei)[0] == "1"
    assert member.ingest_csv(f"lei,nace\n{lei},2\n", part(2, submission)).status == 200
    assert member.ingest(record(lei, "3"), part(3, submission)).status == 200
    assert verdict(member, lei)[0] == "3"
    insist_error(member.ingest(record(lei), part(2, uuid.uuid4().hex)), 400, "SubmissionOutOfOrder")


def test_a_part_that_is_refused_may_be_sent_again_corrected(service):
    lei, submission = key(), uuid.uuid4().hex
    member = service.member(0)
    assert member.ingest([record(lei, "bad"), record("")], part(1, submission)).status == 400
    insist_key_is_absent(member, lei)
    assert member.ingest(record(lei, "good"), part(1, submission)).status == 200
    assert verdict(member, lei)[0] == "good"


def test_submissions_of_two_callers_under_one_name_are_two(service):
    lei, submission = key(), uuid.uuid4().hex
    for index in (0, 1):
        assert service.member(index).ingest(record(lei, f"of {index}"), part(1, submission)).status == 200
        assert verdict(service.member(index), lei)[0] == f"of {index}"


@pytest.mark.parametrize("headers", [
    {"x-concordat-submission": "0123456789abcdef"}, {"x-concordat-part": "1"}, part(0, "0123456789abcdef"),
    part(-1, "0123456789abcdef"), part("one", "0123456789abcdef"), part(1, "short"), part(1, "x" * 65),
    part(1, "0123456789abcde/"), part(1 << 64, "0123456789abcdef")])
def test_part_headers_that_are_wrong_are_refused_and_nothing_is_stored(service, headers):
    lei = key()
    insist_error(service.member(0).ingest(record(lei), headers), 400, "InvalidInput")
    insist_key_is_absent(service.member(0), lei)


def test_a_part_that_was_acknowledged_is_known_after_a_restart(make_node):
    node = make_node()
    submission = uuid.uuid4().hex
    assert node.member(0).ingest(record("K", "one"), part(1, submission)).status == 200
    node.member(0).ingest(record("K", "since"))
    node.kill()
    node.launch()
    assert node.member(0).ingest(record("K", "one"), part(1, submission)).status == 200
    assert verdict(node.member(0), "K")[0] == "since"
    assert node.member(0).ingest(record("K", "two"), part(2, submission)).status == 200
    assert verdict(node.member(0), "K")[0] == "two"


# --- large reports

def test_a_large_report_is_streamed_whole_and_in_order(make_node):
    node = make_node()
    count, size = 20_000, 5_000
    for begin in range(0, count, size):
        records = [record(f"K{number:06}", f"V{number % 7}") for number in range(begin, begin + size)]
        assert node.member(0).ingest(records).status == 200
        assert node.member(1).ingest(records).status == 200
    answer = node.member(0).get("/app/report")
    assert answer.headers["transfer-encoding"] == "chunked" and "content-length" not in answer.headers
    assert answer.txid
    content = answer.json()["content"]
    assert list(answer.json()) == ENVELOPE
    assert [found["lei"] for found in content] == [f"K{number:06}" for number in range(count)]
    assert all(found["members_in_agreement"] == 2 for found in content)
    assert node.member(0).report("?limit=15000&after=K004999") == content[5000:]


def test_a_report_shows_one_moment_however_long_its_reading_takes(make_node):
    node = make_node()
    for begin in range(0, 20_000, 5_000):
        node.member(0).ingest([record(f"K{number:06}", "old") for number in range(begin, begin + 5_000)])
    with node.member(0).connect() as stream:
        stream.sendall(b"GET /app/report HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        data = stream.recv(1000)
        node.member(0).ingest([record("K000000", "new"), record("K019999", "new")])
        while b"\r\n0\r\n\r\n" not in data[-16:]:
            data += stream.recv(1 << 20)
    assert data.count(b'"old"') == 20_000 and b'"new"' not in data
