"""What comes over a socket: slow clients, heads without an end, what is no HTTP."""

import asyncio
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from unittest.mock import Mock

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.api import gate, slow_clients
from app.api.joined import Joined
from app.api.protocol import Protocol
from app.api.service import Service
from app.core.settings import Settings
from app.jobs import serve
from tests.api.client import landed


@contextmanager
def serving(output: Path) -> Iterator[tuple[str, int]]:
    """A server in this process; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = serve.Server(Service(Settings(output=output), print))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


LIVE = b"GET /health/live HTTP/1.1\r\nHost: shop\r\n"
ASK = b"POST /v1/recommendations HTTP/1.1\r\nHost: shop\r\n"
BODY = b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
#: What a client sends at once; whether it goes on, a byte at a time; and the status that it gets.
SLOW = {
    "nothing at all": (b"", False, None),
    "a head that does not end": (LIVE + b"X: ", True, None),
    "a head that stops": (LIVE, False, None),
    "a second head that does not end": (LIVE + b"\r\n" + LIVE, True, 200),
    "a body that does not end": (b"POST /v1/events HTTP/1.1\r\nHost: shop\r\n" + BODY, True, 408),
    "a body that stops": (b"POST /v1/events HTTP/1.1\r\nHost: shop\r\n" + BODY, False, 408),
    "an ask that does not end": (ASK + BODY, True, 408),
    "an ask that stops": (ASK + BODY, False, 408),
    "a body that nobody wants": (LIVE + BODY, True, 200),
}


def live(client: socket.socket) -> bytes:
    """The answer to `LIVE`, whose head and body may come apart."""
    answer = b""
    while not answer.endswith(b"}"):
        part = client.recv(65_536)
        assert part, answer
        answer += part
    return answer


def test_slow_clients_are_sent_away_and_others_stay(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(serve, "TICKS", 1)
    with serving(output) as address, ExitStack() as stack:
        patient, *clients = (stack.enter_context(socket.create_connection(address, 20)) for _ in [None, *SLOW])
        patient.sendall(LIVE + b"\r\n")
        assert live(patient).startswith(b"HTTP/1.1 200 ")
        left = dict(zip(clients, SLOW, strict=True))
        answers = dict.fromkeys(SLOW, b"")
        for client, name in left.items():
            client.sendall(SLOW[name][0])
        end = time.monotonic() + 10
        while left:
            assert time.monotonic() < end, f"still there: {[*left.values()]}"
            for client in select.select([*left], [], [], 0.05)[0]:
                with suppress(ConnectionResetError):
                    if found := client.recv(65_536):
                        answers[left[client]] += found
                        continue
                del left[client]
            for client, name in left.items():
                with suppress(BrokenPipeError, ConnectionResetError):
                    client.sendall(b"x" if SLOW[name][1] else b"")
        statuses = {name: int(answer.split()[1]) if answer else None for name, answer in answers.items()}
        assert statuses == {name: status for name, (_, _, status) in SLOW.items()}
        patient.sendall(LIVE + b"\r\n")
        assert live(patient).startswith(b"HTTP/1.1 200 "), "one that rests between requests stays"
    assert not landed(output / "landing")


GET, END = b"GET /v1/popular?count=2", b" HTTP/1.1\r\nHost: shop\r\n"
ASK_JSON = ASK + b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
MANY = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 90) for number in range(10_000))
#: What is sent, and the statuses of the answers.
HEADS = {
    "a large one that is allowed": (GET + END + b"X: " + b"x" * 60_000 + b"\r\n\r\n", [200]),
    "one that is whole and too large": (GET + END + b"X: " + b"x" * 70_000 + b"\r\n\r\n", [431]),
    "a header without an end": (GET + END + b"X: " + b"x" * 10_000_000, [431]),
    "many headers": (GET + END + MANY, [431]),
    "a long address": (GET + b"&exclude=1" * 1_000_000, [431]),
    "many trailers": (ASK_JSON + CHUNKED + MANY, [431]),
    "a large body, and another request": (
        ASK_JSON + b"Content-Length: 200002\r\n\r\n{}" + b" " * 200_000 + GET + END + b"\r\n",
        [200, 200],
    ),
    "many requests at once": ((GET + END + b"X: " + b"x" * 1_000 + b"\r\n\r\n") * 200, [200] * 200),
    "no request": (b"NONSENSE\r\n\r\n", [400]),
}


def statuses(address: tuple[str, int], sent: bytes, expected: int) -> list[int]:
    """Of the answers on one connection, until there are so many or it is closed."""
    answers = b""
    with socket.create_connection(address, 20) as client:
        with suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(sent)
        with suppress(ConnectionResetError):
            while answers.count(b"HTTP/1.1 ") < expected and (part := client.recv(65_536)):
                answers += part
    return [int(answer[:3]) for answer in answers.split(b"HTTP/1.1 ")[1:]]


def test_heads_are_bounded(output: Path) -> None:
    with serving(output) as address:
        found = {name: statuses(address, sent, len(expected)) for name, (sent, expected) in HEADS.items()}
    assert found == {name: expected for name, (_, expected) in HEADS.items()}


def test_what_is_no_request_gets_a_problem_and_is_sent_away(output: Path) -> None:
    with serving(output) as address, socket.create_connection(address, 20) as client:
        client.sendall(GET + END + b"X: " + b"x" * 70_000 + b"\r\n\r\n")
        head, _, body = b"".join(iter(lambda: client.recv(65_536), b"")).partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head
        assert b"connection: close" in head
        assert json.loads(body)["detail"].startswith("line and headers are larger than 65,536 bytes")


def test_one_who_reads_nothing_is_cut_off() -> None:
    """A connection that is closed waits for what is still to be sent."""
    connection = Mock(spec=HttpToolsProtocol, cycle=None, timeout_keep_alive_task=None, transport=Mock())
    connection.transport.is_closing.return_value = False
    looks = slow_clients.SlowClients()
    for now in (0, slow_clients.HEAD_SECONDS):
        looks.close([connection], now)
    connection.transport.close.assert_called_once_with()
    connection.transport.is_closing.return_value = True
    looks.close([connection], slow_clients.HEAD_SECONDS + 1)
    connection.transport.abort.assert_called_once_with()


def test_a_body_that_is_waited_for_is_asked_for_and_read(output: Path) -> None:
    with serving(output) as address, socket.create_connection(address, 20) as client:
        client.sendall(ASK_JSON + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{")
        time.sleep(0.05)
        client.sendall(b"}")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_what_is_written_within_a_turn_goes_together() -> None:
    transport = Mock(spec=asyncio.Transport)
    transport.is_closing.return_value = False

    async def scene() -> None:
        joined = Joined(transport, asyncio.get_running_loop())
        joined.write(b"head")
        joined.write(b"body")
        transport.writelines.assert_not_called()
        await asyncio.sleep(0)
        transport.writelines.assert_called_once_with([b"head", b"body"])
        joined.write(b"last")
        joined.close()
        assert [name for name, *_ in transport.mock_calls if name != "is_closing"] == [
            "writelines",
            "writelines",
            "close",
        ]
        transport.is_closing.return_value = True
        joined.write(b"too late")
        await asyncio.sleep(0)
        assert transport.writelines.call_args.args == ([b"last"],)

    asyncio.run(scene())


def test_a_request_says_when_it_is_whole_and_an_answer_goes_before_the_connection(output: Path) -> None:
    server = serve.Server(Service(Settings(output=output), print))
    server.config.load()
    transport = Mock(spec=asyncio.Transport)
    transport.is_closing.return_value, transport.get_extra_info.return_value = False, None

    async def scene() -> None:
        protocol = Protocol(server.config, ServerState(), {})
        protocol.connection_made(transport)
        protocol.data_received(ASK_JSON + b"Content-Length: 2\r\n\r\n{")
        assert gate.WHOLE not in protocol.scope.get("extensions", {})
        protocol.data_received(b"}")
        assert gate.WHOLE in protocol.scope["extensions"]
        protocol.transport.write(b"answer")
        protocol.eof_received()  # the client says no more, but listens
        transport.writelines.assert_called_once_with([b"answer"])

    asyncio.run(scene())
