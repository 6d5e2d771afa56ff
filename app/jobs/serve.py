"""The API as a job: `python -m app.jobs.serve`, settings from `VITRINE_*`. Needs no Spark and no Java."""

import logging
import math
import os
import signal
import socket
import sys
import time
from importlib.metadata import version
from ipaddress import ip_address
from types import FrameType

import uvicorn

from app.api.http import application
from app.api.protocol import Protocol
from app.api.service import Service
from app.api.slow_clients import SlowClients
from app.core.errors import InputError
from app.core.settings import Settings, load_settings
from app.jobs.guard import guarded, say

BACKLOG = 2_048
TICKS = 10  #: of uvicorn, a second
STOP_SECONDS = 20  #: that running requests are given to end
SWITCH_SECONDS = 0.0005  #: Python's own 5 ms are what answers would wait for a thread that computes, again and again


def run_serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, send clients elsewhere, and finish the requests that are being answered.

    Raises
    ------
    InputError
        The address is taken or not of this machine; it can be reached from elsewhere and keys are missing; or nothing
        is published.
    BundleError
        No published bundle is whole.
    """
    check_keys(settings)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    sys.setswitchinterval(SWITCH_SECONDS)
    with listening(settings) as listener:
        service = Service(settings, say)
        host, port = listener.getsockname()[:2]
        say(f"bundle {service.shop.bundle.version} is in use; listening at http://{_shown(host)}:{port}")
        server = Server(service)
        for number in (signal.SIGTERM, signal.SIGINT):  # the server raises them once more when it has stopped
            signal.signal(number, lambda *_: server.stop_at_once())
        server.run(sockets=[listener])
    say("stopped")


class Server(uvicorn.Server):
    """A server of the API that goes on for `drain_seconds` when it is told to stop, but not a second time.

    It sends slow clients away. It also stops if it is told to before it listens to signals itself.
    """

    _told = False

    def __init__(self, service: Service):
        config = uvicorn.Config(
            application(service, version("vitrine")),
            loop="uvloop",
            http=Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        super().__init__(config)
        self._service, self._until, self._slow = service, math.inf, SlowClients()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by uvicorn at a signal; what it does then closes the door, and connections that wait, at once."""
        if self._service.ready and self._service.settings.drain_seconds:
            self._service.ready = False
            self._until = time.monotonic() + self._service.settings.drain_seconds
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; whether to stop."""
        if counter % TICKS == 0:
            self._slow.close(self.server_state.connections, time.monotonic())
        self.should_exit = self.should_exit or time.monotonic() >= self._until
        return await super().on_tick(counter)

    def stop_at_once(self) -> None:
        """Once all is started, since a half started server is not shut down in order."""
        self._told = True

    async def main_loop(self) -> None:
        if self._told:
            self.should_exit = True
        await super().main_loop()


def listening(settings: Settings) -> socket.socket:
    """The socket of `host` and `port`.

    Raises
    ------
    InputError
        The address is taken, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else error
        raise InputError(
            f"--host {settings.host} --port {settings.port}: cannot be listened at ({reason}); give others"
        ) from None


def check_keys(settings: Settings) -> None:
    """Refuse to be reachable from elsewhere without keys: anyone could write events."""
    missing = [f"VITRINE_{name.upper()}" for name in ("read_key", "write_key") if getattr(settings, name) is None]
    if missing and not _of_this_machine(settings.host):
        raise InputError(
            f"--host {settings.host} can be reached from elsewhere, and {' and '.join(missing)} not set: anyone could "
            "use the API; set keys of 16 characters or more"
        )


def _of_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    with guarded():
        run_serve(load_settings())
