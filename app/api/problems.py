"""Errors as answers: one shape for all of them, RFC 9457 (Problem Details for HTTP APIs)."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20  #: faults of one request that are named
ONE, MANY = "one-event", "many-events"  #: tags of the two bodies of posted events, which nobody need know of
LONGEST = 200  #: characters that are repeated of what was sent
#: Faults, by pydantic's names, of which it speaks as a Python program does.
IN_WORDS = {
    "extra_forbidden": "is no key that is known here; is it misspelt?",
    "model_attributes_type": "must be an object",
    "too_short": "must hold {min_length} or more",
    "too_long": "must hold {max_length} or fewer",
}


class Fault(BaseModel):
    """One thing wrong with a request."""

    where: str = Field(description="place in the request", examples=["body/events/0/product_id"])
    detail: str = Field(description="what is wrong there")


class Problem(BaseModel):
    """What every answer with a status of 400 or above holds."""

    type: str = Field(default="about:blank", description="about:blank: the status says it all")
    title: str = Field(description="the status in words", examples=["Unprocessable Entity"])
    status: int = Field(description="the status", examples=[422])
    detail: str = Field(description="what is wrong, and what to do")
    errors: list[Fault] | None = Field(
        default=None, description="each fault, where there are several places to look at"
    )


class RefusedError(Exception):
    """A request that is answered with a problem.

    Parameters
    ----------
    status
        400 or above.
    detail
        What is wrong, and what to do.
    headers
        Of the answer.
    errors
        Each fault.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: dict[str, str] | None = None,
        errors: Sequence[Fault] | None = None,
    ):
        super().__init__(detail)
        self.status, self.detail, self.headers, self.errors = status, detail, headers, errors

    def response(self) -> Response:
        problem = Problem(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            errors=list(self.errors) if self.errors else None,
        )
        content = problem.model_dump_json(exclude_none=True)
        return Response(content, self.status, self.headers, MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Have every error of an application answered with a problem."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_the_framework)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return error.response()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(fault["type"] == "json_invalid" for fault in found):
        return RefusedError(400, "the body is not JSON").response()
    faults = [_fault(fault) for fault in found[:MOST_ERRORS]]
    more = f" (and {len(found) - len(faults)} more)" if len(found) > len(faults) else ""
    return RefusedError(422, f"{faults[0].where}: {faults[0].detail}{more}", errors=faults).response()


def _fault(fault: dict[str, Any]) -> Fault:
    where = "/".join(str(part) for part in fault["loc"] if part not in (ONE, MANY))
    words = IN_WORDS.get(fault["type"])
    detail = fault["msg"].removeprefix("Value error, ") if words is None else words.format_map(fault.get("ctx", {}))
    return Fault(where=_printable(where), detail=_printable(detail))


def _printable(text: str) -> str:
    """Text of a request that may be repeated: cut, and without what UTF-8 can't hold."""
    return text[:LONGEST].encode(errors="replace").decode()


async def _of_the_framework(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        404: "there is nothing here; /openapi.json lists what there is",
        405: "this method is not for this path; /openapi.json lists what is",
        400: "the body cannot be read as JSON in UTF-8",
    }
    detail = details.get(error.status_code, str(error.detail))
    headers = dict(error.headers) if error.headers else None
    return RefusedError(error.status_code, detail, headers).response()


async def _unexpected(_: Request, error: Exception) -> Response:
    logging.getLogger("vitrine").error("unexpected %s", type(error).__name__, exc_info=error)
    return RefusedError(500, "this is a bug or a failing machine; the server's log says which").response()
