"""One HTTP binding of one RPC as an OpenAPI operation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.openapi import conditions
from gateway.openapi.errors import Reasons, common_reasons, default_response, error_responses, merge, named_reasons
from gateway.openapi.examples import Examples
from gateway.openapi.resources import Resources, example_id, snake_case
from gateway.openapi.rules import Json, constrained, is_required
from gateway.openapi.schemas import Schemas, Use, fields_of
from gateway.transcoding import values
from gateway.transcoding.bindings import Binding
from powerhouse.policy.v1.policy_pb2 import MethodPolicy, Role
from services.chassis.rpc.policy import Method, has_option

_JSON = "application/json"
_FIELD_MASK = "google.protobuf.FieldMask"
# How deep a query parameter may reach into nested messages.
_QUERY_DEPTH = 3


@dataclass
class Operations:
    """Makes operations; what they share grows in `schemas.components` and `error_examples`."""

    schemas: Schemas
    resources: Resources
    error_examples: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._examples = Examples(self.resources)

    def answer(self, binding: Binding, method: Method) -> Json:
        """The response of a success."""
        message = binding.method.output_type
        headers = {
            "X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"},
            **conditions.answer_headers(binding),
        }
        hidden = frozenset(each.name for each in message.fields if has_option(each, "session_cookie"))
        if hidden:
            headers["Set-Cookie"] = {"$ref": "#/components/headers/Set-Cookie"}
        if hidden or method.policy.scope != MethodPolicy.PUBLIC:
            headers["X-CSRF-Token"] = {"$ref": "#/components/headers/X-CSRF-Token"}
        return {"description": "Done.", "headers": headers, "content": self._answer_content(binding, message, hidden)}

    def _answer_content(self, binding: Binding, message: Descriptor, hidden: frozenset[str]) -> Json:
        if binding.raw_response:
            return {"*/*": {}}
        if binding.response_body:
            target = message.fields_by_name[binding.response_body]
            schema = self.schemas.property(target, Use.ANSWER)
            example = self._examples.field(target, Use.ANSWER)
        else:
            schema = self.schemas.reference(message, Use.ANSWER, hidden)
            example = self._examples.message(message, Use.ANSWER, hidden)
        if binding.method.server_streaming:
            event = {"type": "string", "description": "Each event's `data` is one message as JSON."}
            return {"application/x-ndjson": {"schema": schema}, "text/event-stream": {"schema": event}}
        return {_JSON: {"schema": schema, "example": example}}

    def operation(self, binding: Binding, method: Method, operation_id: str, tag: str) -> tuple[str, Json]:
        """The plain path and the operation without its success."""
        service = binding.method.containing_service.full_name
        comment = self.schemas.comments.get(binding.method.full_name, "")
        path, path_parameters = self.resources.path(binding)
        reasons = named_reasons(comment, lambda name: self.schemas.comments.get(f"{service}.{name}", ""))
        merge(reasons, common_reasons(binding, method))
        if method.tenant_field and self._refers(binding):
            merge(reasons, {"INVALID_ARGUMENT": ["FOREIGN_RESOURCE"]})
        operation: Json = {
            "operationId": operation_id,
            "tags": [tag],
            "summary": comment.split(". ")[0].rstrip(".").replace("`", "") or operation_id,
            "description": f"{comment}\n\n{allowed_to(method.policy)}".strip(),
            "x-grpc-method": binding.rpc,
            "security": security(method.policy, binding.http_method),
            "parameters": [
                *self._path_parameters(path_parameters),
                *self._query_parameters(binding),
                *self._key_parameter(binding, method),
                *([conditions.PARAMETER] if conditions.is_conditional(binding) else []),
            ],
            "responses": self._other_answers(binding, reasons),
        }
        if body := self._body(binding, method):
            operation["requestBody"] = body
        return path, operation

    def _refers(self, binding: Binding) -> bool:
        """Whether the request names resources besides the one in its path."""
        message = binding.method.input_type
        inner = [each.message_type for each in message.fields if each.message_type]
        names = {each.name for owner in (message, *inner) for each in owner.fields} - {"account"}
        return any(self.resources.pattern(name) or self.resources.pattern(name.removesuffix("s")) for name in names)

    def _other_answers(self, binding: Binding, reasons: Reasons) -> Json:
        unchanged = {"304": conditions.NOT_MODIFIED} if conditions.is_conditional(binding) else {}
        return {**unchanged, **error_responses(reasons, self.error_examples), "default": default_response()}

    def _path_parameters(self, parameters: dict[str, str]) -> Iterator[Json]:
        for name, collection in parameters.items():
            yield {
                "name": name,
                "in": "path",
                "required": True,
                "description": f"The id after `{collection}/`." if collection else "",
                "schema": {"type": "string", "minLength": 1},
                "example": example_id(snake_case(name)),
            }

    def _query_parameters(self, binding: Binding) -> Iterator[Json]:
        if binding.body == "" or binding.is_signed:
            return
        taken = {variable.field for variable in binding.template.variables} | {("request_id",)}
        for fields in _leaves(binding.method.input_type):
            names = tuple(each.name for each in fields)
            if names not in taken and names[0] != binding.body:
                yield self._query_parameter(binding, fields)

    def _query_parameter(self, binding: Binding, fields: tuple[FieldDescriptor, ...]) -> Json:
        leaf = fields[-1]
        schema = self.schemas.property(leaf, Use.REQUEST)
        example = self._examples.field(leaf, Use.REQUEST)
        if leaf.message_type and leaf.message_type.full_name == _FIELD_MASK and binding.body_field:
            changeable = _changeable(binding.body_field.message_type)
            schema["pattern"] = f"^({'|'.join(changeable)})(,({'|'.join(changeable)}))*$"
            schema.setdefault("description", "The fields to change, separated by commas; without it those in the body.")
            example = changeable[0]
        parameter: Json = {"name": ".".join(each.json_name for each in fields), "in": "query"}
        if description := schema.pop("description", ""):
            parameter["description"] = description
        if all(is_required(each) for each in fields):
            parameter["required"] = True
        parameter["schema"] = schema
        # A token of a page or an etag that somebody else got would not do: these stay empty.
        if leaf.name not in ("page_token", "etag"):
            parameter["example"] = example
        return parameter

    def _key_parameter(self, binding: Binding, method: Method) -> Iterator[Json]:
        if method.needs_key:
            key = binding.method.input_type.fields_by_name["request_id"]
            yield {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "Made by the caller, one for each thing to do. A repeat with the same key does nothing"
                " more and answers what the first call answered, for 48 hours.",
                "schema": {**constrained({"type": "string"}, key), "minLength": 1},
                "example": example_id("request"),
            }

    def _body(self, binding: Binding, method: Method) -> Json | None:
        if binding.body is None:
            return None
        if binding.raw_request:
            return {"required": True, "content": {"*/*": {}}}
        message = binding.method.input_type
        if target := binding.body_field:
            use = Use.PATCH if binding.http_method == "PATCH" else Use.REQUEST
            schema = self.schemas.property(target, use)
            example = self._examples.field(target, use)
            required = is_required(target)
        else:
            outside = {variable.field[0] for variable in binding.template.variables}
            without = frozenset(outside | ({"request_id"} if method.needs_key else set()))
            if not fields_of(message, Use.REQUEST, without):
                return None
            schema = self.schemas.object(message, Use.REQUEST, without)
            example = self._examples.message(message, Use.REQUEST, without)
            required = "required" in schema
        return {"required": required, "content": {_JSON: {"schema": schema, "example": example}}}


def allowed_to(policy: MethodPolicy) -> str:
    """Who may call, in words."""
    if policy.scope == MethodPolicy.PUBLIC:
        return "**Allowed to** everybody, without signing in."
    if policy.scope == MethodPolicy.ACCOUNT:
        return "**Allowed to** everybody who is signed in; not to API keys."
    parts = []
    if policy.roles:
        parts.append(", ".join(_spoken(role) for role in policy.roles))
    if policy.own_roles:
        parts.append(f"{', '.join(_spoken(role) for role in policy.own_roles)} (only what is theirs)")
    return f"**Allowed to** {'; '.join(parts)}."


def security(policy: MethodPolicy, http_method: str) -> list[Json]:
    """The ways to sign a call: a session (with the CSRF token for a write), or an API key."""
    if policy.scope == MethodPolicy.PUBLIC:
        return []
    session: Json = {"session": []} if http_method == "GET" else {"session": [], "csrf": []}
    # A key holds a role of those who work in a studio; only a person can be a client.
    for_keys = {*policy.roles, *policy.own_roles} - {Role.ROLE_CLIENT}
    return [session, {"apiKey": []}] if for_keys else [session]


def _spoken(role: Role.ValueType) -> str:
    return Role.Name(role).removeprefix("ROLE_").replace("_", " ").lower()


def _changeable(resource: Descriptor | None) -> list[str]:
    assert resource
    return [field.json_name for field in fields_of(resource, Use.PATCH) if field.name != "etag"]


def _leaves(message: Descriptor, above: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """The fields that one query parameter can say, with those on the way to them."""
    for each in fields_of(message, Use.REQUEST):
        here = (*above, each)
        if values.is_single(each):
            yield here
        elif not each.is_repeated and each.message_type and len(here) < _QUERY_DEPTH:
            yield from _leaves(each.message_type, here)
