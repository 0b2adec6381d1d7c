"""Settings from the environment: a frozen dataclass names its variables, and everything missing is reported at once."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


class ConfigurationError(Exception):
    """The environment lacks something or holds nonsense; the text lists every variable at fault."""


def env(name: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field read from the variable `name`, or from the file that `<name>_FILE` points to."""
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata={"env": name})
    return dataclasses.field(default=default, metadata={"env": name})


def load(settings: type[T], environ: Mapping[str, str] = os.environ) -> T:
    """Reads `settings` from the environment.

    Raises ConfigurationError that names every missing or malformed variable, never a value.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]  # T is a dataclass by contract
        name = field.metadata.get("env")
        if name is None:
            continue
        try:
            raw = read(name, environ)
        except OSError:
            faults.append(f"{name}_FILE cannot be read")
            continue
        if raw is None:
            if field.default is dataclasses.MISSING:
                faults.append(f"{name} is not set")
            continue
        try:
            values[field.name] = _convert(raw, hints[field.name])
        except ValueError:
            faults.append(f"{name} is malformed")
    if faults:
        raise ConfigurationError("; ".join(faults))
    return settings(**values)


def read(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The value of a variable, or of the file that `<name>_FILE` points to; None when neither is set or it is empty."""
    path = environ.get(f"{name}_FILE")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get(name) or None


def _convert(raw: str, hint: Any) -> Any:
    options = getattr(hint, "__args__", (hint,))
    if int in options:
        return int(raw)
    if float in options:
        return float(raw)
    if Path in options:
        return Path(raw)
    return raw


def targets(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Addresses of other services by name, from `POWERHOUSE_<SERVICE>_TARGET`."""
    prefix, suffix = "POWERHOUSE_", "_TARGET"
    return {
        name[len(prefix) : -len(suffix)].lower(): address
        for name, address in environ.items()
        if name.startswith(prefix) and name.endswith(suffix)
    }
