"""All our proto services and messages, from the generated image."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor, ServiceDescriptor

ROOT = Path(__file__).parents[2]


def files() -> list[FileDescriptor]:
    """Every file below protos/powerhouse, imported as its generated module."""
    modules = []
    for proto in sorted((ROOT / "protos" / "powerhouse").rglob("*.proto")):
        dotted = ".".join(proto.relative_to(ROOT / "protos").with_suffix("").parts)
        modules.append(import_module(f"{dotted}_pb2").DESCRIPTOR)
    return modules


def services() -> list[ServiceDescriptor]:
    return [service for file in files() for service in file.services_by_name.values()]


def methods() -> list[MethodDescriptor]:
    return [method for service in services() for method in service.methods]


def messages() -> Iterator[Descriptor]:
    """Every message, nested ones too."""
    pending = [message for file in files() for message in file.message_types_by_name.values()]
    while pending:
        message = pending.pop()
        yield message
        pending.extend(message.nested_types)


def comments() -> dict[str, str]:
    """The comment above each RPC, from the image with source information."""
    image = descriptor_pb2.FileDescriptorSet.FromString((ROOT / "gen" / "image.binpb").read_bytes())
    found = {}
    for file in image.file:
        texts = {tuple(location.path): location.leading_comments.strip() for location in file.source_code_info.location}
        for number, service in enumerate(file.service):
            for index, method in enumerate(service.method):
                # Field numbers of FileDescriptorProto.service and ServiceDescriptorProto.method.
                found[f"{file.package}.{service.name}.{method.name}"] = texts.get((6, number, 2, index), "")
    return found
