"""Sight: one trace from the click to the mail, metrics of every process, nothing personal anywhere."""

import json
from uuid import uuid4

import httpx

from embedded.programs import SERVICES
from tests.e2e.test_first_booking import bookable
from tests.support.product import Product, Visitor, eventually
from tests.support.traces import Receiver, SeenSpan

# Whom to write to is asked for many at once, and so in no trace.
STEPS = ("CreateBooking", "apply powerhouse.booking.v1.BookingChanged", "job booking_confirmation")


def _booked_anew(running: Product, display_name: str, email: str) -> tuple[Visitor, dict[str, str]]:
    owner, visitor = running.sign_in("owner"), Visitor(running.url)
    visitor.post("/v1/accounts:signUp", {"email": email, "password": "a long enough one", "displayName": display_name})
    client = visitor.post(f"/v1/{owner.studio}/clients:join", {"displayName": display_name, "email": email})
    owner.post(
        f"/v1/{owner.studio}/clientPackages:grant",
        {"client": client["name"], "displayName": "Welcome", "credits": 1, "reason": "first visit"},
    )
    session = bookable(visitor.get(f"/v1/{owner.studio}/bookableSessions", pageSize="200")["bookableSessions"])
    booking: dict[str, str] = visitor.post(f"/v1/{owner.studio}/bookings", {"classSession": session["classSession"]})
    return visitor, booking


def test_a_booking_is_one_trace(running: Product, traces: Receiver) -> None:
    email = f"{uuid4().hex}@visitors.example"
    _booked_anew(running, "Tina Trace", email)
    eventually(lambda: running.mails(email), what="the confirmation mail")

    def whole() -> list[SeenSpan]:
        # The demo's bookings came by gRPC, so their traces have no HTTP request. Parents arrive after their children.
        for spans in traces.traces().values():
            names, ids = " | ".join(span.name for span in spans), {span.span_id for span in spans}
            complete = all(not span.parent_id or span.parent_id in ids for span in spans)
            services = {span.service for span in spans}
            if complete and all(step in names for step in STEPS) and {"gateway", "payments"} <= services:
                return spans
        return []

    spans = eventually(whole, what="one trace from the click to the mail")
    # Payments earns what a class uses up of a pack.
    assert {span.service for span in spans} == {"gateway", "booking", "notify", "payments"}
    [root] = [span for span in spans if not span.parent_id]
    assert (root.service, "bookings" in root.name) == ("gateway", True)


def test_every_process_shows_its_metrics(running: Product) -> None:
    ports = {name: port for name, port in running.facts["ports"].items() if name.endswith(".metrics")}
    # Of the gateway, and of `serve` and `work` of each service.
    assert len(ports) == 1 + 2 * len(SERVICES)
    for name, port in ports.items():
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200, name
        wanted = ["process_cpu_seconds_total"]
        if name.endswith("serve.metrics"):
            wanted += ["powerhouse_rpc_seconds", "powerhouse_db_pool_in_use"]
        if name.endswith("work.metrics"):
            wanted += ["powerhouse_relay_lag_seconds", "powerhouse_queue_age_seconds", "powerhouse_job_seconds"]
        for metric in wanted:
            assert metric in text, f"{name} lacks {metric}"


def test_logs_are_json_with_trace_ids(running: Product) -> None:
    lines = (running.var / "log" / "booking.serve.log").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert all({"time", "level", "service", "process", "event"} <= record.keys() for record in records)
    assert any(record["event"] == "rpc" and record.get("trace_id") for record in records)


def test_nothing_personal_leaves_the_tables(running: Product, traces: Receiver) -> None:
    canary = f"Kanarienvogel{uuid4().hex}"
    email = f"{canary}@visitors.example".lower()
    visitor, _ = _booked_anew(running, canary, email)
    eventually(lambda: running.mails(email), what="the confirmation mail")
    visitor.post("/v1/accounts:signIn", {"email": email, "password": "a wrong password"}, expect=401)
    seen = [running.log()]
    seen += [json.dumps([span.name, span.attributes]) for span in traces.spans]
    for name, port in running.facts["ports"].items():
        if name.endswith(".metrics"):
            seen.append(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    for service in ("identity", "scheduling", "booking", "notify"):
        for table in ("outbox", "jobs", "dead_letters", "audit_entries"):
            seen += [row[0] for row in running.sql(service, f"SELECT to_jsonb(t)::text FROM {table} t")]
    places = [(text, text.lower().find(canary.lower())) for text in seen]
    assert [text[max(0, place - 200) : place + 100] for text, place in places if place >= 0] == []


def test_it_stays_small(running: Product) -> None:
    """After all that these tests have asked of it: what grows are caches, and they have an end."""
    assert 0.5 < running.memory() < 2.2
