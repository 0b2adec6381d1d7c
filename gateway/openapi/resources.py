"""Resource names (`google.api.resource`): what the ids in a path are called, and an example of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from uuid import UUID

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor

from gateway.transcoding.bindings import Binding
from gateway.transcoding.path_template import REST, WILDCARDS

_VARIABLE = re.compile(r"\{(\w+)\}")


class Resources:
    """The patterns of all resources: `studios/{studio}/bookings/{booking}`."""

    def __init__(self, messages: Iterable[Descriptor]) -> None:
        patterns = [
            pattern for each in messages for pattern in each.GetOptions().Extensions[resource_pb2.resource].pattern
        ]
        # By the last variable; by the last segment where there is none (`studios/{studio}/bookingPolicy`).
        self._patterns = {_key(pattern): pattern for pattern in reversed(patterns)}
        self._variables = {
            collection: variable[1:-1]
            for pattern in patterns
            for collection, variable in zip(pattern.split("/"), pattern.split("/")[1:], strict=False)
            if variable.startswith("{")
        }

    def pattern(self, name: str) -> str | None:
        """The pattern of the resources that a field of this name refers to."""
        return self._patterns.get(name)

    def example(self, name: str) -> str | None:
        """The name of such a resource."""
        pattern = self._patterns.get(name)
        return _VARIABLE.sub(lambda match: example_id(match[1]), pattern) if pattern else None

    def path(self, binding: Binding) -> tuple[str, dict[str, str]]:
        """A binding's path with plain parameters, and the last literal before each of them by the parameter's name."""
        parameters: dict[str, str] = {}
        parts = []
        for index, segment in enumerate(binding.template.segments):
            if segment not in WILDCARDS:
                parts.append(segment)
                continue
            before = binding.template.segments[index - 1] if index else ""
            name = self._parameter(binding, index, segment, before)
            while name in parameters:
                name += "2"
            parameters[name] = before
            parts.append(f"{{{name}}}")
        verb = f":{binding.template.verb}" if binding.template.verb else ""
        return "/" + "/".join(parts) + verb, parameters

    def _parameter(self, binding: Binding, index: int, segment: str, before: str) -> str:
        variable = next(
            (v for v in binding.template.variables if v.start <= index and (v.end is None or index < v.end)), None
        )
        if before in self._variables:
            return camel_case(self._variables[before])
        if variable and (segment == REST or index == variable.start):
            return camel_case(variable.field[-1])
        return camel_case(re.sub("s$", "", before) or "segment")


def example_id(variable: str) -> str:
    """A UUIDv7 that is the same wherever the same kind of thing is meant."""
    digest = hashlib.sha256(variable.encode()).hexdigest()
    return str(UUID(f"019aa3c0{digest[:4]}7{digest[4:7]}8{digest[7:22]}"))


def camel_case(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)[A-Z]", lambda match: "_" + match[0], name).lower()


def _key(pattern: str) -> str:
    last = pattern.rpartition("/")[2]
    return last[1:-1] if last.startswith("{") else snake_case(last)
