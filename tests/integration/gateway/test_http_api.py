import json

import pytest

from tests.integration.gateway.house import BOOKINGS, STUDIO, House

KEY = {"authorization": "Bearer key-1", "idempotency-key": "k-1"}
JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def api_key(house: House) -> None:
    house.sign_in("key-1")


async def test_a_request_becomes_one_call(house: House) -> None:
    body = {"classSession": "studios/1/classSessions/2", "spot": "Reformer 3"}
    answer = await house.client.post(BOOKINGS, json=body, headers={**KEY, "x-request-id": "r-1"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "r-1"
    booking = answer.json()
    assert booking["name"] == f"studios/{STUDIO}/bookings/1"
    assert booking["policyVersion"] == str(2**60)
    assert booking["creditReturned"] is False
    [request] = house.booking.requests
    assert (request.parent, request.booking.class_session) == (f"studios/{STUDIO}", "studios/1/classSessions/2")
    assert (request.booking.spot, request.request_id) == ("Reformer 3", "k-1")
    assert house.booking.metadata["x-request-id"] == "r-1"
    assert house.booking.metadata["x-forwarded-for"] == "127.0.0.1"


async def test_only_known_headers_reach_the_service(house: House) -> None:
    forged = {
        "x-forwarded-for": "6.6.6.6",
        "x-powerhouse-account": "1",
        "x-request-id": "no good",
        "grpc-timeout": "1n",
        "cookie": "__Host-session=other",
    }
    answer = await house.client.post(BOOKINGS, json={"classSession": "x"}, headers={**KEY, **forged})
    assert answer.status_code == 200, answer.text
    received = house.booking.metadata
    assert received["x-forwarded-for"] == "127.0.0.1"
    assert received["x-request-id"] == answer.headers["x-request-id"] != forged["x-request-id"]
    assert received["authorization"] != KEY["authorization"]
    assert not {"x-powerhouse-account", "cookie", "idempotency-key"} & received.keys()


@pytest.mark.parametrize(
    ("spot", "http_status", "status", "reason"),
    [
        ("full", 400, "FAILED_PRECONDITION", "SESSION_FULL"),
        ("busy", 429, "RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS"),
    ],
)
async def test_a_domain_error_arrives_whole(
    house: House, spot: str, http_status: int, status: str, reason: str
) -> None:
    answer = await house.client.post(BOOKINGS, json={"classSession": "x", "spot": spot}, headers=KEY)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (http_status, http_status, status)
    assert error["details"][0]["reason"] == reason
    assert error["details"][0]["domain"] == "powerhouse.studio"
    assert answer.headers.get("retry-after") == ("2" if spot == "busy" else None)


async def test_an_unexpected_error_shows_an_id_and_not_its_text(house: House) -> None:
    answer = await house.client.post(BOOKINGS, json={"classSession": "x", "spot": "broken"}, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["status"]) == (500, "INTERNAL")
    assert "hunter2" not in answer.text


async def test_the_caller_may_shorten_the_deadline_and_not_stretch_it(house: House) -> None:
    answer = await house.client.post(
        BOOKINGS, json={"classSession": "x", "spot": "slow"}, headers={**KEY, "x-request-timeout": "0.2"}
    )
    assert (answer.status_code, answer.json()["error"]["status"]) == (504, "DEADLINE_EXCEEDED")
    await house.client.post(BOOKINGS, json={"classSession": "x"}, headers={**KEY, "x-request-timeout": "900"})
    assert 4 < house.booking.time_left < 6
    for nonsense in ("soon", "-1", "0", "nan", "1e9"):
        answer = await house.client.post(BOOKINGS, json={}, headers={**KEY, "x-request-timeout": nonsense})
        assert _field(answer.json()) == "X-Request-Timeout"


async def test_the_idempotency_key_becomes_the_request_id(house: House) -> None:
    bare = {"authorization": KEY["authorization"]}
    answer = await house.client.post(BOOKINGS, json={"classSession": "x"}, headers=bare)
    error = answer.json()["error"]
    assert (answer.status_code, error["details"][0]["reason"]) == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert _field(answer.json()) == "request_id"
    answer = await house.client.post(f"{BOOKINGS}?requestId=k-2", json={"classSession": "x"}, headers=bare)
    assert answer.status_code == 200
    assert house.booking.requests[-1].request_id == "k-2"
    answer = await house.client.post(f"{BOOKINGS}?requestId=k-2", json={"classSession": "x"}, headers=KEY)
    assert _field(answer.json()) == "request_id"


async def test_paths_and_methods_that_are_not_there(house: House) -> None:
    answer = await house.client.get("/v1/nowhere")
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
    answer = await house.client.delete(BOOKINGS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert answer.json()["error"]["code"] == 405
    answer = await house.client.get("/v1/%ff")
    assert _field(answer.json()) == "path"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b'{"spot": "\xff"}', "body"),
        (b"[]", "booking"),
        (b'{"colour": 1}', "booking.colour"),
        (b'{"spot": 1}', "booking.spot"),
        (b'{"spot": "a", "spot": "b"}', "spot"),
        (b'{"spot": "a"}', "booking.class_session"),
    ],
)
async def test_a_bad_body_is_refused_by_name_and_not_sent_on(house: House, body: bytes, field: str) -> None:
    answer = await house.client.post(BOOKINGS, content=body, headers={**KEY, **JSON})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert _field(answer.json()) == field
    assert not house.booking.requests


@pytest.mark.parametrize(
    ("headers", "http_status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({**JSON, "content-encoding": "gzip"}, 415),
        ({}, 415),
        ({"content-type": "Application/JSON; charset=UTF-8"}, 200),
    ],
)
async def test_a_body_must_be_json(house: House, headers: dict[str, str], http_status: int) -> None:
    answer = await house.client.post(BOOKINGS, content=b'{"classSession": "x"}', headers={**KEY, **headers})
    assert answer.status_code == http_status


async def test_sizes_are_bounded(house: House) -> None:
    big = json.dumps({"spot": "x" * 1024 * 1024}).encode()
    answer = await house.client.post(BOOKINGS, content=big, headers={**KEY, **JSON})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, 413)
    assert (await house.client.get(f"{BOOKINGS}?pageToken={'x' * 9000}", headers=KEY)).status_code == 414
    assert (await house.client.get(BOOKINGS, headers={**KEY, "x-junk": "x" * 40_000})).status_code == 431
    assert not house.booking.requests


async def test_raw_bodies_pass_both_ways(house: House) -> None:
    cover = b"\x89PNG\x00\xff"
    answer = await house.client.put("/v1/shelves/1/books/2/cover", content=cover, headers={"content-type": "image/png"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, cover, "image/png")


async def test_a_service_that_is_away_is_said_so_without_its_address(house: House) -> None:
    assert (await house.client.get("/readyz")).json() == {"ready": True, "notServing": []}
    await house.servers["booking"].drain(0, 0)
    answer = await house.client.get(BOOKINGS, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["status"]) == (503, "UNAVAILABLE")
    assert "127.0.0.1" not in answer.text
    answer = await house.client.get("/readyz")
    assert (answer.status_code, answer.json()["notServing"]) == (503, ["booking"])
    assert (await house.client.get("/healthz")).status_code == 200


async def test_every_answer_carries_the_headers_that_keep_browsers_safe(house: House) -> None:
    for path in ("/", "/healthz", "/v1/nowhere", BOOKINGS):
        headers = (await house.client.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"]
        assert headers["x-request-id"]


async def test_metrics_know_routes_and_not_paths(house: House) -> None:
    await house.client.post(BOOKINGS, json={"classSession": "x"}, headers=KEY)
    await house.client.get("/v1/secret-thing")
    metrics = (await house.client.get("/metrics")).text
    assert 'route="/v1/{parent=studios/*}/bookings",status="200"' in metrics
    assert str(STUDIO) not in metrics
    assert "secret-thing" not in metrics


def _field(document: dict[str, object]) -> object:
    error = document["error"]
    assert isinstance(error, dict)
    return error["details"][1]["fieldViolations"][0]["field"]
