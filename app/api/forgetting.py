"""The receipt of a forgetting: what is done in each place, and what is not yet, as the disk says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.api.forgotten_points import are_nameless, is_pending
from app.api.models import Forgetting, Place
from app.api.posted.intake import log_folder
from app.api.posted.log import NAME as LOG_FILE
from app.api.posted.log import file_name
from app.core.errors import VitrineError
from app.core.folders import Output, made_before
from app.core.settings import Settings
from app.events.archive_manifest import read_manifest
from app.events.archive_names import BatchRange
from app.events.forgotten import moment_of
from app.registry.registry import obeyed_by
from app.stream.folders import StreamFolders
from app.stream.forgetting import MICROS, SETTLED_SECONDS, read_marker

LANDING_SECONDS = 60.0  #: an event is landed so long after it came, at the most


def forgetting(settings: Settings, user_id: str, names: Sequence[str], *, tied: bool) -> Forgetting:
    """What has become of a forgetting.

    Parameters
    ----------
    settings
        Of the API; places that others write to are looked at.
    user_id
        As it was asked for.
    names
        Of the forgettings of all who were one with the user, from `Forgotten.together`.
    tied
        Whether the list of merged users has the user, as it is left by a server that was killed in between.
    """
    moment = moment_of(names[0])
    places = list(_Places(settings, names, moment / MICROS, tied).all())
    return Forgetting(
        user_id=user_id,
        forgotten_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment),
        done=all(place.done for place in places),
        places=places,
    )


@dataclass(frozen=True)
class _Places:
    settings: Settings
    names: Sequence[str]
    at: float  # seconds since 1970
    tied: bool

    def all(self) -> Iterator[Place]:
        folders, output = StreamFolders.of(self.settings), Output(self.settings.output.absolute())
        yield Place(place="sessions and lists of the API", done=True, detail="every replica, as soon as it has read it")
        yield Place(place="attribution", done=True, detail="lists that were answered, and their counts, name no user")
        yield self._place("list of merged users", not self.tied, "forget the user once more")
        yield self._place(
            "log of posted events",
            not any(
                LOG_FILE.fullmatch(name) and name <= file_name(self.at) for name in _names(log_folder(self.settings))
            ),
            f"files older than {self.settings.remember_hours:g} hours (VITRINE_REMEMBER_HOURS) are deleted",
        )
        yield from self._stream(folders)
        yield from self._archive(folders)
        yield self._place(
            "bundles",
            all(self._obeyed(path) for path in _paths(output.models)),
            "a training that is published knows nothing of the user; the bundle before it goes with the one after that",
        )
        yield self._place(
            "tables of trainings",
            not any(map(self._made_before, output.tables())) and self._csv_is_new(output),
            "deleted by the next training, whether it is published or not",
        )
        yield from self._points()

    def _stream(self, folders: StreamFolders) -> Iterator[Place]:
        marker, there = read_marker(folders), any(_paths(folders.lists))
        moment = self.at * MICROS
        yield self._place("list files of the stream", marker.lists >= moment or not there, "the stream rewrites them")
        yield self._place(
            "sessions of the stream",
            marker.state >= moment or not folders.checkpoints.is_dir(),
            "nobody is listed from them; dropped when their window has passed in the shop's time",
        )
        yield self._place(
            "landing folder",
            not any(self._came_before(path) for path in _paths(folders.landing)),
            "files are deleted once they are archived if VITRINE_CLEAN_LANDING is set, else by the shop",
        )
        yield self._place(
            "damaged files",
            not any(self._came_before(path) for path in _paths(folders.damaged)),
            "the stream can't read them: delete them, or mend and land them again",
        )

    def _archive(self, folders: StreamFolders) -> Iterator[Place]:
        marker, moment = read_marker(folders), self.at * MICROS
        yield self._place(
            "archive",
            marker.archive >= moment or not any(self._archived_before(path) for path in _paths(folders.archive)),
            "the stream writes its folders anew without the user, and deletes the old ones some five hours later",
        )
        yield self._place(
            "rejected rows",
            marker.rejected >= moment or not any(_paths(folders.rejected)),
            "the stream takes out what names the user, after five minutes",
        )

    def _points(self) -> Iterator[Place]:
        named = [name for name in self.names if not are_nameless(self.settings, name)]
        kept = [name for name in named if is_pending(self.settings, name)]
        if self.settings.influx_url is not None or kept:
            unknown = f"; {len(named) - len(kept)} ids are not known: ask for the receipts of all who were one"
            yield self._place(
                "InfluxDB",
                not named or self._gone_from_influx(),
                "the user's id is taken out of points at once, and again after five minutes; its token must read too"
                + (unknown if len(kept) < len(named) else ""),
            )

    def _place(self, name: str, done: bool, waits_for: str) -> Place:
        return Place(place=name, done=done, detail="nothing is left" if done else waits_for)

    def _came_before(self, path: Path) -> bool:
        try:
            return path.name[0] not in "._" and path.stat().st_mtime <= self.at + LANDING_SECONDS
        except FileNotFoundError:
            return False

    def _archived_before(self, path: Path) -> bool:
        if BatchRange.parse(path.name) is None:
            return False
        try:
            return read_manifest(path).oldest <= self.at + SETTLED_SECONDS
        except (VitrineError, OSError):  # its manifest is lost, or away for a moment: nothing is known of it
            return True

    def _obeyed(self, path: Path) -> bool:
        if path.name.startswith("."):  # half a bundle, of a training that is at work or was killed
            return not path.is_dir() or path.stat().st_mtime > self.at
        return not path.is_dir() or obeyed_by(path).issuperset(self.names)

    def _made_before(self, path: Path) -> bool:
        return made_before(path, round(self.at * MICROS))

    def _csv_is_new(self, output: Output) -> bool:
        """Whether the lists as CSV, if there are any, are the copy of a table that counts as new."""
        tables = [path.stat().st_mtime for path in _paths(output.recommendations)]
        return not output.merged_csv.exists() or (bool(tables) and output.merged_csv.stat().st_mtime >= max(tables))

    def _gone_from_influx(self) -> bool:
        days = self.settings.influx_days
        return days is not None and self.at + days * 86_400 < datetime.now(UTC).timestamp()


def _names(folder: Path) -> list[str]:
    return [path.name for path in _paths(folder)]


def _paths(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
