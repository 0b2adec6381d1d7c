import pytest

from gateway.transcoding import path_template
from gateway.transcoding.bindings import Match, Router


def _route(router: Router, method: str, path: bytes) -> tuple[str, dict[str, str]]:
    match = router.match(method, path)
    assert isinstance(match, Match), match
    values = match.binding.template.values(match.raw_segments)
    return match.binding.method.name, {".".join(names): value for names, value in values.items()}


@pytest.mark.parametrize(
    ("method", "path", "rpc", "captured"),
    [
        ("GET", b"/v1/shelves/1/books/2", "GetBook", {"name": "shelves/1/books/2"}),
        ("HEAD", b"/v1/shelves/1/books/2", "GetBook", {"name": "shelves/1/books/2"}),
        ("GET", b"/v1/books/war%20and%2Fpeace", "GetBook", {"name": "war and/peace"}),
        ("GET", b"/v1/shelves/a%2fb/books/%C3%A4%20", "GetBook", {"name": "shelves/a%2fb/books/ä "}),
        ("GET", b"/v1/any/a/b%2Fc/d", "GetBook", {"name": "a/b%2Fc/d"}),
        ("GET", b"/v1/any", "GetBook", {"name": ""}),
        ("GET", b"/v1/books:search", "SearchBooks", {}),
        # No GET with that verb: it is a book whose name ends in ":lend".
        ("GET", b"/v1/shelves/1/books/2:lend", "GetBook", {"name": "shelves/1/books/2:lend"}),
        ("GET", b"/v1/books/a:b", "GetBook", {"name": "a:b"}),
        ("GET", b"/v1/books/*", "GetBook", {"name": "*"}),
        ("POST", b"/v1/shelves/1/books/2:lend", "LendBook", {"name": "shelves/1/books/2"}),
        ("PATCH", b"/v1/shelves/1/books/2", "UpdateBook", {"book.name": "shelves/1/books/2"}),
        # The literal wins over the wildcard.
        ("GET", b"/v1/shelves/1/books/newest", "NewestBook", {"name": "shelves/1"}),
        ("GET", b"/v1/sh%65lves/1/books/newest", "NewestBook", {"name": "shelves/1"}),
    ],
)
def test_a_path_leads_to_the_most_specific_route(
    router: Router, method: str, path: bytes, rpc: str, captured: dict[str, str]
) -> None:
    assert _route(router, method, path) == (rpc, captured)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", b"/v1/shelves/1/books/2", {"GET", "HEAD", "PATCH"}),
        ("PUT", b"/v1/shelves/1/books/2:lend", {"POST", "GET", "HEAD", "PATCH"}),
        ("GET", b"/v1/shelves", set()),
        ("GET", b"/v1/shelves//books/2", set()),
        ("GET", b"/v1/shelves/1/books/2/", set()),
        ("GET", b"/", set()),
        ("GET", b"/library.v1.Library/NotOverHttp", set()),
    ],
)
def test_a_wrong_method_or_path_says_what_is_allowed(
    router: Router, method: str, path: bytes, allowed: set[str]
) -> None:
    assert router.match(method, path) == allowed


@pytest.mark.parametrize("path", [b"/v1/books/%", b"/v1/books/%G1", b"/v1/books/%ff", b"/v1/books/\xff"])
def test_a_path_that_cannot_be_decoded_is_refused(router: Router, path: bytes) -> None:
    with pytest.raises(ValueError, match="the path"):
        router.match("GET", path)


@pytest.mark.parametrize(
    "template",
    ["v1/x", "/v1/{a=**}/x", "/v1/**/x", "/v1/{a", "/v1/{a=b/{c}}", "/v1//x", "/v1/{a}/{a}", "/v1/x:y/z", "/"],
)
def test_a_broken_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="path template"):
        path_template.parse(template)
