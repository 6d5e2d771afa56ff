"""What stands before every route: keys, rates, sizes, time; and what is counted of every answer."""

import asyncio
import hmac
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pydantic import SecretStr
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.metrics import ApiMetrics
from app.api.problems import RefusedError
from app.core.settings import Settings

GUARDED = "/v1/"  #: begins the paths that ask for a key
EVENTS, USERS, LISTS = "/v1/events", "/v1/users/", "/recommendations"
BODY_SECONDS = 10.0  #: in which a body must have come
WHOLE = "vitrine.whole"  #: extension of a request whose body has come before it is answered: no time need be kept
BURST_SECONDS = 2.0  #: a client may use up so much of its rate at once
MOST_CLIENTS = 10_000
BEARER = b"bearer "


class Rates:
    """Token buckets, one a client.

    Parameters
    ----------
    rate
        Requests a second.
    """

    def __init__(self, rate: float):
        self._rate, self._most = rate, max(1.0, rate * BURST_SECONDS)
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str, now: float) -> float:
        """Seconds that a client must wait before its next request; 0 if it may have it now."""
        tokens, at = self._buckets.pop(client, (self._most, now))
        tokens = min(self._most, tokens + (now - at) * self._rate)
        wait = max(0.0, (1 - tokens) / self._rate)
        self._buckets[client] = (tokens - (wait == 0), now)
        if len(self._buckets) > MOST_CLIENTS:  # the one that was away longest starts afresh
            del self._buckets[next(iter(self._buckets))]
        return wait


@dataclass(frozen=True)
class Keys:
    """The keys that are asked for; None asks for none."""

    read: SecretStr | None
    write: SecretStr | None

    def check(self, given: str | None, writing: bool) -> None:
        """See that a request may read, or write.

        Raises
        ------
        RefusedError
            401 without the right key, 403 with the other one.
        """
        wanted, other = (self.write, self.read) if writing else (self.read, self.write)
        if wanted is None or _same(given, wanted):
            return
        kind = "writing" if writing else "reading"
        if other is not None and _same(given, other):
            raise RefusedError(403, f"this key is not for {kind}")
        wrong = "" if given is None else "this key is not known; "
        raise RefusedError(
            401, f"{wrong}send the key for {kind} as 'Authorization: Bearer KEY'", {"WWW-Authenticate": "Bearer"}
        )


class Gate:
    """ASGI middleware around the whole application.

    Parameters
    ----------
    app
        What it stands before.
    settings
        Keys and limits.
    metrics
        Count every answer.
    routes
        Under /v1: what is refused before one is chosen is counted by the one that it was meant for.
    stopping
        Whether clients are to go elsewhere: each answer then closes its connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        metrics: ApiMetrics,
        routes: Sequence[BaseRoute],
        stopping: Callable[[], bool],
    ):
        self._app, self._metrics, self._largest, self._stopping = app, metrics, settings.request_bytes, stopping
        self._routes = routes
        self._keys = Keys(settings.read_key, settings.write_key)
        self._rates = Rates(settings.request_rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, admitted = time.perf_counter(), 500, True

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
                if self._stopping():
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            if scope["path"].startswith(GUARDED):
                try:
                    receive = await self._admitted(scope, receive)
                except RefusedError as refused:
                    admitted = False
                    scope["route"] = _meant(scope, self._routes)
                    await refused.response()(scope, receive, counted)
                    return
            await self._app(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path_format", "other")
            self._metrics.requests_of(route, _method(scope), status).inc()
            if admitted:  # else a flood of quick refusals would hide that lists are slow
                self._metrics.seconds_of(route).observe(time.perf_counter() - begun)

    async def _admitted(self, scope: Scope, receive: Receive) -> Receive:
        """What the application receives from, with the whole body at hand."""
        headers = dict(scope["headers"])
        key = _key(headers)
        writing = _writes(scope["method"], scope["path"])
        address = (scope.get("client") or ("unknown", 0))[0]
        known = any(expected and _same(key, expected) for expected in (self._keys.read, self._keys.write))
        wait = self._rates.take(f"key {key}" if known else f"address {address}", time.monotonic())
        if wait > 0:
            seconds = str(int(wait) + 1)
            raise RefusedError(429, f"too many requests; wait {seconds} s", {"Retry-After": seconds})
        self._keys.check(key, writing)
        if scope["method"] != "POST":  # no other route has a body
            return receive
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise RefusedError(415, "send JSON, and say so: 'Content-Type: application/json'")
        return at_hand(await self._body(scope, headers, receive), receive)

    async def _body(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._largest:
            raise self._too_large()
        if WHOLE in scope.get("extensions", ()):
            return await self._received(receive)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._received(receive)
        except TimeoutError:
            raise RefusedError(
                408, f"the body did not come within {BODY_SECONDS:.0f} s", {"Connection": "close"}
            ) from None

    async def _received(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RefusedError(400, "the request ended before its body was complete")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._largest:
                raise self._too_large()
            if not message.get("more_body", False):
                return b"".join(parts)

    def _too_large(self) -> RefusedError:
        detail = f"the body is larger than {self._largest:,} bytes; send less at once"
        return RefusedError(413, detail, {"Connection": "close"})


def _meant(scope: Scope, routes: Sequence[BaseRoute]) -> BaseRoute | None:
    """The route that the framework would choose; one of the same path where the method is another's."""
    matches = [(route.matches(scope)[0], route) for route in routes]
    found = [route for wanted in (Match.FULL, Match.PARTIAL) for match, route in matches if match is wanted]
    return found[0] if found else None


def _writes(method: str, path: str) -> bool:
    """Whether a request asks for the writing key: for events, and for what is done with users, but for their lists."""
    of_users = path.startswith(USERS) and (method != "GET" or not path.endswith(LISTS))
    return path.rstrip("/") == EVENTS or of_users


def at_hand(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was received already, and then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _key(headers: dict[bytes, bytes]) -> str | None:
    given = headers.get(b"authorization", b"")
    if given[: len(BEARER)].lower() == BEARER:
        return given[len(BEARER) :].strip().decode("latin-1")
    other = headers.get(b"x-api-key")
    return None if other is None else other.decode("latin-1")


def _same(given: str | None, expected: SecretStr) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), expected.get_secret_value().encode())


def _method(scope: Scope, known: Iterable[str] = ("GET", "POST", "DELETE", "HEAD", "OPTIONS")) -> str:
    """The method as a label: a client may send any word."""
    return scope["method"] if scope["method"] in known else "other"
