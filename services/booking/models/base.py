"""What all tables of booking have in common, and the views it reads them through."""

from sqlalchemy import ARRAY, MetaData, Text
from sqlalchemy.orm import DeclarativeBase

from services.chassis.db.models import COLUMN_TYPES, NAMING

_TYPES = {**COLUMN_TYPES, str: Text(), list[str]: ARRAY(Text())}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = _TYPES


class View(DeclarativeBase):
    """Read-only: what several queries want joined in the same way."""

    metadata = MetaData()
    type_annotation_map = _TYPES
