"""Forgotten users taken out of InfluxDB: at once, and once more when nothing from before can be on its way there.

Points name their users, and the list of the forgotten does not: so a user's id is kept in memory, by the process that
was asked to forget or that was asked for the receipt, until a file says that it is done.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from app.core.errors import VitrineError
from app.core.files import sync
from app.core.settings import Settings
from app.events.forgotten import NAME, moment_of
from app.stream.forgetting import MICROS, SETTLED_SECONDS

FOLDER = "nameless"  #: beside the log of posted events; an empty file for each forgetting that is done
RETRY_SECONDS = 60.0  #: a stream whose InfluxDB was away has written what it had to by then, once it is there again
LOG = logging.getLogger("vitrine")


@dataclass
class _Pending:
    user: int | str
    cleaned: float | None = None  # when that was first done, seconds since 1970


class ForgottenPoints:
    """What one process has to take out; nothing where no InfluxDB is set.

    Parameters
    ----------
    settings
        Output, InfluxDB.
    now
        Seconds since 1970.
    """

    def __init__(self, settings: Settings, now: Callable[[], float]):
        self._settings, self._now = settings, now
        self._guard, self._working = Lock(), Lock()
        self._pending: dict[str, _Pending] = {}
        self._failures: frozenset[str] = frozenset()  # those of the last time, so that each is said once

    def add(self, user: int | str, name: str) -> None:
        """Take a user, as points have the id, out of points from before the forgetting of this name."""
        if self._settings.influx_url is not None and not are_nameless(self._settings, name):
            with self._guard:
                self._pending.setdefault(name, _Pending(user))

    def work(self) -> None:
        """Do what is due, unless it is being done."""
        if not self._working.acquire(blocking=False):
            return
        try:
            with self._guard:
                pending = list(self._pending.items())
            failures = [failure for name, one in pending if (failure := self._tried(name, one))]
            for failure in dict.fromkeys(failures):
                if failure not in self._failures:
                    LOG.warning("points of a forgotten user: %s; tried again", failure)
            self._failures = frozenset(failures)
        finally:
            self._working.release()

    def _tried(self, name: str, one: _Pending) -> str:
        """Why it could not be done; each is tried, whatever became of the one before."""
        try:
            self._clean(name, one)
        except (OSError, VitrineError) as error:
            return str(error)
        return ""

    def _clean(self, name: str, one: _Pending) -> None:
        now, moment = self._now(), moment_of(name) / MICROS
        last = one.cleaned is not None and now >= max(one.cleaned + RETRY_SECONDS, moment + SETTLED_SECONDS)
        if one.cleaned is not None and not last:
            return
        from app.monitor.influx import influx_config  # with InfluxDB's client, which lists do without
        from app.monitor.nameless import make_nameless

        config = influx_config(self._settings)
        assert config is not None
        make_nameless(config, one.user, datetime.fromtimestamp(moment + 0.001, UTC))
        one.cleaned = one.cleaned or now
        if last:
            _mark(_folder(self._settings), name)
            with self._guard:
                self._pending.pop(name, None)


def are_nameless(settings: Settings, name: str) -> bool:
    """Whether no point is left that names the user of a forgetting."""
    return (_folder(settings) / name).exists()


def _folder(settings: Settings) -> Path:
    return settings.output.absolute() / "api" / FOLDER


def _mark(folder: Path, name: str) -> None:
    assert NAME.fullmatch(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    sync(folder)
