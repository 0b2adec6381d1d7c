"""From gRPC answers to HTTP bodies: messages as proto3 JSON, raw bodies as they are, errors as AIP-193 says."""

from __future__ import annotations

from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from gateway.transcoding.bindings import Binding
from gateway.transcoding.json_writer import writer

# Loaded, so that these types can be rendered inside google.protobuf.Any.
_DETAILS = error_details_pb2.DESCRIPTOR


def encode_response(binding: Binding, message: Message, without: frozenset[str] = frozenset()) -> tuple[bytes, str]:
    """The HTTP body and its content type; `without` names top-level fields that stay out of it."""
    if binding.raw_response:
        raw: Any = getattr(message, binding.response_body) if binding.response_body else message
        return raw.data, raw.content_type or "application/octet-stream"
    document: Any = writer(binding.method.output_type)(message)
    for name in without:
        document.pop(message.DESCRIPTOR.fields_by_name[name].json_name, None)
    if binding.response_body:
        field = message.DESCRIPTOR.fields_by_name[binding.response_body]
        return orjson.dumps(document.get(field.json_name)), "application/json"
    return orjson.dumps(document), "application/json"


def encode_error(status: status_pb2.Status, http_status: int) -> bytes:
    """`{"error": {"code", "status", "message", "details"}}`; a detail of an unknown type is left out."""
    details = []
    for detail in status.details:
        try:
            details.append(json_format.MessageToDict(detail))
        except (TypeError, DecodeError, json_format.Error):
            continue
    return orjson.dumps(
        {
            "error": {
                "code": http_status,
                "status": code_pb2.Code.Name(status.code) if status.code in code_pb2.Code.values() else "UNKNOWN",
                "message": status.message,
                "details": details,
            }
        }
    )
