"""Connections on which a request's head does not come: uvicorn waits for it for ever, and has no setting for that.

A body that does not come is refused by `app.api.gate`; one that nobody wants, since the request was answered before it
had come, is like a head here, and so is the rest after it, of which uvicorn keeps no time then.
"""

from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_SECONDS = 10.0  #: in which a request's head must have come, from its first byte on, or the connection's beginning


class SlowClients:
    """Closes connections whose clients are too slow; to be asked again and again."""

    def __init__(self) -> None:
        self._since: dict[tuple[HttpToolsProtocol, RequestResponseCycle | None], float] = {}

    def close(self, connections: Iterable[object], now: float) -> None:
        """Close those that have waited for a head since `HEAD_SECONDS` before `now`, in seconds of any clock."""
        ours = [one for one in connections if isinstance(one, HttpToolsProtocol)]
        waiting = [(one, one.cycle) for one in ours if _awaits_head(one)]
        self._since = {one: self._since.get(one, now) for one in waiting}
        for (connection, _), since in self._since.items():
            if now - since >= HEAD_SECONDS:
                if connection.transport.is_closing():  # but waits for a client that reads nothing
                    connection.transport.abort()
                else:
                    connection.transport.close()


def _awaits_head(connection: HttpToolsProtocol) -> bool:
    """Whether nothing is being answered, and it does not rest between two requests: uvicorn ends that by itself."""
    answered = connection.cycle is None or connection.cycle.response_complete
    return answered and connection.timeout_keep_alive_task is None
