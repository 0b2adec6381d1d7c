"""Preferences and consents on the wire."""

from collections.abc import Iterable
from datetime import time
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from powerhouse.notify.v1 import preference_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from services.chassis.errors import InvalidArgument
from services.chassis.rpc.codec import to_timestamp
from services.notify.local_words import LANGUAGES
from services.notify.models import ClientPreferences, Consent, Kind
from services.notify.preferences import ALL, CLIENT_KINDS

MUTABLE = ("opt_outs", "offsets", "quiet_hours", "time_zone", "language")
_NO_ZONES = {"localtime", "posixrules", "Factory"}


def decode(preferences: pb.Preferences, fields: Iterable[str]) -> dict[str, Any]:
    """Columns of ClientPreferences. Raises InvalidArgument."""
    columns: dict[str, Any] = {}
    for field in fields:
        if field == "quiet_hours":
            given = preferences.HasField("quiet_hours")
            quiet = preferences.quiet_hours
            columns["quiet_start"] = time.fromisoformat(quiet.start) if given else None
            columns["quiet_end"] = time.fromisoformat(quiet.end) if given else None
        else:
            columns[field] = _DECODERS[field](preferences)
    return columns


def encode(row: ClientPreferences, zone: str) -> pb.Preferences:
    """`zone` is the one that holds."""
    quiet = None
    if row.quiet_start is not None and row.quiet_end is not None:
        quiet = pb.Preferences.QuietHours(start=f"{row.quiet_start:%H:%M}", end=f"{row.quiet_end:%H:%M}")
    return pb.Preferences(
        name=f"studios/{row.tenant_id}/clients/{row.client_id}/preferences",
        opt_outs=[
            pb.Preferences.OptOut(kind=_kind(kind), channel=Delivery.Channel.Value(channel.upper()))
            for kind, _, channel in (text.partition("/") for text in row.opt_outs)
        ],
        offsets=[
            pb.Preferences.Offsets(channel=Delivery.Channel.Value(channel.upper()), minutes=minutes)
            for channel, minutes in sorted(row.offsets.items())
        ],
        quiet_hours=quiet,
        time_zone=row.time_zone,
        language=row.language,
        effective_time_zone=zone,
        etag=row.etag,
        update_time=to_timestamp(row.update_time),
    )


def decode_kind(kind: "Delivery.Kind.ValueType", field: str) -> str:
    """Raises InvalidArgument/KIND_NOT_OPTIONAL."""
    if not kind:
        return ALL
    name = Delivery.Kind.Name(kind).lower()
    if Kind(name) not in CLIENT_KINDS:
        raise InvalidArgument(field, "is not sent to clients", reason="KIND_NOT_OPTIONAL")
    return name


def encode_consent(row: Consent, client_id: UUID) -> pb.Consent:
    return pb.Consent(
        name=f"studios/{row.tenant_id}/clients/{client_id}/consents/{row.id}",
        kind=_kind(row.kind),
        channel=Delivery.Channel.Value(row.channel.upper()),
        granted=row.granted,
        source=pb.Consent.Source.Value(row.source.upper()),
        principal=row.principal,
        time=to_timestamp(row.at),
    )


def _opt_outs(preferences: pb.Preferences) -> list[str]:
    texts = set()
    for number, opt_out in enumerate(preferences.opt_outs):
        kind = decode_kind(opt_out.kind, f"preferences.opt_outs[{number}].kind")
        texts.add(f"{kind}/{Delivery.Channel.Name(opt_out.channel).lower()}")
    return sorted(texts)


def _offsets(preferences: pb.Preferences) -> dict[str, list[int]]:
    if len({offsets.channel for offsets in preferences.offsets}) < len(preferences.offsets):
        raise InvalidArgument("preferences.offsets", "name a channel twice")
    return {
        Delivery.Channel.Name(offsets.channel).lower(): sorted(offsets.minutes, reverse=True)
        for offsets in preferences.offsets
    }


def _time_zone(preferences: pb.Preferences) -> str:
    zone = preferences.time_zone
    if zone and zone not in available_timezones() - _NO_ZONES:
        raise InvalidArgument(
            "preferences.time_zone", "is not an IANA time zone such as Europe/Zurich", reason="UNKNOWN_TIME_ZONE"
        )
    return zone


def _language(preferences: pb.Preferences) -> str:
    if preferences.language and preferences.language not in LANGUAGES:
        raise InvalidArgument(
            "preferences.language", f"must be one of {', '.join(LANGUAGES)}", reason="UNKNOWN_LANGUAGE"
        )
    return preferences.language


_DECODERS = {"opt_outs": _opt_outs, "offsets": _offsets, "time_zone": _time_zone, "language": _language}


def _kind(text: str) -> "Delivery.Kind.ValueType":
    return Delivery.KIND_UNSPECIFIED if text == ALL else Delivery.Kind.Value(text.upper())
