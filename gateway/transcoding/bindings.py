"""From service descriptors to routes: which method a verb and a path mean, most specific route first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from google.api import annotations_pb2, http_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from gateway.transcoding import path_template
from gateway.transcoding.path_template import Template, Variable
from services.chassis.rpc.policy import has_option

HTTP_BODY = "google.api.HttpBody"


class Unbindable(ValueError):
    """An annotation that cannot be served; raised while routes are built, so a gateway never starts with it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One HTTP method and path template of one RPC."""

    method: MethodDescriptor
    http_method: str
    # As written; also the name of the route in logs, metrics and spans.
    path: str
    template: Template
    request_class: type[Message]
    response_class: type[Message]
    # None: the HTTP body must be empty. "" stands for the whole request ("*" in the annotation).
    body: str | None
    # "" stands for the whole response.
    response_body: str
    # The request fields that take the headers and the address of a request signed by its sender; "" for all others.
    headers_field: str
    url_field: str

    @property
    def rpc(self) -> str:
        """The gRPC path, `/package.Service/Method`."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def body_field(self) -> FieldDescriptor | None:
        """The request field that the HTTP body fills, when it is one field."""
        return self.method.input_type.fields_by_name[self.body] if self.body else None

    @property
    def raw_request(self) -> bool:
        """Whether the HTTP body passes as bytes instead of JSON."""
        return _body_type(self.method.input_type, self.body) == HTTP_BODY

    @property
    def is_signed(self) -> bool:
        """Whether the service wants the request as it came, to check its signature."""
        return bool(self.url_field)

    @property
    def is_upload(self) -> bool:
        """Whether the HTTP body passes as a stream of requests."""
        return bool(self.method.client_streaming)

    @property
    def is_stream(self) -> bool:
        """Whether there may be many answers."""
        return bool(self.method.server_streaming)

    @property
    def raw_response(self) -> bool:
        """Whether the answer passes as bytes instead of JSON."""
        return _body_type(self.method.output_type, self.response_body) == HTTP_BODY


def bindings(service: ServiceDescriptor) -> Iterator[Binding]:
    """Every binding of every annotated method; methods without annotation have no HTTP face."""
    for method in service.methods:
        options = method.GetOptions()
        if not options.HasExtension(annotations_pb2.http):
            continue
        rule = options.Extensions[annotations_pb2.http]
        for each in (rule, *rule.additional_bindings):
            try:
                yield _binding(method, each)
            except ValueError as error:
                raise Unbindable(f"{method.full_name}: {error}") from error


def _binding(method: MethodDescriptor, rule: http_pb2.HttpRule) -> Binding:
    if method.client_streaming and method.server_streaming:
        raise ValueError("a stream in both directions has no HTTP form")
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise ValueError("the annotation has no path")
    http_method, path = (
        (rule.custom.kind, rule.custom.path) if kind == "custom" else (kind.upper(), getattr(rule, kind))
    )
    template = path_template.parse(path)
    for variable in template.variables:
        _check_variable(method.input_type, variable)
    body = {"": None, "*": ""}.get(rule.body, rule.body)
    if body and body not in method.input_type.fields_by_name:
        raise ValueError(f"{method.input_type.full_name} has no field {body!r} to take the body")
    if rule.response_body and rule.response_body not in method.output_type.fields_by_name:
        raise ValueError(f"{method.output_type.full_name} has no field {rule.response_body!r} to answer with")
    if method.client_streaming and _body_type(method.input_type, body) != HTTP_BODY:
        raise ValueError(f"only a body of {HTTP_BODY} can be streamed up")
    headers_field, url_field = _head(method.input_type)
    if headers_field and _body_type(method.input_type, body) != HTTP_BODY:
        raise ValueError(f"only a request with a body of {HTTP_BODY} can be signed by its sender")
    return Binding(
        method=method,
        http_method=http_method,
        path=path,
        template=template,
        request_class=message_factory.GetMessageClass(method.input_type),
        response_class=message_factory.GetMessageClass(method.output_type),
        body=body,
        response_body=rule.response_body,
        headers_field=headers_field,
        url_field=url_field,
    )


def _head(request: Descriptor) -> tuple[str, str]:
    """The fields that take the headers and the address."""
    headers = [field for field in request.fields if has_option(field, "http_headers")]
    urls = [field for field in request.fields if has_option(field, "http_url")]
    if not headers and not urls:
        return "", ""
    if len(headers) != 1 or len(urls) != 1:
        raise ValueError(f"{request.full_name} needs one field for the headers and one for the address")
    entry, url = headers[0].message_type, urls[0]
    texts = [*entry.fields, url] if entry and entry.GetOptions().map_entry else []
    if not texts or url.is_repeated or any(field.type != FieldDescriptor.TYPE_STRING for field in texts):
        raise ValueError("the headers need a map<string, string>, the address a string")
    return headers[0].name, urls[0].name


def _check_variable(request: Descriptor, variable: Variable) -> None:
    message: Descriptor | None = request
    for index, name in enumerate(variable.field):
        target = message.fields_by_name.get(name) if message else None
        if target is None:
            raise ValueError(f"{request.full_name} has no field {'.'.join(variable.field[: index + 1])!r} for the path")
        if target.is_repeated:
            raise ValueError(f"the repeated field {name!r} cannot be part of a path")
        message = target.message_type
    if message is not None:
        raise ValueError(f"the message {'.'.join(variable.field)!r} cannot be part of a path")


def _body_type(message: Descriptor, selector: str | None) -> str | None:
    if selector is None:
        return None
    target = message.fields_by_name[selector].message_type if selector else message
    return target.full_name if target else None


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    # Verb → HTTP method → binding, for the routes that end here.
    ends: dict[str, dict[str, Binding]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A route found, with the still escaped path segments its variables are taken from."""

    binding: Binding
    raw_segments: list[bytes]


class Router:
    """A tree over path segments; a literal is tried before `*`, and `*` before `**`, at every level."""

    def __init__(self, services: Iterable[ServiceDescriptor]) -> None:
        """Raises Unbindable for an annotation that cannot be served or two that mean the same requests."""
        self.bindings = [binding for service in services for binding in bindings(service)]
        self._root = _Node()
        for binding in self.bindings:
            node = self._root
            for segment in binding.template.segments:
                node = node.children.setdefault(segment, _Node())
            methods = node.ends.setdefault(binding.template.verb, {})
            other = methods.setdefault(binding.http_method, binding)
            if other is not binding:
                raise Unbindable(
                    f"{binding.http_method} {binding.path} of {binding.method.full_name}"
                    f" is the same route as {other.path} of {other.method.full_name}"
                )

    def match(self, http_method: str, raw_path: bytes) -> Match | set[str]:
        """The most specific route, or the HTTP methods that the path allows (none: no such path).

        Raises ValueError for a path that cannot be decoded.
        """
        wanted = "GET" if http_method == "HEAD" else http_method
        allowed: set[str] = set()
        segments = path_template.split(raw_path)
        stem, colon, verb = segments[-1].rpartition(b":")
        # "x:cancel" is the verb "cancel" if such a route exists, and a plain segment otherwise.
        candidates = [([*segments[:-1], stem], path_template.literal(verb))] if colon else []
        for raw_segments, name in (*candidates, (segments, "")):
            for node in _ends(self._root, [path_template.literal(raw) for raw in raw_segments], 0):
                methods = node.ends.get(name, {})
                if binding := methods.get(wanted):
                    return Match(binding, raw_segments)
                allowed |= methods.keys()
        return allowed | {"HEAD"} if "GET" in allowed else allowed


def _ends(node: _Node, segments: list[str], index: int) -> Iterator[_Node]:
    """The nodes at which the whole path is used up, most specific first."""
    if index == len(segments):
        yield node
    elif segment := segments[index]:
        # A path that itself says "*" must not pass for the wildcard.
        exact = None if segment in path_template.WILDCARDS else node.children.get(segment)
        for child in (exact, node.children.get(path_template.ANY)):
            if child:
                yield from _ends(child, segments, index + 1)
    if rest := node.children.get(path_template.REST):
        yield rest
