import json
from typing import Any

import pytest
from google.protobuf import json_format

from gateway.transcoding.bindings import Match, Router
from gateway.transcoding.decode import decode_request
from services.chassis.errors import InvalidArgument

BOOK = b"/v1/shelves/1/books/2"


def _decode(router: Router, method: str, path: bytes, query: bytes = b"", body: bytes = b"") -> Any:
    match = router.match(method, path)
    assert isinstance(match, Match)
    return decode_request(match, query, body, "application/json")


def _create(router: Router, body: bytes) -> Any:
    return _decode(router, "POST", b"/v1/shelves/1/books", body=body).book


def test_every_kind_of_value_is_read(router: Router) -> None:
    document = {
        "displayName": "Höfe \U0001f4d6",
        "pages": 3.0,
        "copies": "9223372036854775807",
        "edition": 4294967295,
        "weight": 1,
        "height": "NaN",
        "lendable": True,
        "digest": "-_8",
        "genre": "NOVEL",
        "publishTime": "2026-03-29T02:30:00.5+02:00",
        "loanPeriod": "1.5s",
        "rating": 4,
        "extra": {"a": [1, {"b": None}]},
        "author": {"teacher": {"displayName": "x"}},
        "tags": ["a", "b"],
        "contributors": [{}, {"displayName": "y"}],
        "places": {"ä": 1},
        "subtitle": "",
        "donor": "",
    }
    book = _create(router, json.dumps(document).encode())
    assert json_format.MessageToDict(book) == document | {
        "pages": 3,
        "digest": "+/8=",
        "publishTime": "2026-03-29T00:30:00.500Z",
        "loanPeriod": "1.500s",
    }


def test_null_is_not_given(router: Router) -> None:
    book = _create(router, b'{"owner": null, "donor": "x", "tags": null, "pages": null, "author": null}')
    assert book.donor == "x"
    assert not book.HasField("author")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"title": 1}', "book.title"),
        (b'{"author": {"teacher": {"born": 1}}}', "book.author.teacher.born"),
        (b'{"contributors": [{}, {"born": 1}]}', "book.contributors[1].born"),
        (b'{"displayName": 1}', "book.display_name"),
        (b'{"displayName": "\\ud800"}', "book.display_name"),
        (b'{"pages": "x"}', "book.pages"),
        (b'{"pages": 1.5}', "book.pages"),
        (b'{"pages": true}', "book.pages"),
        (b'{"pages": 2147483648}', "book.pages"),
        (b'{"pages": NaN}', "book.pages"),
        (b'{"pages": 1e999}', "book.pages"),
        (b'{"copies": 9223372036854775808}', "book.copies"),
        (b'{"edition": -1}', "book.edition"),
        (b'{"weight": NaN}', "book.weight"),
        (b'{"weight": -Infinity}', "book.weight"),
        (b'{"weight": 1e999}', "book.weight"),
        (b'{"weight": "heavy"}', "book.weight"),
        (b'{"height": 1e39}', "book.height"),
        (b'{"lendable": "true"}', "book.lendable"),
        (b'{"lendable": 1}', "book.lendable"),
        (b'{"digest": "a*"}', "book.digest"),
        (b'{"genre": "CRIME"}', "book.genre"),
        (b'{"genre": 7}', "book.genre"),
        (b'{"genre": true}', "book.genre"),
        (b'{"publishTime": "2026-01-01T10:00:00"}', "book.publish_time"),
        (b'{"publishTime": "2026-02-30T10:00:00Z"}', "book.publish_time"),
        (b'{"publishTime": "2026-01-01"}', "book.publish_time"),
        (b'{"publishTime": 5}', "book.publish_time"),
        (b'{"loanPeriod": "1h"}', "book.loan_period"),
        (b'{"loanPeriod": "999999999999s"}', "book.loan_period"),
        (b'{"rating": "good"}', "book.rating"),
        (b'{"extra": 5}', "book.extra"),
        (b'{"author": "me"}', "book.author"),
        (b'{"author": []}', "book.author"),
        (b'{"tags": "a"}', "book.tags"),
        (b'{"tags": [null]}', "book.tags[0]"),
        (b'{"tags": ["a", 1]}', "book.tags[1]"),
        (b'{"places": []}', "book.places"),
        (b'{"places": {"a": "b"}}', "book.places[a]"),
        (b'{"owner": "a", "donor": "b"}', "book.donor"),
        (b'{"displayName": "a", "display_name": "b"}', "book.display_name"),
        (b'{"pages": 1, "pages": 2}', "pages"),
        (b"[]", "book"),
        (b'"x"', "book"),
        (b'{"author":' + b'{"teacher":' * 40 + b"{}" + b"}" * 41, "book.author" + ".teacher" * 31),
    ],
)
def test_what_does_not_fit_is_named(router: Router, body: bytes, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _create(router, body)
    assert caught.value.violations[0][0] == field


@pytest.mark.parametrize(
    ("body", "description"),
    [
        (b'{"pages": 1', "is not JSON: line 1, column 12"),
        (b"{'pages': 1}", "is not JSON: line 1, column 2"),
        (b'{"displayName": "\xff"}', "is not UTF-8 (byte 17)"),
        (b"[" * 100_000, "is nested deeper than 32 levels"),
        (b'{"pages": ' + b"1" * 5000 + b"}", "has a number with too many digits"),
    ],
)
def test_a_body_that_is_not_json_is_refused(router: Router, body: bytes, description: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _create(router, body)
    assert caught.value.violations == [("body", description)]


def test_a_query_is_read_by_either_name(router: Router) -> None:
    query = (
        b"query=a+b%2B%C3%A4&pageSize=2&genres=NOVEL&genres=2&author.teacher.display_name=x&tags=&tags=b"
        b"&published_after=2026-01-01T00:00:00Z&readMask=displayName,author.display_name&lendable=false"
    )
    request = _decode(router, "GET", b"/v1/books:search", query)
    assert request.query == "a b+ä"
    assert request.page_size == 2
    assert list(request.genres) == [1, 2]
    assert request.author.teacher.display_name == "x"
    assert list(request.tags) == ["", "b"]
    assert request.published_after.seconds == 1767225600
    assert list(request.read_mask.paths) == ["display_name", "author.display_name"]
    assert request.HasField("lendable")
    assert not request.lendable.value


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"colour=red", "colour"),
        (b"author=x", "author"),
        (b"authors.displayName=x", "authors.displayName"),
        (b"query.x=1", "query.x"),
        (b"query=1&query=2", "query"),
        (b"query=1&%71uery=2", "query"),
        (b"pageSize=two", "page_size"),
        (b"pageSize=", "page_size"),
        (b"genres=CRIME", "genres"),
        (b"lendable=yes", "lendable"),
        (b"publishedAfter=2026-01-01T00:00:00", "published_after"),
        (b"publishedAfter=2026-01-01T00:00:00+01:00", "published_after"),
        (b"query=%ff", "query"),
        (b"query=%2", "query"),
        (b"%ff=1", "query"),
        (b"&".join([b"tags=x"] * 201), "query"),
    ],
)
def test_a_query_that_does_not_fit_is_named(router: Router, query: bytes, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _decode(router, "GET", b"/v1/books:search", query)
    assert caught.value.violations[0][0] == field


def test_what_body_and_path_take_is_no_query_parameter(router: Router) -> None:
    assert _decode(router, "POST", b"/v1/shelves/1/books", b"validateOnly=true", b"{}").validate_only
    for method, path, query in [
        ("POST", b"/v1/shelves/1/books", b"book.pages=1"),
        ("POST", b"/v1/shelves/1/books", b"parent=shelves/2"),
        ("POST", BOOK + b":lend", b"reader=x"),
    ]:
        with pytest.raises(InvalidArgument):
            _decode(router, method, path, query)


def test_the_path_wins_over_the_body(router: Router) -> None:
    request = _decode(router, "POST", BOOK + b":lend", body=b'{"name": "shelves/9/books/9", "reader": "x"}')
    assert (request.name, request.reader) == ("shelves/1/books/2", "x")


def test_a_method_without_body_refuses_one(router: Router) -> None:
    with pytest.raises(InvalidArgument):
        _decode(router, "GET", BOOK, body=b"{}")


@pytest.mark.parametrize(
    ("query", "body", "paths"),
    [
        (
            b"",
            b'{"name": "x", "displayName": "a", "author": {"displayName": "b", "teacher": {}}, "tags": [],'
            b' "extra": {"k": 1}, "subtitle": null, "createTime": "2026-01-01T00:00:00Z", "etag": "e"}',
            ["display_name", "author.display_name", "author.teacher", "tags", "extra", "subtitle"],
        ),
        (b"updateMask=pages,author.displayName", b'{"tags": []}', ["pages", "author.display_name"]),
        (b"update_mask=display_name", b"{}", ["display_name"]),
        (b"", b"{}", []),
    ],
)
def test_a_patch_without_mask_means_what_its_body_holds(
    router: Router, query: bytes, body: bytes, paths: list[str]
) -> None:
    assert list(_decode(router, "PATCH", BOOK, query, body).update_mask.paths) == paths


def test_a_raw_body_passes_as_it_is(router: Router) -> None:
    match = router.match("PUT", BOOK + b"/cover")
    assert isinstance(match, Match)
    request: Any = decode_request(match, b"", b"\x00\xff", "image/png")
    assert (request.cover.content_type, request.cover.data) == ("image/png", b"\x00\xff")
    assert request.name == "shelves/1/books/2"
