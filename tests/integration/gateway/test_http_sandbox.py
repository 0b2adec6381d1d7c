"""The embedded run's sandbox under the gateway's own address."""

import asyncio
import socket

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.sandbox import sandbox_routes, stripe_routes


async def _echo(request: Request) -> JSONResponse:
    headers = {"content-security-policy": "default-src 'self'", "set-cookie": "a=b"}
    document = {"path": request.url.path, "query": request.url.query, "cookie": request.headers.get("cookie")}
    return JSONResponse({**document, "key": request.headers.get("authorization")}, headers=headers)


async def test_payment_pages_lie_under_a_path_of_their_own() -> None:
    twin = uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/elements/{secret}", _echo)]), log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        serving = asyncio.create_task(twin.serve(sockets=[listener]))
        transport = httpx.ASGITransport(Starlette(routes=[*stripe_routes(url), *sandbox_routes(url)]))
        async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
            answer = await client.get("/sandbox/stripe/elements/pi_1_secret_2?key=pk", headers={"cookie": "a=b"})
            entered = await client.get("/sandbox/stripe")
            twin.should_exit = True
            await serving
    assert answer.json() == {"path": "/elements/pi_1_secret_2", "query": "key=pk", "cookie": None, "key": None}
    assert entered.headers["location"] == "/sandbox/stripe/"


async def test_the_sandbox_learns_nothing_about_the_caller() -> None:
    twin = uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/sandbox/messages", _echo)]), log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        serving = asyncio.create_task(twin.serve(sockets=[listener]))
        transport = httpx.ASGITransport(Starlette(routes=sandbox_routes(url)))
        async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
            secrets = {"cookie": "__Host-session=s", "authorization": "Bearer k"}
            answer = await client.get("/sandbox/messages?to=a%40b.c", headers=secrets)
            twin.should_exit = True
            await serving
            gone = await client.get("/sandbox/messages")
    assert answer.json() == {"path": "/sandbox/messages", "query": "to=a%40b.c", "cookie": None, "key": None}
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert "set-cookie" not in answer.headers
    assert gone.status_code == 502
