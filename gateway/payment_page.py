"""The page on which a client pays: a document of its own, since it alone runs the payment provider's script."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from gateway.observe import ROUTE, SECURITY_HEADERS

PATH, DOCUMENT = "/pay", "pay.html"
_SCRIPT = "SCRIPT_OF_THE_PAYMENT_PROVIDER"
# What the script of an origin asks besides: docs.stripe.com/security/guide, content security policy.
_ASKS_TOO = {
    "https://js.stripe.com": {
        "script-src": "https://*.js.stripe.com",
        "connect-src": "https://api.stripe.com",
        "frame-src": "https://*.js.stripe.com https://hooks.stripe.com",
    }
}


def payment_page(web: Path, script_url: str) -> Route:
    """The page with the provider's script, and a policy that lets in no more than that."""
    document = (web / DOCUMENT).read_text().replace(_SCRIPT, escape(script_url))
    headers = {
        "Content-Security-Policy": policy(script_url),
        # A wallet may open a window of its own and answers to this one.
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    }

    async def page(request: Request) -> Response:
        request.scope[ROUTE] = PATH
        return HTMLResponse(document, headers=headers)

    return Route(PATH, page)


def policy(script_url: str) -> str:
    """The policy of every page, and the script with its frames; what else it asks, by where it comes from."""
    parts = urlsplit(script_url)
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else "'self'"
    directives = dict(each.split(" ", 1) for each in SECURITY_HEADERS["Content-Security-Policy"].split("; "))
    for name in ("script-src", "frame-src"):
        sources = directives.get(name, "")
        directives[name] = sources if origin in sources.split() else f"{sources} {origin}".strip()
    for name, sources in _ASKS_TOO.get(origin, {}).items():
        directives[name] += f" {sources}"
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())
