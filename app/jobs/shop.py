"""A shop to click through: generated, trained, streamed and served on one machine, until stopped."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import VitrineError
from app.core.settings import Settings
from app.jobs.demo import make_shop, own_influx, trained_stream
from app.jobs.guard import say
from app.jobs.replay import play
from app.jobs.serve import check_keys, listening
from app.stream.engine import Stream

PLAYED_SECONDS = 3_600  #: of other visitors' events; the page goes on without them
STOP_SECONDS = 30.0  #: that the server is given to end


def run_shop(settings: Settings, events: int, rate: float) -> None:
    """Bring everything up, say where the page is, and go on until SIGINT or SIGTERM.

    Parameters
    ----------
    settings
        `output` is emptied of an earlier demonstration; `host` and `port` of the page.
    events
        Events of the shop; the last of them are replayed for an hour, the others trained on.
    rate
        Events of other visitors a second; at most a fifth of the shop's are kept for it.

    Raises
    ------
    InputError
        `output` is no folder of an earlier demonstration, or the page's address is taken or can be reached from
        elsewhere, and keys are missing.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same end as Ctrl-C, whatever is being done
    check_keys(settings)  # these two are told before a shop is made
    listening(settings).close()
    root = settings.output.absolute()
    shop = make_shop(root, events, min(int(rate * PLAYED_SECONDS), events // 5), settings.seed)
    with own_influx(settings) as chosen, trained_stream(chosen, shop.history) as stream:
        playing = chosen.model_copy(update={"events": str(shop.live), "replay_rate": rate, "replay_present": True})
        with _page(chosen, stream) as url, _others(playing, stream):
            if url:
                say(f"\nSynthetic shop: open {url}  (training report: {root / 'report.html'}; Ctrl-C stops)\n")
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stream.stopping.set())
            stream.wait(tell=lambda summary: None)
    say("stopped")


@contextmanager
def _page(settings: Settings, stream: Stream) -> Iterator[str | None]:
    """`vitrine serve` beside the stream; its address once it answers, None where it ended at once."""
    address = ("--host", settings.host, "--port", str(settings.port))
    command = [sys.executable, "-m", "app.cli", "serve", "--output", str(settings.output.absolute()), *address]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    lines = iter(server.stderr)
    watching = threading.Thread(target=_watch, args=(lines, stream))
    try:
        url = _address(lines)
        watching.start()
        yield url
        code = server.poll()
        if url is None or code not in (None, 0):
            raise VitrineError("the page's server ended; what it said is above")
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if watching.ident is not None:
            watching.join()


def _address(lines: Iterator[str]) -> str | None:
    """The page's address, once the server has said it."""
    for line in lines:
        say(line.rstrip())
        _, found, place = line.partition("listening at ")
        if found:
            return place.strip()
    return None


def _watch(lines: Iterator[str], stream: Stream) -> None:
    """Show what the server says; when it has ended, so does the shop."""
    for line in lines:
        say(line.rstrip())
    stream.stopping.set()


@contextmanager
def _others(settings: Settings, stream: Stream) -> Iterator[None]:
    """Other visitors, played into the landing folder."""
    stop = threading.Event()

    def run() -> None:
        try:
            play(settings, stop)
        except (VitrineError, OSError) as error:
            say(f"error: replay: {error}")

    player = threading.Thread(target=run)
    player.start()
    try:
        yield
    finally:
        stop.set()
        player.join()
