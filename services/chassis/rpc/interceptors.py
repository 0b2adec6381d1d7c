"""What happens to every call, in this order: metrics and log, errors, deadline, auth, validation, idempotency key."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import protovalidate
from google.protobuf.message import Message

from powerhouse.policy.v1.policy_pb2 import MethodPolicy
from services.chassis.auth.principal import ANONYMOUS, Principal
from services.chassis.auth.tokens import TokenVerifier
from services.chassis.clock import monotonic
from services.chassis.errors import DomainError, InvalidArgument, PermissionDenied, Unauthenticated, Unavailable
from services.chassis.ids import NO_TENANT, new_id
from services.chassis.outages import is_outage
from services.chassis.rpc.call import Call, set_current_call
from services.chassis.rpc.policy import Method
from services.chassis.rpc.status import DETAILS_KEY, to_status
from services.chassis.rpc.uploads import end_early
from services.chassis.telemetry import RPC_SECONDS, logger

log = logger(__name__)
_INFRASTRUCTURE = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")
_validator = protovalidate.Validator()

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]  # generic in its stubs only


class PolicyInterceptor(grpc.aio.ServerInterceptor):
    """Serves the methods it has a policy for, and no others."""

    def __init__(self, methods: Mapping[str, Method], verifier: TokenVerifier) -> None:
        self._methods, self._verifier = methods, verifier

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(details)
        method = self._methods.get(details.method)
        if handler is None or method is None:
            if handler is not None and not details.method.startswith(_INFRASTRUCTURE):
                raise RuntimeError(f"{details.method} is served without a policy")
            return handler
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream), handler.request_deserializer, handler.response_serializer
            )
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._upload(method, handler.stream_unary), handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler.unary_unary), handler.request_deserializer, handler.response_serializer
        )

    def _unary(self, method: Method, behaviour: Any) -> Any:
        async def serve(request: Message, context: Context) -> Message:
            started = monotonic()
            try:
                async with asyncio.timeout(_time_left(method, context)):
                    self._begin(method, request, context)
                    response: Message = await behaviour(request, context)
                    return response
            except BaseException as error:
                await _refuse(method, context, error)
                raise
            finally:
                _report(method, context, started)

        return serve

    def _begin(self, method: Method, request: Message, context: Context) -> None:
        metadata = dict(context.invocation_metadata() or ())
        names = context.auth_context().get("x509_common_name", ())
        member = next(iter(names)).decode() if names else ""
        principal = _principal(self._verifier, metadata, member)
        set_current_call(admit(method, request, principal, _address(context, metadata, member)))

    def _upload(self, method: Method, behaviour: Any) -> Any:
        """The first request says what the upload is for, and is what the policy looks at."""

        async def serve(requests: AsyncIterator[Message], context: Context) -> Message:
            rest = aiter(requests)

            async def all_requests(first: Message) -> AsyncIterator[Message]:
                yield first
                async for request in rest:
                    yield request

            async def begin(first: Message, context: Context) -> Message:
                try:
                    response: Message = await behaviour(all_requests(first), context)
                except DomainError:
                    await end_early(rest, context)
                    raise
                return response

            try:
                async with asyncio.timeout(_time_left(method, context)):
                    first = await anext(rest)
            except StopAsyncIteration:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the upload is empty")
            except TimeoutError:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the upload did not begin")
            answer: Message = await self._unary(method, begin)(first, context)
            return answer

        return serve

    def _stream(self, method: Method, behaviour: Any) -> Any:
        async def serve(request: Message, context: Context) -> AsyncIterator[Message]:
            started = monotonic()
            try:
                async with asyncio.timeout(_time_left(method, context)):
                    self._begin(method, request, context)
                    async for response in behaviour(request, context):
                        yield response
            except (GeneratorExit, asyncio.CancelledError):
                raise
            except BaseException as error:
                await _refuse(method, context, error)
                raise
            finally:
                _report(method, context, started)

        return serve


def admit(method: Method, request: Message, principal: Principal, client_address: str) -> Call:
    """Decides whether a call may go on; permission comes before validation, and both before existence.

    Raises Unauthenticated, PermissionDenied or InvalidArgument.
    """
    tenant = _authorize(method, request, principal)
    _validate(request)
    request_id = getattr(request, "request_id", "") if method.needs_key else ""
    if method.needs_key and not request_id:
        raise InvalidArgument(
            "request_id", "an idempotency key is required for this write", reason="IDEMPOTENCY_KEY_REQUIRED"
        )
    return Call(
        definition=method,
        principal=principal,
        tenant=tenant,
        request_id=request_id,
        request_hash=_hash(request) if request_id else b"",
        client_address=client_address,
    )


def _authorize(method: Method, request: Message, principal: Principal) -> UUID:
    policy = method.policy
    if policy.scope == MethodPolicy.PUBLIC:
        return NO_TENANT
    if policy.scope == MethodPolicy.SYSTEM:
        if principal.service not in policy.callers:
            raise PermissionDenied("this is for services of the mesh", reason="CALLER_NOT_ALLOWED")
        return method.tenant(request) if method.tenant_field else NO_TENANT
    if not principal.signed_in:
        raise Unauthenticated("sign in first", reason="NOT_SIGNED_IN")
    if policy.scope == MethodPolicy.ACCOUNT:
        if principal.account_id is None:
            raise PermissionDenied("this is for people, not for programs", reason="ACCOUNT_REQUIRED")
        return NO_TENANT
    tenant = method.tenant(request)
    if not principal.roles_in(tenant) & {*policy.roles, *policy.own_roles}:
        raise PermissionDenied("your role in this studio does not allow this", reason="ROLE_REQUIRED")
    return tenant


def _validate(request: Message) -> None:
    # PostgreSQL's text has no NUL. Most requests have none among their bytes, so only few are searched.
    if b"\0" in request.SerializeToString() and (field := _field_with_nul(request)):
        raise InvalidArgument(field, "must not contain the character NUL")
    violations = [
        violation
        for violation in _validator.collect_violations(request)
        if _is_in_force(violation.proto.field, request)
    ]
    if violations:
        raise InvalidArgument.of_fields(
            [(_field_path(violation.proto.field), _said(violation)) for violation in violations]
        )


def _said(violation: Any) -> str:
    """What is wrong, in words where the rule is a pattern for texts that say anything at all."""
    return "must not be blank" if violation.rule_value == r"\S" else str(violation.proto.message)


def _is_in_force(path: Any, request: Message) -> bool:
    """Whether a field's rule holds: in an update (AIP-134) only for the fields of the resource that it changes."""
    mask = getattr(request, "update_mask", None)
    if mask is None or path is None or len(path.elements) < 2:
        return True
    resource: Message = getattr(request, path.elements[0].field_name)
    changed = mask.paths or [field.name for field, _ in resource.ListFields()]
    return "*" in changed or path.elements[1].field_name in changed


def _field_with_nul(message: Message) -> str:
    """Path of the first string that contains NUL, or empty."""
    for field, value in message.ListFields():
        for item in value if field.is_repeated else (value,):
            if isinstance(item, str) and "\0" in item:
                return field.name
            if isinstance(item, Message) and (inner := _field_with_nul(item)):
                return f"{field.name}.{inner}"
    return ""


def _field_path(path: Any) -> str:
    if path is None:  # a rule of the whole message
        return ""
    parts = []
    for element in path.elements:
        subscript = element.subscript
        parts.append(element.field_name + (f"[{subscript.value}]" if subscript is not None else ""))
    return ".".join(parts)


def _hash(request: Message) -> bytes:
    copy = type(request)()
    copy.CopyFrom(request)
    copy.ClearField("request_id")
    return hashlib.sha256(copy.SerializeToString(deterministic=True)).digest()


def _principal(verifier: TokenVerifier, metadata: Mapping[str, str | bytes], member: str) -> Principal:
    """Whom the token speaks for; without one the member of the mesh that calls, known by its certificate."""
    authorization = str(metadata.get("authorization", ""))
    if authorization:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("the authorization must be a bearer token", reason="TOKEN_INVALID")
        return verifier.verify(token)
    return Principal(service=member) if member else ANONYMOUS


def _address(context: Context, metadata: Mapping[str, str | bytes], member: str) -> str:
    """Only a member of the mesh is believed about others: on the public port anyone could make one up."""
    forwarded = str(metadata.get("x-forwarded-for", "")) if member else ""
    return forwarded or str(context.peer())


def _time_left(method: Method, context: Context) -> float:
    remaining = context.time_remaining()
    return method.deadline if remaining is None else min(method.deadline, remaining)


async def _refuse(method: Method, context: Context, error: BaseException) -> None:
    """Answers an error: a domain error as itself, an unexpected one as an id, a cancelled call not at all."""
    if isinstance(error, asyncio.CancelledError | grpc.aio.AbortError):
        return
    if isinstance(error, TimeoutError):
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "it took too long; whether it happened is not known")
    if is_outage(error):
        log.warning("dependency_unavailable", method=method.path, error=type(error).__name__)
        error = Unavailable("a part of the system is away; try again", reason="DEPENDENCY_UNAVAILABLE", retry_after=1)
    if isinstance(error, DomainError):
        status = to_status(error)
        context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
        await context.abort(error.code, error.message)
    error_id = new_id().hex[-12:]
    log.error("unexpected_error", method=method.path, error_id=error_id, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, f"something went wrong on our side (error {error_id})")


def _report(method: Method, context: Context, started: float) -> None:
    seconds = monotonic() - started
    status: Any = context.code()  # 0 until something sets it
    code = status.name if isinstance(status, grpc.StatusCode) else "CANCELLED" if context.cancelled() else "OK"
    RPC_SECONDS.labels(method.path, code).observe(seconds)
    log.info("rpc", method=method.path, code=code, ms=round(seconds * 1000, 1))
