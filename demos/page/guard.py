"""ASGI middleware before gradio: an allow list of requests, limits on their bodies, and security headers."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Container, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse

import actionstream
from actionstream.demos.page.calls import Calls
from actionstream.demos.page.hosts import Hosts, name_of
from actionstream.demos.page.site import Site
from actionstream.models.common.errors import ActionstreamError

FORM_BYTES = 10_000
"""The largest body of an upload, without the file."""
UPLOAD = "/gradio_api/upload"
CALL = "/gradio_api/queue/join"
HEARTBEAT = re.compile(r"/gradio_api/heartbeat/([\w-]{1,64})")
READ = re.compile(
    r"/|/(assets|static)/.{1,200}|/(config|theme\.css|favicon\.ico|manifest\.json)"
    r"|/gradio_api/(startup-events|info|queue/data|upload_progress|heartbeat/[\w-]{1,64})"
    r"|/page/[\w.]+|/sample/(video|scores)|/live/(status|[\w-]+/picture)|/video/[\w-]+/(file|timeline|at|download/\w+)"
    r"|/teach/[\w-]+/(state|checkpoint|picture)|/annotate/[\w-]+/(state|entry|video|file|draft)"
)
"""The paths allowed with GET; without the list, gradio also serves files, fetches addresses, and more."""
POSTED = (
    (re.compile(r"/live/[\w-]+/frame"), "max_frame_kilobytes"),
    (re.compile(CALL), "max_call_kilobytes"),
    (re.compile(r"/live/[\w-]+/(adjust|reset|leave)|/gradio_api/(cancel|reset)"), None),
    (re.compile(r"/annotate/[\w-]+/save"), "max_annotations_kilobytes"),
    (re.compile(r"/annotate/[\w-]+/(label|begin-draft|stop-draft)"), None),
    (re.compile(r"/teach/[\w-]+/(add-label|remove-label|add|correct|remove)"), None),
)
"""The paths allowed with POST, with the limit of their bodies, else SMALL_BYTES; uploads have a limit of their own."""
SMALL_BYTES = 1000
NEWS = "/gradio_api/queue/data"
NOT_CONNECTED = "this page is not connected; load it again"

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'none'"
)
"""The content security policy; gradio's page needs inline scripts and eval."""
SANDBOXED = ("/video/", "/live/", "/teach/", "/annotate/")
"""What begins so comes from visitors, and is no page."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

PACKAGE = str(Path(actionstream.__file__).parent)
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Faults:
    """Prints each fault of our code once, and no errors that callers cause; it replaces `traceback` in gradio."""

    def __init__(self) -> None:
        self._told: set[tuple[str, int | None]] = set()

    def print_exc(self) -> None:
        error = sys.exception()
        frames = traceback.extract_tb(error.__traceback__ if error else None)
        ours = [(each.filename, each.lineno) for each in frames if each.filename.startswith(PACKAGE)]
        ours = [place for place in ours if place[0] != __file__]
        if ours and ours[-1] not in self._told and not isinstance(error, ActionstreamError):
            self._told.add(ours[-1])
            traceback.print_exc()


class Guard:
    """An ASGI application around another.

    calls          what waits in gradio's queue
    hosts          the names that are ours
    proxies        addresses whose X-Forwarded headers are trusted; these headers are removed from other requests
    any_of_proxies whether a proxy may ask for any name, because it knows its own
    """

    def __init__(
        self,
        app: Any,
        site: Site,
        *,
        faults: Faults,
        calls: Calls,
        hosts: Hosts,
        proxies: Collection[str] = (),
        any_of_proxies: bool = True,
    ):
        self._app = app
        self._faults = faults
        self._calls = calls
        self._site = site
        self._hosts = hosts
        self._proxies = frozenset(proxies)
        self._any_of_proxies = any_of_proxies
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_proxy = scope["client"] is not None and scope["client"][0] in self._proxies
        scope = self._known_client(scope, is_proxy)
        send = _with_headers(send, scope["path"])
        if why := self._why_foreign(scope, any_name=is_proxy and self._any_of_proxies):
            await _refuse(scope, receive, send, *why)
            return
        client = scope["client"][0]
        if self._open[client] >= self._site.limits.max_requests_per_client:
            await _refuse(scope, receive, send, 429, "too many requests at once")
            return
        self._open[client] += 1
        try:
            await self._let_in(scope, receive, send)
        except Exception:  # any: a fault is printed here, once
            self._faults.print_exc()
            raise  # the server answers 500, or closes the connection
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    async def _let_in(self, scope: Message, receive: Receive, send: Send) -> None:
        path = scope["path"]
        limit = self._body_limit(scope["method"], path)
        if limit is None:
            await _refuse(scope, receive, send, 404, "nothing is here")
            return
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            await _refuse(scope, receive, send, 413, "too large")
            return
        if path == UPLOAD:
            await self._upload(scope, receive, send, int(declared) if declared.isdigit() else limit, limit)
            return
        body = bytearray()
        try:
            async with asyncio.timeout(self._site.limits.body_seconds):
                while (message := await receive())["type"] == "http.request":
                    body += message.get("body", b"")
                    if len(body) > limit:
                        await _refuse(scope, receive, send, 413, "too large")
                        return
                    if not message.get("more_body"):
                        break
                else:
                    return
        except TimeoutError:
            await _refuse(scope, receive, send, 408, "too slow")
            return
        if path == CALL:
            called = read_call(body, self._site.uploads)
            if called is None:
                await _refuse(scope, receive, send, 400, "that is no file that was uploaded here")
                return
            if not self._site.is_connected(called.get("session_hash")):
                await _say(scope, receive, send, 404, NOT_CONNECTED)
                return
            if self._calls.num_unread(called["session_hash"]) >= self._site.limits.max_calls_per_page:
                await _say(scope, receive, send, 429, "too many calls wait; try again when they have ended")
                return
        if path == NEWS and not self._site.is_connected(QueryParams(scope["query_string"]).get("session_hash")):
            await _say(scope, receive, send, 404, NOT_CONNECTED)
            return
        with self._page(scope) as refused:
            if refused:
                await _refuse(scope, receive, send, 429, refused)
                return
            await self._app(scope, _again(bytes(body), receive), send)

    def _body_limit(self, method: str, path: str) -> int | None:
        """The most bytes of a body; None where the request is not one that the page makes."""
        limits = self._site.limits
        if method in ("GET", "HEAD"):
            return 0 if READ.fullmatch(path) else None
        if method != "POST":
            return None
        if path == UPLOAD:
            return int(limits.max_megabytes * 1e6) + FORM_BYTES
        for route, name in POSTED:
            if route.fullmatch(path):
                return int(getattr(limits, name) * 1000) if name else SMALL_BYTES
        return None

    def _why_foreign(self, scope: Message, *, any_name: bool) -> tuple[int, str] | None:
        """Why a request comes from a page that is not ours: its status and a message; None where it may be ours.

        Browsers say it: with Host where a name of somebody else leads here (DNS rebinding), with Origin, and with
        Sec-Fetch-Site where we have https or are on their machine.
        """
        headers = [(name, value.decode("latin-1").lower()) for name, value in scope["headers"]]
        asked = [value for name, value in headers if name == b"host"]
        asked += [each.strip() for name, value in headers if name == b"x-forwarded-host" for each in value.split(",")]
        if not asked or any(name_of(each) is None for each in asked):
            return 400, "that is no name of a host"
        if not any_name and (foreign := [each for each in asked if each not in self._hosts]):
            name = name_of(foreign[0])
            return 421, f"this page is not known as {name}; whoever starts it can allow that: --allow-host {name}"
        told = dict(headers)
        origin = told.get(b"origin")
        if origin is not None and origin.partition("://")[2] not in asked:
            return 403, "a page of another site may not ask"
        is_link = scope["path"] == "/" and scope["method"] == "GET" and told.get(b"sec-fetch-mode") == "navigate"
        if told.get(b"sec-fetch-site") in ("cross-site", "same-site") and not is_link:
            return 403, "a page of another site may not ask"
        return None

    async def _upload(self, scope: Message, receive: Receive, send: Send, expected: int, limit: int) -> None:
        num_bytes = 0
        why = (0, "")
        started = False

        limits = self._site.limits
        begun = perf_counter()

        async def counted() -> Message:
            nonlocal num_bytes, why
            until = begun + limits.body_seconds + num_bytes / (1000 * limits.min_upload_kilobytes)
            try:
                message = await asyncio.wait_for(receive(), until - perf_counter())
            except TimeoutError:
                why = 408, "too slow"
                return {"type": "http.disconnect"}
            num_bytes += len(message.get("body", b""))
            if num_bytes > limit:
                why = 413, "too large"
                return {"type": "http.disconnect"}
            return message

        async def answer(message: Message) -> None:
            nonlocal started
            if not why[0]:
                started = True
                await send(message)

        try:
            with self._site.room_for(expected):
                await self._app(scope, counted, answer)
        except ClientDisconnect:
            pass
        except ActionstreamError as error:
            why = 503, str(error)
        if why[0] and not started:
            await _refuse(scope, receive, send, *why)

    @contextmanager
    def _page(self, scope: Message) -> Iterator[str]:
        """Keep a page open as long as its heartbeat request; yields why it is refused, or ""."""
        heartbeat = HEARTBEAT.fullmatch(scope["path"])
        if heartbeat is None:
            yield ""
            return
        key = heartbeat[1]
        try:
            self._site.open_page(key, scope["client"][0])
        except ActionstreamError as error:
            yield str(error)
            return
        try:
            yield ""
        finally:
            self._site.close_page(key)

    def _known_client(self, scope: Message, is_proxy: bool) -> Message:
        """The request as its first trusted proxy has seen it; IPv6 addresses of one network are one client."""
        peer, port = scope["client"] or ("unknown", 0)
        if is_proxy:
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            client = headers.get(b"x-forwarded-for", peer).rpartition(",")[2].strip()
            scheme = headers.get(b"x-forwarded-proto", scope["scheme"])
            return {**scope, "client": (_network(client), port), "scheme": "https" if scheme == "https" else "http"}
        kept = [
            each for each in scope["headers"] if not each[0].startswith(b"x-forwarded-") and each[0] != b"forwarded"
        ]
        return {**scope, "headers": kept, "client": (_network(peer), port)}


def read_call(body: bytes | bytearray, uploads: Container[str]) -> dict[str, Any] | None:
    """A call of gradio; None where it is none, or names a file that is no upload: gradio would fetch an address."""

    def look(given: dict[str, Any]) -> dict[str, Any]:
        if "path" in given and given["path"] not in uploads:
            raise ValueError
        return given

    try:
        called = json.loads(body, object_hook=look)
    except (ValueError, RecursionError):  # no JSON, too deep, or `look` says so
        return None
    return called if isinstance(called, dict) else None


def _network(address: str) -> str:
    """An IPv4 address, or the /64 network of an IPv6 address: one client owns all addresses of its network."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if ip.version == 6 and ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return address if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False).network_address)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns this body first, and then further messages."""
    waiting = [body]

    async def first() -> Message:
        return {"type": "http.request", "body": waiting.pop(), "more_body": False} if waiting else await receive()

    return first


def _with_headers(send: Send, path: str) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            policy = "default-src 'none'; sandbox" if path.startswith(SANDBOXED) else POLICY
            added = {**HEADERS, "Content-Security-Policy": policy}
            names = {name.lower().encode() for name in added}
            kept = [each for each in message.get("headers", ()) if each[0].lower() not in names]
            kept += [(name.lower().encode(), value.encode()) for name, value in added.items()]
            message = {**message, "headers": kept}
        await send(message)

    return told


async def _refuse(scope: Message, receive: Receive, send: Send, status: int, why: str) -> None:
    """Answer and close the connection."""
    await PlainTextResponse(why, status, headers={"Connection": "close"})(scope, receive, send)


async def _say(scope: Message, receive: Receive, send: Send, status: int, why: str) -> None:
    """Refuse as gradio does, whose script shows the message."""
    await JSONResponse({"detail": why}, status)(scope, receive, send)
