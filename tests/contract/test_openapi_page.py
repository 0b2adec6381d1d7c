"""The API reference: served under the strict policy, from files that ask for nothing elsewhere."""

import re

import httpx
import pytest
from starlette.routing import Router as Routes

from gateway.observe import SECURITY_HEADERS, Observed
from gateway.openapi.page import ASSETS, DOCS, reference_routes
from gateway.transcoding.bindings import Router
from gateway.upstreams import CONTRACTS


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = Observed(Routes(reference_routes(Router(CONTRACTS).bindings)), https=False)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


async def test_the_document_is_served(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["openapi"] == "3.1.0"


async def test_the_page_and_all_it_is_made_of_are_served(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.text == (DOCS / "index.html").read_text()
    assert page.headers["content-security-policy"] == SECURITY_HEADERS["Content-Security-Policy"]
    assert {path.name for path in DOCS.iterdir()} == {"index.html", *ASSETS}
    for asset in ASSETS:
        answer = await client.get(f"/docs/{asset}")
        assert answer.text == (DOCS / asset).read_text()
        assert answer.headers["content-type"].partition(";")[0] in ("text/css", "text/javascript")
    linked = re.findall(r'(?:src|href)="(/docs/[^"]+)"', page.text)
    imported = [
        f"/docs/{name}" for file in DOCS.glob("*.js") for name in re.findall(r'from "\./([^"]+)"', file.read_text())
    ]
    assert {*linked, *imported} == {f"/docs/{asset}" for asset in ASSETS}


def test_the_page_asks_no_other_host_and_holds_nothing_its_policy_forbids() -> None:
    document = (DOCS / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", document)
    for file in DOCS.iterdir():
        assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\b|new Function|https?://|@import", file.read_text())
