"""The route that is asked most reads its body in one step: the framework takes 70 µs more for each request."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from app.api.models import Ask, NoQuery

NOTHING = NoQuery()


class AskRoute(APIRoute):
    """What is right is answered at once, what is wrong is left to the framework, which says where it is."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        by_framework, endpoint = super().get_route_handler(), self.endpoint

        async def handle(request: Request) -> Response:
            if not request.scope["query_string"]:
                try:
                    ask = Ask.model_validate_json(await request.body())
                except ValidationError:
                    return await by_framework(request)
                answer: Response = await endpoint(ask, NOTHING, request.app.state.service)
                return answer
            return await by_framework(request)

        return handle
