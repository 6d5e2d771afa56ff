"""The route that is asked most is answered before the framework looks for it: that takes most of a request's time.

What is right is answered at once; what is wrong, or is asked in any other way, is left to the framework, which says so.
"""

from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.gate import at_hand
from app.api.models import Ask, NoQuery
from app.api.problems import RefusedError
from app.api.service import Service

NOTHING = NoQuery()


class AskedMost:
    """ASGI middleware right behind the gate.

    Parameters
    ----------
    app
        Answers everything else.
    route
        The route; its function takes an `Ask`, no query, and the service.
    service
        What stands behind it.
    """

    def __init__(self, app: ASGIApp, route: APIRoute, service: Service):
        self._app, self._route, self._service = app, route, service
        self._path, self._endpoint = route.path, route.endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST" or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        body: bytes = (await receive())["body"]  # whole, as the gate hands it on
        try:
            ask = Ask.model_validate_json(body)
        except ValidationError:
            await self._app(scope, at_hand(body, receive), send)
            return
        scope["route"] = self._route  # the gate counts by it
        try:
            response = await self._endpoint(ask, NOTHING, self._service)
        except RefusedError as refused:
            response = refused.response()
        await response(scope, receive, send)
