"""The whole HTTP face: the API, the page, the probes."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from gateway.api import Api
from gateway.cors import with_cors
from gateway.observe import ROUTE, Observed
from gateway.openapi.page import reference_routes
from gateway.payment_page import payment_page
from gateway.rate_limits import RateLimit
from gateway.sandbox import sandbox_routes, stripe_routes
from gateway.sessions import CsrfGuard, Tokens
from gateway.settings import Settings
from gateway.upstreams import Upstreams

WEB = Path(__file__).parent / "web"
# Files under the addresses that people type and those that mails carry (services/notify/letters.py, unsubscribe.py).
PAGES = {
    "/": "index.html",
    "/accept-invitation": "index.html",
    "/reset-password": "index.html",
    "/preferences": "preferences.html",
}
ASSETS = (
    "/address.js",
    "/api.js",
    "/app.css",
    "/app.js",
    "/bookings.js",
    "/buying.js",
    "/card-name.js",
    "/card-setup.js",
    "/cards.js",
    "/changes.js",
    "/client-sales.js",
    "/credits.js",
    "/dialogs.js",
    "/dom.js",
    "/drop-ins.js",
    "/gift-cards.js",
    "/intervals.js",
    "/joining.js",
    "/membership-changes.js",
    "/membership-refunds.js",
    "/memberships.js",
    "/merchant.js",
    "/money.js",
    "/order.js",
    "/owed.js",
    "/pay-link.js",
    "/pay.css",
    "/pay.js",
    "/payment-form.js",
    "/preferences.css",
    "/preferences.js",
    "/push-worker.js",
    "/push.js",
    "/receipts.js",
    "/refunds.js",
    "/roster.js",
    "/rows.js",
    "/sales.js",
    "/shop.js",
    "/studio.js",
    "/times.js",
    "/week.js",
)
# Streams, which compression would hold back, and blobs, which are compressed already.
NOT_COMPRESSED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/x-ndjson", "application/octet-stream")


def create_app(settings: Settings, upstreams: Upstreams) -> ASGIApp:
    """The application. Call inside the event loop that serves it."""

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        away = await upstreams.unhealthy()
        return JSONResponse({"ready": not away, "notServing": away}, 503 if away else 200)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def page(request: Request) -> Response:
        path = request.scope[ROUTE] = request.url.path
        return FileResponse(WEB / PAGES.get(path, path.lstrip("/")))

    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        *(Route(path, page) for path in (*PAGES, *ASSETS)),
        payment_page(WEB, settings.stripe_js_url),
        *reference_routes(upstreams.router.bindings),
    ]
    if not settings.production:
        routes.append(Route("/metrics", metrics))
    if settings.stripe_sandbox_url and not settings.production:
        routes += stripe_routes(settings.stripe_sandbox_url)
    if settings.sandbox_url and not settings.production:
        routes += sandbox_routes(settings.sandbox_url)
    api = Api(
        upstreams,
        Tokens(upstreams.channels["identity"]),
        CsrfGuard(settings.secret, [settings.public_origin, *settings.allowed_origins]),
        strangers=RateLimit(settings.public_rate_limit),
        callers=RateLimit(settings.rate_limit),
        senders=RateLimit(settings.webhook_rate_limit),
        public_origin=settings.public_origin,
        behind_proxy=settings.production,
    )
    app: ASGIApp = Router(routes, default=api, redirect_slashes=False)
    app = GZipMiddleware(app, minimum_size=1024, compresslevel=5, exclude_content_types=NOT_COMPRESSED)
    if settings.allowed_origins:
        app = with_cors(app, settings.allowed_origins)
    return Observed(app, https=settings.public_origin.startswith("https://"))
