"""What all tables of payments have in common. Amounts are in minor units."""

from uuid import UUID

from sqlalchemy import ARRAY, MetaData, Text, Uuid
from sqlalchemy.orm import DeclarativeBase

from services.chassis.db.models import COLUMN_TYPES, NAMING

_TYPES = {**COLUMN_TYPES, str: Text(), list[str]: ARRAY(Text()), list[UUID]: ARRAY(Uuid())}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = _TYPES
