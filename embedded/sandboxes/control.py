"""How people and tests steer the sandboxes, and the page that shows what was sent.

`GET /sandbox/messages?to=&limit=` lists what was accepted, each attachment with the `path` of its bytes;
`GET /sandbox/accepted` counts it by key.
`PUT /sandbox/faults` makes the weather (faults.py). `POST /sandbox/messages/{id}/events` {"event": "bounced"} tells
what became of a message, `POST /sandbox/inbound` {"from", "to", "text"} answers by SMS.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from embedded.sandboxes.answers import Refusal, json_object
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.messages import Messages
from embedded.sandboxes.webhooks import EVENTS, Webhooks

PAGE = Path(__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; frame-src 'self'; base-uri 'none'; form-action 'none'"
)


class Control:
    """The endpoints under /sandbox."""

    def __init__(self, messages: Messages, faults: Faults, webhooks: Webhooks) -> None:
        self._messages, self._faults, self._webhooks = messages, faults, webhooks

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/messages", self.list_messages, methods=["GET"]),
            Route("/sandbox/messages/{id}/attachments/{position:int}/{name}", self.open_attachment, methods=["GET"]),
            Route("/sandbox/messages/{id}/events", self.tell, methods=["POST"]),
            Route("/sandbox/accepted", self.count, methods=["GET"]),
            Route("/sandbox/inbound", self.answer, methods=["POST"]),
            Route("/sandbox/faults", self.get_faults, methods=["GET"]),
            Route("/sandbox/faults", self.set_faults, methods=["PUT"]),
            Route("/sandbox", _page("page.html"), methods=["GET"]),
            Route("/sandbox/page.css", _page("page.css"), methods=["GET"]),
            Route("/sandbox/page.js", _page("page.js"), methods=["GET"]),
            Route("/healthz", _alive, methods=["GET"]),
            Route("/readyz", _alive, methods=["GET"]),
        ]

    async def list_messages(self, request: Request) -> Response:
        """Newest first, 50 unless told, at most 500."""
        limit = request.query_params.get("limit", "50")
        if not limit.isdigit() or not 1 <= int(limit) <= 500:
            raise Refusal(422, {"message": "`limit` must be a number from 1 to 500."})
        messages = self._messages.newest(request.query_params.get("to") or None, int(limit))
        return JSONResponse({"messages": messages}, headers={"cache-control": "no-store"})

    async def open_attachment(self, request: Request) -> Response:
        """A file of a message. A browser shows PDF; all else it saves, since this is the address of its own pages."""
        file = self._messages.attachment(request.path_params["id"], request.path_params["position"])
        if file is None:
            raise Refusal(404, {"message": "There is no such file."})
        shown = file.media_type if file.media_type == "application/pdf" else "application/octet-stream"
        return Response(file.content, media_type=shown, headers={"cache-control": "no-store"})

    async def count(self, request: Request) -> Response:
        """How many keys were accepted, and which of them more than once."""
        times = self._messages.accepted_by_key()
        twice = {key: count for key, count in times.items() if count > 1}
        return JSONResponse({"keys": len(times), "messages": sum(times.values()), "twice": twice})

    async def tell(self, request: Request) -> Response:
        """Tells the receiver of webhooks what became of a message; answers what it said."""
        message, body = self._messages.get(request.path_params["id"]), await json_object(request) or {}
        event = str(body.get("event"))
        if message is None:
            raise Refusal(404, {"message": "There is no such message."})
        if event not in EVENTS or message["provider"] not in EVENTS[event]:
            raise Refusal(422, {"message": f"{message['provider']} tells no such thing."})
        try:
            answer = await self._webhooks.tell(message, event)
        except httpx.HTTPError:
            raise Refusal(502, {"message": "Nobody listens for webhooks."}) from None
        return JSONResponse({"status": answer.status_code if answer else 0})

    async def answer(self, request: Request) -> Response:
        """Somebody writes an SMS; answers what the receiver said, which for Twilio is a reply."""
        body = await json_object(request) or {}
        words = [body.get(name) for name in ("from", "to", "text")]
        if not all(isinstance(word, str) and word for word in words):
            raise Refusal(422, {"message": "`from`, `to` and `text` are required."})
        try:
            answer = await self._webhooks.write(*(str(word) for word in words))
        except httpx.HTTPError:
            raise Refusal(502, {"message": "Nobody listens for webhooks."}) from None
        return JSONResponse({"status": answer.status_code, "answer": answer.text})

    async def get_faults(self, request: Request) -> Response:
        """What will still go wrong."""
        return JSONResponse(self._faults.left())

    async def set_faults(self, request: Request) -> Response:
        """The weather from now on."""
        body = await json_object(request)
        try:
            if body is None:
                raise ValueError("The body must be a JSON object.")
            self._faults.set(body)
        except ValueError as error:
            raise Refusal(422, {"message": str(error)}) from None
        return await self.get_faults(request)


async def _alive(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _page(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return FileResponse(PAGE / name, headers={"content-security-policy": POLICY, "cache-control": "no-cache"})

    return answer
