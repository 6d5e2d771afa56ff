"""An InfluxDB that is slow or away holds up nobody who has other things to do."""

import socket
import threading
import time
from collections.abc import Iterator
from errno import ENOSPC, ESTALE
from pathlib import Path
from unittest.mock import MagicMock, Mock

import pytest

from app.core.settings import Settings
from app.monitor.influx import InfluxConfig
from app.stream import points
from app.stream.differences import Difference
from app.stream.housekeeping import Housekeeping
from app.stream.points import PointSink
from tests.stream.shop import until


class Silent:
    """A server that takes connections and never answers."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.asked = 0
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self.socket.accept()[0])
            except OSError:
                return
            self.asked += 1


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    for one in (server.socket, *server.taken):
        one.close()


@pytest.fixture
def sink(silent: Silent, monkeypatch: pytest.MonkeyPatch) -> PointSink:
    monkeypatch.setattr(points, "OFFER_SECONDS", 0.5)
    config = InfluxConfig(f"http://127.0.0.1:{silent.socket.getsockname()[1]}", "t", "o", "b")
    return PointSink(config, lambda: False, Mock(), Mock())


def test_an_offer_ends_soon_and_is_not_made_again_at_once(sink: PointSink, silent: Silent) -> None:
    """Its request may take 30 s otherwise, and is made for ever."""
    begun = time.monotonic()
    assert not sink.offer(["a b=1"])
    assert not sink.offer(["a b=1"])
    assert time.monotonic() - begun < 10
    assert silent.asked == 1
    sink._retried.assert_called_once()  # type: ignore[attr-defined]
    assert PointSink(None, Mock(), Mock(), Mock()).offer(["a b=1"])
    assert sink.offer([])


def test_of_very_many_lines_so_many_are_offered_as_fit(sink: PointSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request takes 0.3 s here."""
    written, slow = list[int](), MagicMock()
    slow.return_value.__enter__.return_value.write = lambda lines: written.append(len(lines))
    slow.return_value.__exit__.return_value = None
    monkeypatch.setattr(points, "InfluxWriter", slow)
    monkeypatch.setattr(points, "time", Mock(monotonic=lambda: 100 + 0.3 * len(written)))
    assert not sink.offer(["a b=1"] * 50_000)
    assert written == [5_000, 5_000]
    assert sink.offer(["a b=1"] * 5_001)
    assert written[2:] == [5_000, 1]


def test_the_housekeeping_goes_on_after_a_file_system_was_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends it, with the line that says so."""
    said, full = list[str](), OSError(ENOSPC, "No space left on device", "x")
    windows, settings = Mock(), Settings(output=tmp_path, windows_seconds=0.1)
    stale = OSError(ESTALE, "Stale file handle", "x")
    windows.show.side_effect = [stale, stale, None, stale, full]  # said once as long as it lasts
    house = Housekeeping(settings, Mock(), Mock(), Mock(), windows, Mock(), Mock(), Mock(), Mock(), said.append, print)
    for job in ("audit", "mend_csv", "tidy", "clean_landing", "clean_lists"):
        setattr(house, job, Mock())
    monkeypatch.setattr("app.stream.housekeeping.drop_uncounted_lists", Mock())
    house.start()
    until(lambda: house.failure is not None, "the full disk")
    assert house.failure is full
    assert said == ["[Errno 116] Stale file handle: 'x'; looked at again"] * 2


def test_audits_go_on_while_influxdb_is_silent(sink: PointSink, tmp_path: Path) -> None:
    """And tell of a loss, in the log and as a metric; so do old points that are not deleted hold up nobody."""
    accounts, telemetry, said = Mock(), Mock(), list[str]()
    accounts.audit.return_value = [Difference(3, 3, 5, 0)]
    settings = Settings(output=tmp_path, influx_days=1)
    house = Housekeeping(
        settings, Mock(), Mock(), accounts, Mock(), telemetry, sink, Mock(), Mock(), said.append, print
    )
    begun = time.monotonic()
    for _ in range(3):
        house.audit()
        house._shrink_influx()
    assert time.monotonic() - begun < 10
    assert said[0].startswith("accounts: micro-batch 3: 5 rows must be there, 0 are")
    assert telemetry.audited.call_count == 3
