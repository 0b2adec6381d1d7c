"""Every operation of `/openapi.json`, called with what it allows and what not: no 5xx, no answer off its schema.

`make fuzz` runs it with a hundred examples of each kind; `make test` with a few.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.openapi.document import openapi
from gateway.transcoding.bindings import Router
from gateway.upstreams import CONTRACTS
from tests.support.product import Product, Visitor, eventually

EXAMPLES = int(os.environ.get("POWERHOUSE_FUZZ_EXAMPLES", "6"))
# How many of ten values come from the studio instead of from chance.
GOOD_OF_TEN = 9
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# A stream that does not end, and bytes instead of JSON: tests of their own in tests/integration.
STREAMS = {
    *("WatchClassSession", "WatchPurchase", "UploadStudioLogo", "DownloadStudioLogo"),
    *("ReceiveProviderEvents", "ReceiveStripeEvent", "Unsubscribe"),
}
OPERATIONS = [
    operation["operationId"]
    for path in openapi(Router(CONTRACTS).bindings, {})["paths"].values()
    for operation in path.values()
    if operation["operationId"] not in STREAMS
]


@dataclass
class Met:
    """What one operation answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    # Reasons that the document does not name for it.
    unnamed: set[str] = field(default_factory=set)


class Studio:
    """A studio of this test's own, with one of everything, and an API key of its owner."""

    def __init__(self, url: str) -> None:
        self.url, self.email, self.password = url, f"fuzz-{uuid4().hex}@visitors.example", "nine reformers in a row"
        self.owner = Visitor(url)
        self.owner.post(
            "/v1/accounts:signUp", {"email": self.email, "password": self.password, "displayName": "Fay Fuzz"}
        )
        zone = {"displayName": "Fuzz", "timeZone": "Europe/Berlin"}
        self.name = self.owner.post("/v1/studios", {**zone, "currencyCode": "EUR"})["name"]
        eventually(self._is_owner, what="the owner's role")
        # Values that lead somewhere, by the name of a path parameter, query parameter or field.
        self.good: dict[str, list[Any]] = {
            "studio": [self.name.split("/")[1]],
            "timeZone": ["Europe/Berlin", "America/New_York"],
            "currencyCode": ["EUR", "JPY"],
            "etag": [""],
            "pageToken": [""],
            "startTime": [(datetime.now(UTC) - timedelta(days=1)).isoformat()],
            "endTime": [(datetime.now(UTC) + timedelta(days=9)).isoformat()],
            "localStart": [
                f"{datetime.now(UTC) + timedelta(days=day):%Y-%m-%d}T{hour:02}:00"
                for day in (1, 2, 3)
                for hour in range(24)
            ],
            "spot": ["", "Reformer 1"],
            "account": [""],
        }
        self._furnish(zone)
        # Not among the good values: a call that revoked it would be the last one.
        self.key = self.owner.post(f"/v1/{self.name}/apiKeys", {"displayName": "Fuzz", "role": "ROLE_OWNER"})["secret"]

    def _is_owner(self) -> bool:
        try:
            return bool(self.owner.patch(f"/v1/{self.name}", {"displayName": "Fuzz"}))
        except AssertionError:
            return False

    def _furnish(self, zone: dict[str, str]) -> None:
        for number in range(3):
            location = self._make("locations", zone)["name"]
            room = self._make("rooms", {"displayName": f"Room {number}", "location": location, "capacity": 20})["name"]
            kind = self._make("classTypes", {"displayName": f"Flow {number}", "durationMinutes": 30})["name"]
            teacher = self._make("instructors", {"displayName": f"Ana {number}"})["name"]
            client = self._make("clients", {"displayName": f"Client {number}"})["name"]
            self._describe(client, number)
            pack = {"client": client, "displayName": "Pack", "credits": 500, "reason": "fuzz"}
            self._make("clientPackages:grant", pack)
            self._make("calendarFeeds", {"subject": client})
            for day in range(4, 8):
                start = f"{datetime.now(UTC) + timedelta(days=day):%Y-%m-%d}T10:00"
                session = {"classType": kind, "room": room, "instructor": teacher, "localStart": start}
                self._make("classSessions", session)
            self._repeat(kind, room, teacher, number)
            self._make("invitations", {"email": f"jo-{uuid4().hex}@visitors.example", "role": "ROLE_MANAGER"})
            self._make("apiKeys", {"displayName": "Spare", "role": "ROLE_FRONT_DESK"})
        self._make("exports", {})
        for _ in range(3):
            self._archive("rooms", {"displayName": "Spare", "location": self.good["location"][0], "capacity": 5})
            self._archive("locations", zone)
            self._archive("classTypes", {"displayName": "Spare", "durationMinutes": 30})
            self._archive("instructors", {"displayName": "Spare"})
        self._offer("roleBinding", self.owner.get(f"/v1/{self.name}/roleBindings")["roleBindings"][0]["name"])
        window = {"startTime": self.good["startTime"][0], "endTime": self.good["endTime"][0]}
        bookable = eventually(
            lambda: (
                self.owner.get(f"/v1/{self.name}/bookableSessions", **window)["bookableSessions"][11:] and self.good
            ),
            what="sessions that booking knows",
        )
        for client in bookable["client"]:
            for session in bookable["classSession"][:3]:
                self._make("bookings", {"classSession": session, "client": client})
        deliveries = eventually(lambda: self.owner.get(f"/v1/{self.name}/deliveries")["deliveries"], what="a delivery")
        self._offer("delivery", deliveries[0]["name"])
        for template in self.owner.get(f"/v1/{self.name}/messageTemplates")["messageTemplates"][:3]:
            self._offer("messageTemplate", template["name"])

    def _repeat(self, kind: str, room: str, teacher: str, number: int) -> None:
        """A class each week, and a day on which the studio is closed."""
        today = datetime.now(UTC).date()
        rule = {"rrule": "FREQ=WEEKLY", "startDate": f"{today}", "localTime": f"{16 + number}:00"}
        self._make(
            "classSchedules",
            {"displayName": "Evening", "classType": kind, "room": room, "instructor": teacher, **rule},
        )
        closed = f"{today + timedelta(days=60 + number)}"
        self._make("closures", {"closure": {"displayName": "Painting", "startDate": closed, "endDate": closed}})
        self.good["rrule"] = ["FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO,WE"]

    def _describe(self, client: str, number: int) -> None:
        self._make("clientTags", {"displayName": f"Tag {number}"})
        self._make("clientNotes", {"client": client, "kind": "GENERAL", "body": "Tall"})
        self.owner.post(f"/v1/{self.name}/waiver:publish", {"title": "Waiver", "text": "At my own risk."})
        self.good["waiverVersion"] = [number + 1]
        twins = [self.owner.post(f"/v1/{self.name}/clients", {"displayName": "Twin"})["name"] for _ in range(2)]
        merged = self.owner.post(f"/v1/{twins[0]}:merge", {"duplicate": twins[1]})
        self._offer("clientMerge", merged["name"])
        for role in ("guardian", "duplicate"):
            self._offer(role, twins[0])

    def _make(self, collection: str, body: Any) -> Any:
        made = self.owner.post(f"/v1/{self.name}/{collection}", body)
        kind = made["name"].split("/")[2]
        self._offer(kind.removesuffix("s"), made["name"])
        return made

    def _archive(self, collection: str, body: Any) -> None:
        """One that is in use by no class, and one that is archived already."""
        self._make(collection, body)
        self.owner.delete(f"/v1/{self._make(collection, body)['name']}")

    def _offer(self, kind: str, name: str) -> None:
        """Makes a resource a good value: its name in bodies, its id in paths."""
        self.good.setdefault(kind, []).append(name)


@pytest.fixture(scope="module")
def studio(running: Product) -> Studio:
    return Studio(running.url)


@pytest.fixture(scope="module")
def schema(running: Product) -> Any:
    loaded = schemathesis.openapi.from_dict(httpx.get(f"{running.url}/openapi.json").json())
    loaded.config.update(base_url=running.url)
    # Who calls is decided here, not by chance.
    loaded.config.generation.update(with_security_parameters=False)
    return loaded


@pytest.fixture(scope="module")
def met() -> Iterator[dict[str, Met]]:
    """Filled by all operations; shown by `pytest -s`."""
    operations: dict[str, Met] = defaultdict(Met)
    yield operations
    for name, each in sorted(operations.items()):
        print(f"{name:24} {dict(sorted(each.statuses.items()))}")


@pytest.mark.parametrize("operation_id", OPERATIONS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not-allowed"])
def test_operation(operation_id: str, mode: GenerationMode, schema: Any, studio: Studio, met: dict[str, Met]) -> None:
    operation = schema.find_operation_by_id(operation_id)
    definition = operation.definition.raw
    if mode is GenerationMode.NEGATIVE and not _can_be_wrong(definition):
        return
    caller = _caller(definition, studio)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), dice=st.randoms(use_true_random=False))
    def call(case: Case, dice: Any) -> None:
        if mode is GenerationMode.POSITIVE:
            for values in (case.path_parameters, case.query, case.body):
                _better(values, studio.good, dice, in_path=values is case.path_parameters)
            if "Idempotency-Key" in (case.headers or {}) and dice.randrange(10) < GOOD_OF_TEN:
                case.headers["Idempotency-Key"] = str(uuid4())
        elif "studio" in (case.path_parameters or {}) and dice.randrange(10) < GOOD_OF_TEN:
            case.path_parameters["studio"] = studio.good["studio"][0]
        response = case.call(session=caller)
        met[operation_id].statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            reasons = {each["reason"] for each in response.json()["error"]["details"] if "reason" in each}
            # The door's, which a fast machine meets anywhere.
            reasons.discard("RATE_LIMITED")
            met[operation_id].unnamed |= {
                reason for reason in reasons if f"`{reason}`" not in _descriptions(definition)
            }

    call()


def test_the_document_names_every_reason_met(met: dict[str, Met]) -> None:
    unnamed = sorted(f"{name}: {reason}" for name, each in met.items() for reason in each.unnamed)
    assert not unnamed, "\n".join(unnamed)


def test_most_operations_did_something(met: dict[str, Met], request: pytest.FixtureRequest) -> None:
    """Otherwise the fuzzing only ever met the doorkeeper."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    chosen = {each.params.get("operation_id") for each in parameters if each}
    if not set(OPERATIONS) <= chosen:
        pytest.skip("only when all operations are chosen")
    assert set(OPERATIONS) <= met.keys(), "the operations were not all called in this process"
    idle = sorted(name for name, each in met.items() if not each.statuses[200])
    assert len(idle) < len(OPERATIONS) / 2, idle


def _can_be_wrong(definition: Any) -> bool:
    """Whether more than ids in the path and ETags is given: any text may be one."""
    free = {"If-None-Match", *(each["name"] for each in definition["parameters"] if each["in"] == "path")}
    return "requestBody" in definition or any(each["name"] not in free for each in definition["parameters"])


def _descriptions(definition: Any) -> str:
    return " ".join(answer["description"] for answer in definition["responses"].values() if "description" in answer)


def _caller(definition: Any, studio: Studio) -> requests.Session:
    """The studio's API key; where only people may call, a session of the owner's, fresh since calls may end it."""
    session = requests.Session()
    # Failed sign-ins count against the caller's address: another one than that of all other tests.
    adapter = requests.adapters.HTTPAdapter()
    adapter.init_poolmanager(4, 4, source_address=("127.0.0.9", 0))
    session.mount("http://", adapter)
    if any("apiKey" in each for each in definition["security"]):
        session.headers["Authorization"] = f"Bearer {studio.key}"
    elif definition["security"]:
        visitor = Visitor(studio.url)
        visitor.post("/v1/accounts:signIn", {"email": studio.email, "password": studio.password})
        session.headers.update({"Cookie": visitor.cookie, "X-CSRF-Token": visitor.csrf})
    return session


def _better(values: Any, good: dict[str, list[Any]], dice: Any, *, in_path: bool) -> None:
    if not isinstance(values, dict):
        return
    for key in values.keys() & good.keys():
        if dice.randrange(10) < GOOD_OF_TEN:
            value = dice.choice(good[key])
            values[key] = value.rpartition("/")[2] if in_path else value
