"""HTTP as uvicorn speaks it, with a bound on heads, which it has no setting for, and with our errors.

Head and body of an answer go in one packet, and a request says when it is whole before it is answered.

Bodies are bounded by `app.api.gate`; slow clients are sent away by `app.api.slow_clients`.
"""

import asyncio
from typing import cast

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.gate import WHOLE
from app.api.joined import Joined
from app.api.problems import RefusedError

MOST_HEAD_BYTES = 64 * 1024  #: of a request line with all headers, or of the trailers of a body


class Protocol(HttpToolsProtocol):
    """Refuses a head that is too large as soon as it is known to be, and closes the connection."""

    _unfinished = 0  #: bytes since the last piece of a body, or the last whole request
    _too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Joined(transport, self.loop)))

    def eof_received(self) -> None:
        cast(Joined, self.transport).flush()  # the transport closes now, but takes no more from a client
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse_head()

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MOST_HEAD_BYTES:
            self._too_large = True
            raise HttpParserError  # has the parser stop, and then `send_400_response` called
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        self.scope.setdefault("extensions", {})[WHOLE] = {}
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for what is no HTTP."""
        if self._too_large:
            self._refuse_head()
        else:
            self._refuse(400, "this cannot be read as HTTP")

    def _refuse_head(self) -> None:
        self._refuse(431, f"line and headers are larger than {MOST_HEAD_BYTES:,} bytes; send what is long in a body")

    def _refuse(self, status: int, detail: str) -> None:
        before = self.cycle  # while one is answered, this would be taken for its answer
        if before is None or before.response_complete or (before.more_body and not before.response_started):
            answer = RefusedError(status, detail, {"Connection": "close"}).response()
            headers = [*self.server_state.default_headers, *answer.raw_headers]
            head = b"".join(b"%s: %s\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[status] + head + b"\r\n" + bytes(answer.body))
        self.transport.close()
