"""Files in and out: imports and exports."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from services.booking.models.base import Base
from services.chassis.db.models import Tenanted, Versioned


class Import(Tenanted, Versioned, Base):
    """A CSV file of another system, how it is read, and how far its latest check or run is."""

    __tablename__ = "imports"

    # Names of the proto's enums, as are `state` and `date_order`; `encoding` is one of `import_files.CODECS`.
    kind: Mapped[str]
    # The system that the file is from.
    source: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="UPLOADED")
    # The blob; None when the file is gone.
    sha256: Mapped[bytes | None]
    # Bytes.
    size: Mapped[int] = mapped_column(BigInteger)
    encoding: Mapped[str]
    delimiter: Mapped[str]
    header: Mapped[list[str]]
    # Field → name of its column.
    columns: Mapped[dict[str, Any]]
    date_order: Mapped[str]
    time_zone: Mapped[str]
    # Where the first row is: bytes before it, and its line from 1.
    first_position: Mapped[int]
    first_line: Mapped[int]
    # Where the next row is that was not read yet.
    position: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[int]
    # Of the latest check or run; fences its jobs.
    run_id: Mapped[UUID | None]
    # Who started it.
    principal: Mapped[str] = mapped_column(server_default="")
    # 0 until somebody has seen them all.
    rows_total: Mapped[int] = mapped_column(server_default="0")
    rows_created: Mapped[int] = mapped_column(server_default="0")
    rows_updated: Mapped[int] = mapped_column(server_default="0")
    rows_unchanged: Mapped[int] = mapped_column(server_default="0")
    rows_refused: Mapped[int] = mapped_column(server_default="0")
    # Why it failed; empty otherwise.
    reason: Mapped[str] = mapped_column(server_default="")


class ImportRow(Base):
    """What came of a row. Nothing of what it says is kept."""

    __tablename__ = "import_rows"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    # A name of the proto's ImportRow.Outcome.
    outcome: Mapped[str]
    reason: Mapped[str]
    # Name of the column at fault.
    column: Mapped[str]
    resource_id: Mapped[UUID | None]


class ImportKey(Base):
    """By what a row of a file that is being read would be known again; digests, gone when the file is at its end."""

    __tablename__ = "import_keys"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int]


class ExternalId(Base):
    """What something is called in the system that it was imported from."""

    __tablename__ = "external_ids"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    # A kind of import.
    kind: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID]


class Export(Tenanted, Versioned, Base):
    """Everything of the studio as a zip."""

    __tablename__ = "exports"

    # A name of the proto's Export.State.
    state: Mapped[str] = mapped_column(server_default="RUNNING")
    progress_percent: Mapped[int] = mapped_column(server_default="0")
    # In all tables.
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # Bytes.
    size: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # The blob; None before it is written and when its time is over.
    sha256: Mapped[bytes | None]
    expire_time: Mapped[datetime | None]
