"""Imports and their reports as messages."""

from powerhouse.booking.v1 import import_service_pb2 as pb
from services.booking.import_rows import WORDS
from services.booking.models import Import, ImportRow
from services.booking.refusals import NOT_NOW, to_error
from services.booking.rpc.names import name_of
from services.chassis.rpc.codec import to_timestamp

# What a row of each kind becomes.
_COLLECTIONS = {
    "CLIENTS": "clients",
    "CLIENT_PACKAGES": "clientPackages",
    "CLIENT_NOTES": "clientNotes",
    "BOOKINGS": "bookings",
}


def encode_import(found: Import) -> pb.Import:
    done = found.rows_created + found.rows_updated + found.rows_unchanged + found.rows_refused
    return pb.Import(
        name=name_of(found.tenant_id, "imports", found.id),
        kind=pb.Import.Kind.Value(found.kind),
        source=found.source,
        state=pb.Import.State.Value(found.state),
        # Which byte of a pair comes first is nobody's business.
        encoding=pb.Import.Encoding.Value(found.encoding.removesuffix("_LE").removesuffix("_BE")),
        delimiter=found.delimiter,
        header=found.header,
        columns=found.columns,
        date_order=pb.Import.DateOrder.Value(found.date_order),
        time_zone=found.time_zone,
        rows_total=found.rows_total,
        rows_done=done,
        rows_created=found.rows_created,
        rows_updated=found.rows_updated,
        rows_unchanged=found.rows_unchanged,
        rows_refused=found.rows_refused,
        progress_percent=found.position * 100 // found.size if found.run_id else 0,
        reason=found.reason,
        etag=found.etag,
        create_time=to_timestamp(found.create_time),
        update_time=to_timestamp(found.update_time),
    )


def encode_row(kind: str, row: ImportRow) -> pb.ImportRow:
    return pb.ImportRow(
        line=row.line,
        outcome=pb.ImportRow.Outcome.Value(row.outcome),
        reason=row.reason,
        column=row.column,
        message=_words(row.reason),
        resource=name_of(row.tenant_id, _COLLECTIONS[kind], row.resource_id) if row.resource_id else "",
    )


def _words(reason: str) -> str:
    if not reason:
        return ""
    return WORDS.get(reason) or NOT_NOW.get(reason) or to_error(reason).message
