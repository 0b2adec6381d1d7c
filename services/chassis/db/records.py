"""Thousands of rows in one statement with one parameter: several times faster than a statement for each."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase

from services.chassis.db.unit_of_work import UnitOfWork


async def insert_many(
    tx: UnitOfWork, model: type[DeclarativeBase], rows: Sequence[Mapping[str, object]], *, or_nothing: bool = False
) -> None:
    """Inserts rows that all have the columns of the first one; others keep their defaults.

    With `or_nothing` those that are there already stay as they are.
    """
    if not rows:
        return
    table, names = model.__tablename__, ", ".join(f'"{name}"' for name in rows[0])
    statement = (
        f"INSERT INTO {table} ({names}) SELECT {names}"  # noqa: S608 - names of models only
        f" FROM jsonb_populate_recordset(NULL::{table}, CAST(:rows AS jsonb))"
        f"{' ON CONFLICT DO NOTHING' if or_nothing else ''}"
    )
    await tx.session.execute(text(statement), {"rows": json.dumps(rows, default=str)})
