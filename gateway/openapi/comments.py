"""What the contracts say in their comments, by the full name of what they stand above."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import descriptor_pb2
from google.rpc import code_pb2

# The lists of a descriptor whose members have names, with their field numbers: the steps of a location's path.
_FILE = (("service", 6), ("message_type", 4), ("enum_type", 5))
_MEMBERS = {
    "service": (("method", 2),),
    "message_type": (("field", 2), ("nested_type", 3), ("enum_type", 4)),
    "nested_type": (("field", 2), ("nested_type", 3), ("enum_type", 4)),
    "enum_type": (("value", 2),),
}
# What is code already; a status or reason, or both; a field.
_STATUSES = "|".join(code_pb2.Code.keys())
_CODE = re.compile(
    rf"`[^`]*`|\b(?:{_STATUSES}|[A-Z]{{6,}}|[A-Z]+(?:_[A-Z]+)+)(?:/[A-Z_]+)?(?![A-Za-z_])|(?P<field>\b[a-z]+(?:_[a-z]+)+\b)"
)


def read_comments(image: bytes) -> dict[str, str]:
    """Comments in a FileDescriptorSet with source information; paragraphs are kept, line ends are not.

    An enum's value is named below its enum: `powerhouse.policy.v1.Role.ROLE_OWNER`. Statuses, reasons and fields are
    marked as code, fields by the names they have in JSON.
    """
    comments = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(image).file:
        texts = {
            tuple(location.path): _unwrapped(location.leading_comments or location.trailing_comments)
            for location in file.source_code_info.location
        }
        for path, name in _named(file, _FILE, (), file.package):
            if text := texts.get(path):
                comments[name] = text
    return comments


def _named(
    owner: Any, lists: Sequence[tuple[str, int]], path: tuple[int, ...], prefix: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    for kind, number in lists:
        for index, member in enumerate(getattr(owner, kind)):
            here, name = (*path, number, index), f"{prefix}.{member.name}"
            yield here, name
            yield from _named(member, _MEMBERS.get(kind, ()), here, name)


def _unwrapped(comment: str) -> str:
    paragraphs = "\n".join(line.strip() for line in comment.strip().splitlines()).split("\n\n")
    return _CODE.sub(_marked, "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))


def _marked(found: re.Match[str]) -> str:
    if field := found["field"]:
        first, *others = field.split("_")
        return f"`{first}{''.join(word.capitalize() for word in others)}`"
    return found[0] if found[0].startswith("`") else f"`{found[0]}`"
