"""The page: one document under the addresses that people type and mails carry, and nothing under any other."""

import re
from pathlib import Path

import pytest

import gateway
from gateway.app import ASSETS, PAGES
from gateway.payment_page import DOCUMENT, PATH, policy
from tests.integration.gateway.house import House

WEB = Path(gateway.__file__).parent / "web"
LETTERS = WEB.parents[1] / "services" / "notify" / "contents.py"


@pytest.mark.parametrize("path", PAGES)
async def test_every_address_of_the_page_serves_it_under_a_strict_policy(house: House, path: str) -> None:
    answer = await house.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == (WEB / PAGES[path]).read_text()
    policy = dict(directive.split(" ", 1) for directive in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer.headers["cache-control"] == "no-store"


async def test_all_the_page_is_made_of_is_served_and_nothing_else_lies_there(house: House) -> None:
    assets = {asset.removeprefix("/") for asset in ASSETS}
    assert {path.name for path in WEB.iterdir()} == {*PAGES.values(), DOCUMENT, *assets}
    for asset in ASSETS:
        answer = await house.client.get(asset)
        assert answer.status_code == 200
        assert answer.text == (WEB / asset.removeprefix("/")).read_text()
        assert answer.headers["content-type"].partition(";")[0] in ("text/css", "text/javascript")
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_page_that_takes_payments_lets_in_the_providers_script_and_no_more(house: House) -> None:
    answer = await house.client.get(PATH)
    assert 'src="https://js.stripe.com/endive/stripe.js"' in answer.text
    allowed = dict(directive.split(" ", 1) for directive in answer.headers["content-security-policy"].split("; "))
    own = dict(directive.split(" ", 1) for directive in policy("/script.js").split("; "))
    assert own.pop("frame-src") == "'self'"
    assert {name for name in own if allowed[name] != own[name]} == {"script-src", "connect-src"}
    assert allowed["script-src"] == "'self' https://js.stripe.com https://*.js.stripe.com"
    assert allowed["connect-src"] == "'self' https://api.stripe.com"
    assert allowed["frame-src"] == "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com"


def test_the_page_holds_nothing_that_its_policy_forbids() -> None:
    for page in {*PAGES.values(), DOCUMENT}:
        document = (WEB / page).read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", document)
    for file in WEB.iterdir():
        assert not re.search(r"innerHTML|\beval\b|https?://", file.read_text()), file.name


def test_the_links_of_the_mails_are_addresses_of_the_page() -> None:
    paths = re.findall(r"_with_link\(work, \"([^\"]+)\"", LETTERS.read_text())
    assert {f"/{path}" for path in paths} == {path for path, file in PAGES.items() if file == "index.html"} - {"/"}
    assert "/preferences#token=" in (LETTERS.parent / "unsubscribe.py").read_text()


@pytest.mark.parametrize(
    "path",
    [
        "/reset",
        "/reset-password/",
        "/accept-invitation/x",
        "/Reset-Password",
        "/index.html",
        "/web/app.js",
        "/v1/nothing",
    ],
)
async def test_an_unknown_path_stays_a_json_404(house: House, path: str) -> None:
    answer = await house.client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["details"][0]["reason"] == "NO_SUCH_PATH"
