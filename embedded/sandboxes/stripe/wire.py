"""Stripe's wire: form-encoded requests with nested names, and errors in the form that the SDK raises."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

API_VERSION = "2026-10-28.endive"
Object = dict[str, Any]


class Refusal(Exception):
    """An answer in Stripe's error form. Nothing that the request did stays, unless it is `kept`."""

    kept = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {}
        named = {"code": code, "param": param, **more}
        self.error: Object = {"type": kind, "message": message} | {k: v for k, v in named.items() if v is not None}


class Declined(Refusal):
    """The card was declined; an attempt at a payment is kept with its reason."""

    def __init__(self, message: str, *, kept: bool = False, **more: Any) -> None:
        super().__init__(message, status=402, kind="card_error", **more)
        self.kept = kept


def missing(what: str, name: str, param: str) -> Refusal:
    """No such object, or not of this account."""
    return Refusal(f"No such {what}: '{name}'", status=404, code="resource_missing", param=param)


class Params:
    """Parameters of one request; each is taken by name, so that what nobody took can be refused."""

    def __init__(self, values: dict[str, Any], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix
        self._taken: set[str] = set()
        self._inner: list[Params] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str | None = None) -> str | None:
        """A text; an empty one counts as unset."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise Refusal(f"Invalid string: {value}", param=self._path(name))
        return value or None

    def needed(self, name: str) -> str:
        """A text without which nothing can be done."""
        value = self.text(name)
        if value is None:
            path = self._path(name)
            raise Refusal(f"Missing required param: {path}.", code="parameter_missing", param=path)
        return value

    def integer(self, name: str, *, least: int | None = None) -> int | None:
        """A whole number, at least `least`."""
        value = self.text(name)
        if value is None:
            return None
        path = self._path(name)
        try:
            number = int(value)
        except ValueError:
            raise Refusal(f"Invalid integer: {value}", code="parameter_invalid_integer", param=path) from None
        if least is not None and number < least:
            message = f"This value must be greater than or equal to {least}."
            raise Refusal(message, code="parameter_invalid_integer", param=path)
        return number

    def decimal(self, name: str) -> float | None:
        """A number."""
        value = self.text(name)
        try:
            return None if value is None else float(value)
        except ValueError:
            raise Refusal(f"Invalid decimal: {value}", param=self._path(name)) from None

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.text(name)
        if value is None:
            return default
        if value not in ("true", "false"):
            raise Refusal(f"Invalid boolean: {value}", param=self._path(name))
        return value == "true"

    def choice(self, name: str, options: tuple[str, ...], default: str | None = None) -> str | None:
        """One of some words."""
        value = self.text(name, default)
        if value is not None and value not in options:
            raise Refusal(f"Invalid {name}: must be one of {', '.join(options)}", param=self._path(name))
        return value

    def nested(self, name: str) -> "Params":
        """Parameters inside a parameter; none when it is absent or empty."""
        value = self._take(name)
        if value and not isinstance(value, dict):
            raise Refusal(f"Invalid object: {value}", param=self._path(name))
        return self._made(value or {}, name)

    def each(self, name: str) -> list["Params"]:
        """A list of objects."""
        return [
            self._made(value if isinstance(value, dict) else {}, f"{name}[{number}]" if not self._prefix else name)
            for number, value in enumerate(self._listed(name))
        ]

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        return [str(value) for value in self._listed(name)]

    def raw(self, name: str) -> Any:
        """A parameter as it came, nested as it may be."""
        value = self._take(name)
        return None if value == "" else value

    def metadata(self, now: Object | None = None) -> Object:
        """The metadata after this request: an empty value removes its key, an empty `metadata` all of them."""
        value = self._take("metadata")
        if value is None:
            return now or {}
        if value == "":
            return {}
        if not isinstance(value, dict):
            raise Refusal("Invalid object", param=self._path("metadata"))
        merged = {**(now or {}), **{key: str(one) for key, one in value.items()}}
        for key, one in merged.items():
            if len(key) > 40 or len(one) > 500:
                message = "Metadata keys can be 40 and values 500 characters long."
                raise Refusal(message, param=self._path("metadata"))
        merged = {key: one for key, one in merged.items() if one != ""}
        if len(merged) > 50:
            raise Refusal("Metadata can have at most 50 keys.", param=self._path("metadata"))
        return merged

    def left(self) -> Iterator[str]:
        """Names that nobody asked for."""
        for name in self._values:
            if name not in self._taken:
                yield self._path(name)
        for inner in self._inner:
            yield from inner.left()

    def _made(self, values: dict[str, Any], name: str) -> "Params":
        inner = Params(values, self._path(name))
        self._inner.append(inner)
        return inner

    def _listed(self, name: str) -> list[Any]:
        value = self._take(name)
        if value is None or value == "":
            return []
        if not isinstance(value, list):
            raise Refusal("Invalid array", param=self._path(name))
        return value

    def _take(self, name: str) -> Any:
        self._taken.add(name)
        return self._values.get(name)

    def _path(self, name: str) -> str:
        return f"{self._prefix}[{name}]" if self._prefix else name


def decode(form: str) -> dict[str, Any]:
    """`a[b]=1&c[0]=x&d[]=y` → `{"a": {"b": "1"}, "c": ["x"], "d": ["y"]}`."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        head, _, rest = name.partition("[")
        steps = [head, *(rest[:-1].split("][") if rest else [])]
        place = tree
        for step in steps[:-1]:
            inner = place.setdefault(_named(step, place), {})
            if not isinstance(inner, dict):
                raise Refusal(f"Invalid parameter: {name}", param=head)
            place = inner
        place[_named(steps[-1], place)] = value
    return {name: _lists(value) for name, value in tree.items()}


def _named(step: str, place: dict[str, Any]) -> str:
    return step or str(len(place))


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(inner) for key, inner in value.items()}
