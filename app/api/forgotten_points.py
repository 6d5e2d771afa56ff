"""Forgotten users taken out of InfluxDB: at once, and once more when nothing from before can be on its way there.

Points name their users, and the list of the forgotten does not: so a user's id is kept in a file until that is done,
by whichever replica is there. An empty file says that it is done.
"""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from app.core.errors import VitrineError
from app.core.files import sweep, sync, write_text
from app.core.locks import locked_if_free
from app.core.part import Part
from app.core.settings import Settings
from app.events.forgotten import NAME, moment_of
from app.stream.forgetting import MICROS, SETTLED_SECONDS

#: Folders beside the log of posted events, with a file for each forgetting: ids to be taken out, and what is done.
PENDING, DONE = "named", "nameless"
LOCK = ".lock"
RETRY_SECONDS = 60.0  #: a stream whose InfluxDB was away has written what it had to by then, once it is there again
LOG = logging.getLogger("vitrine")


class _Pending(Part):
    """A user, as points have the id; `cleaned`: when points were first without it, seconds since 1970."""

    user: int | str
    cleaned: float | None = None


class ForgottenPoints:
    """What the replicas of an output have to take out; nothing where no InfluxDB is set.

    Parameters
    ----------
    settings
        Output, InfluxDB.
    now
        Seconds since 1970.
    """

    def __init__(self, settings: Settings, now: Callable[[], float]):
        self._settings, self._now = settings, now
        self._pending, self._done = _folder(settings, PENDING), _folder(settings, DONE)
        self._failures: frozenset[str] = frozenset()  # those of the last time, so that each is said once

    def add(self, user: int | str, name: str) -> None:
        """Take a user, as points have the id, out of points from before the forgetting of this name.

        Raises
        ------
        OSError
            The folder can't be written to.
        """
        if self._settings.influx_url is None or are_nameless(self._settings, name) or is_pending(self._settings, name):
            return
        self._pending.mkdir(parents=True, exist_ok=True)
        self._write(name, _Pending(user=user))

    def work(self) -> None:
        """Do what is due, unless it is being done, by any replica."""
        if not self._pending.is_dir() or not {*os.listdir(self._pending)} - {LOCK}:
            return
        with locked_if_free(self._pending / LOCK) as alone:
            if alone:
                sweep(self._pending)
                names = sorted(filter(NAME.fullmatch, os.listdir(self._pending)), key=moment_of)
                failures = [failure for name in names if (failure := self._tried(name))]
                for failure in dict.fromkeys(failures):
                    if failure not in self._failures:
                        LOG.warning("points of a forgotten user: %s; tried again", failure)
                self._failures = frozenset(failures)

    def _tried(self, name: str) -> str:
        """Why it could not be done; each is tried, whatever became of the one before."""
        path = self._pending / name
        try:
            self._clean(name, _Pending.model_validate_json(path.read_bytes()))
        except ValidationError:
            return f"{path}: is damaged; delete it, and ask for the receipt once more"
        except (OSError, VitrineError) as error:
            return str(error)
        return ""

    def _clean(self, name: str, one: _Pending) -> None:
        now, moment = self._now(), moment_of(name) / MICROS
        last = one.cleaned is not None and now >= max(one.cleaned + RETRY_SECONDS, moment + SETTLED_SECONDS)
        if one.cleaned is None or last:
            from app.monitor.influx import influx_config  # with InfluxDB's client, which lists do without
            from app.monitor.nameless import make_nameless

            config = influx_config(self._settings)
            assert config is not None
            make_nameless(config, one.user, datetime.fromtimestamp(moment + 0.001, UTC))
            if last:
                self._done.mkdir(exist_ok=True)
                (self._done / name).touch()
                sync(self._done)
                (self._pending / name).unlink()
            else:
                self._write(name, one.model_copy(update={"cleaned": now}))

    def _write(self, name: str, one: _Pending) -> None:
        write_text(self._pending / name, one.model_dump_json())


def are_nameless(settings: Settings, name: str) -> bool:
    """Whether no point is left that names the user of a forgetting."""
    return (_folder(settings, DONE) / name).exists()


def is_pending(settings: Settings, name: str) -> bool:
    """Whether the user of a forgetting is kept, so that any replica can take the id out."""
    return (_folder(settings, PENDING) / name).exists()


def _folder(settings: Settings, name: str) -> Path:
    return settings.output.absolute() / "api" / name
