"""An answer's head and body in one packet: uvicorn writes them one after the other, which takes the kernel twice."""

import asyncio
from typing import Any


class Joined:
    """A transport that writes at once what it is given within a turn of the event loop.

    Parameters
    ----------
    transport
        What writes; it does everything else.
    loop
        Whose turns.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop):
        self._transport, self._loop = transport, loop
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Write what waits for the turn's end."""
        waiting, self._waiting = self._waiting, []
        if waiting and not self._transport.is_closing():
            self._transport.writelines(waiting)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
