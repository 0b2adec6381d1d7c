"""Which function answers which call, and which one a timer."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded.sandboxes.stripe.merchant import Merchant, public
from embedded.sandboxes.stripe.wire import Object, Params, Refusal

Answer = Callable[..., Object]
Timer = Callable[[Merchant, str], None]
Included = Callable[[Merchant, Object], Any]
FILTERS = ("customer", "payment_intent", "charge", "status", "type", "payout", "source", "invoice", "subscription")


@dataclass(frozen=True)
class Call:
    """A method and a path. `publishable`: a browser may make it, with the secret of the object it concerns."""

    method: str
    path: re.Pattern[str]
    answer: Answer
    publishable: bool


CALLS: list[Call] = []
TIMERS: dict[str, Timer] = {}
INCLUDED: dict[tuple[str, str], Included] = {}


def on(method: str, path: str, *, publishable: bool = False) -> Callable[[Answer], Answer]:
    """Registers a function for `GET /v1/things/{id}`; names in braces become its arguments."""

    def register(answer: Answer) -> Answer:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        CALLS.append(Call(method, re.compile(pattern), answer, publishable))
        return answer

    return register


def timer(kind: str) -> Callable[[Timer], Timer]:
    """Registers what happens when a timer of this kind is due."""

    def register(function: Timer) -> Timer:
        TIMERS[kind] = function
        return function

    return register


def included(kind: str, field: str) -> Callable[[Included], Included]:
    """Registers a field that an object has only when it is asked for by `expand`."""

    def register(function: Included) -> Included:
        INCLUDED[kind, field] = function
        return function

    return register


def route(method: str, path: str) -> tuple[Call, dict[str, str]]:
    """The call of a path and its arguments. Raises Refusal."""
    found = [
        (call, match.groupdict()) for call in CALLS if call.method == method and (match := call.path.fullmatch(path))
    ]
    if found:
        # A name of its own goes before an id in the same place.
        return min(found, key=lambda one: len(one[1]))
    message = f"Unrecognized request URL ({method}: {path}). docs/stripe-sandbox.md says what the sandbox knows."
    raise Refusal(message, status=404)


def readable(path: str, kind: str, filters: tuple[str, ...] = FILTERS) -> None:
    """Registers `GET` of one object and of their list."""

    @on("GET", f"{path}/{{id}}")
    def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
        return merchant.need(kind, id)

    @on("GET", path)
    def listing(merchant: Merchant, params: Params) -> Object:
        return listed(merchant, params, kind, path, filters)


def listed(
    merchant: Merchant,
    params: Params,
    kind: str,
    url: str,
    filters: tuple[str, ...] = (),
    where: str = "1",
    values: tuple[Any, ...] = (),
) -> Object:
    """A page of objects, newest first; `starting_after` and `ending_before` are ids."""
    limit = params.integer("limit", least=1) or 10
    if limit > 100:
        raise Refusal("This value must be less than or equal to 100.", code="parameter_invalid_integer", param="limit")
    bound: list[Any] = [*values]
    for name in filters:
        if (value := params.text(name)) is not None:
            where += f" AND json_extract(body, '$.{_column(kind, name)}') = ?"
            # SQLite reads true as 1.
            bound.append({"true": 1, "false": 0}.get(value, value))
    where, bound = _created(params, where, bound)
    after, before = params.text("starting_after"), params.text("ending_before")
    if after and before:
        raise Refusal("Received both starting_after and ending_before parameters.", code="parameters_exclusive")
    order = "number DESC"
    if after:
        where, bound = f"{where} AND number < ?", [*bound, _number(merchant, kind, after, "starting_after")]
    if before:
        where, bound = f"{where} AND number > ?", [*bound, _number(merchant, kind, before, "ending_before")]
        order = "number"
    found = merchant.store.find(merchant.id, kind, where, *bound, order=f"{order} LIMIT {limit + 1}")
    page = found[:limit] if not before else found[:limit][::-1]
    return {"object": "list", "data": page, "has_more": len(found) > limit, "url": url}


def collection(data: list[Object], url: str) -> Object:
    """A list inside an object, whole."""
    return {"object": "list", "data": data, "has_more": False, "url": url}


def render(merchant: Merchant, body: Any, paths: list[str]) -> Any:
    """A body for the wire, with what `expand` asks for. Raises Refusal."""
    if isinstance(body, list):
        return [render(merchant, one, paths) for one in body]
    if not isinstance(body, dict):
        return body
    shown = public(body)
    wanted: dict[str, list[str]] = {}
    for path in paths:
        head, _, rest = path.partition(".")
        wanted.setdefault(head, []).extend([rest] if rest else [])
    for name, value in shown.items():
        if name not in wanted:
            shown[name] = render(merchant, value, []) if isinstance(value, dict | list) else value
    for name, deeper in wanted.items():
        shown[name] = _expanded(merchant, body, name, deeper)
    return shown


def _expanded(merchant: Merchant, body: Object, name: str, deeper: list[str]) -> Any:
    include = INCLUDED.get((str(body.get("object")), name))
    if include:
        return render(merchant, include(merchant, body), deeper)
    if name not in public(body):
        raise Refusal(f"This property cannot be expanded ({name}).", param="expand")
    value = body[name]
    if isinstance(value, str):
        value = merchant.get(value)
        if value is None:
            raise Refusal(f"This property cannot be expanded ({name}).", param="expand")
    if isinstance(value, list):
        value = [merchant.get(one) if isinstance(one, str) else one for one in value]
    return render(merchant, value, deeper)


def _column(kind: str, name: str) -> str:
    return "_payout" if (kind, name) == ("balance_transaction", "payout") else name


def _created(params: Params, where: str, bound: list[Any]) -> tuple[str, list[Any]]:
    if "created" not in params:
        return where, bound
    if isinstance(params.raw("created"), str):
        return f"{where} AND created = ?", [*bound, params.integer("created")]
    span = params.nested("created")
    for name, operator in (("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<=")):
        if (value := span.integer(name)) is not None:
            where, bound = f"{where} AND created {operator} ?", [*bound, value]
    return where, bound


def _number(merchant: Merchant, kind: str, identity: str, param: str) -> int:
    merchant.need(kind, identity, param)
    row = merchant.store.row("SELECT number FROM objects WHERE account = ? AND id = ?", merchant.id, identity)
    assert row is not None
    return int(row["number"])
