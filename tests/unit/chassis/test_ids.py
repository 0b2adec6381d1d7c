"""Ids grow with time; names are parsed in one spelling."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.errors import InvalidArgument
from services.chassis.ids import new_id, parse_child, parse_name


def test_ids_are_uuid7_and_grow_with_time() -> None:
    made = [new_id() for _ in range(1000)]
    assert {value.version for value in made} == {7}
    assert len(set(made)) == 1000
    assert [value.int >> 80 for value in made] == sorted(value.int >> 80 for value in made)


@given(st.uuids(), st.uuids())
def test_a_name_gives_back_its_ids(studio: UUID, room: UUID) -> None:
    assert parse_name(f"studios/{studio}/rooms/{room}", "studios/*/rooms/*", "name") == (studio, room)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "studios",
        "studios/1/rooms/2",
        "studios/01A2050B-CC5C-7FD9-A3FA-9E34EC4D4F29/rooms/01a2050b-cc5c-7fd9-a3fa-9e34ec4d4f29",
        "studios/01a2050b-cc5c-7fd9-a3fa-9e34ec4d4f29/spots/01a2050b-cc5c-7fd9-a3fa-9e34ec4d4f29",
        "studios/01a2050b-cc5c-7fd9-a3fa-9e34ec4d4f29/rooms/01a2050b-cc5c-7fd9-a3fa-9e34ec4d4f29/",
        "studios/{01a2050b-cc5c-7fd9-a3fa-9e34ec4d4f29}/rooms/01a2050b-cc5c-7fd9-a3fa-9e34ec4d4f29",
    ],
)
def test_another_spelling_is_refused_and_names_the_field(name: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        parse_name(name, "studios/*/rooms/*", "room")
    assert refusal.value.violations[0][0] == "room"


def test_a_name_of_another_studio_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refusal:
        parse_child(f"studios/{new_id()}/rooms/{new_id()}", "studios/*/rooms/*", "room", new_id())
    assert refusal.value.reason == "FOREIGN_RESOURCE"
