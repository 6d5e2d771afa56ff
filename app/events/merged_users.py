"""The list of merged users of an output folder: a small file for each merge, which is there whole or not at all.

Writers keep to a lock that the kernel frees when its holder dies, so that no two of them close a ring. Readers need
none. Unlike the list of the forgotten it holds ids, since a training must know them: who is forgotten leaves it.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from app.core.errors import VitrineError
from app.core.files import replacing, sync
from app.core.locks import locked
from app.core.watched import WatchedFolder
from app.events.merged import Merge, Merged

FOLDER = "merged"  #: of an output
LOCK = ".lock"
NAME = re.compile(r"-?\d{1,19}-\d{1,17}\.json")


@dataclass(frozen=True)
class _Listed:
    """The merges by their files, and what follows from them."""

    files: dict[str, Merge] = field(default_factory=dict)
    merged: Merged = field(default_factory=Merged)


class MergedUsers:
    """The list of an output folder, which need not exist; for any thread.

    Parameters
    ----------
    output
        The output folder.
    """

    def __init__(self, output: Path):
        self.folder = output.absolute() / FOLDER
        self._watched = WatchedFolder(self.folder, self._listed)
        self._latest = _Listed()

    def read(self) -> Merged:
        """The list as it is now; the same object for as long as it stays the same.

        Raises
        ------
        VitrineError
            A file is damaged.
        """
        return self._watched.read().merged

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps all other writers out, of any process.

        Raises
        ------
        OSError
            The folder can't be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / LOCK):
            yield

    def add(self, user: int, into: int, into_key: str, now: float, user_key: str | None = None) -> None:
        """Add a merge, at a moment in seconds since 1970; within `alone`, after a look at `Merged.standing`."""
        at = max(round(now * 1_000_000), self.read().latest + 1)
        merge = Merge(user=user, into=into, into_key=into_key, at=at, user_key=user_key)
        with replacing(self.folder / f"{user}-{at}.json") as part:
            part.write_text(merge.model_dump_json(), encoding="utf-8")

    def remove(self, users: Collection[int]) -> None:
        """Drop all merges of and into some users; within `alone`."""
        files = self._watched.read().files
        gone = [name for name, merge in files.items() if merge.user in users or merge.into in users]
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)
        if gone:
            sync(self.folder)

    def _listed(self, names: list[str]) -> _Listed:
        latest, there = self._latest, {name for name in names if NAME.fullmatch(name)}
        if there != latest.files.keys():
            read = {name: latest.files.get(name) or self._merge(name) for name in there}
            files = {name: merge for name, merge in read.items() if merge is not None}
            latest = self._latest = _Listed(files, Merged.of(files.values()))
        return latest

    def _merge(self, name: str) -> Merge | None:
        path = self.folder / name
        try:
            return Merge.model_validate_json(path.read_bytes())
        except FileNotFoundError:  # dropped meanwhile
            return None
        except ValidationError:
            raise VitrineError(f"{path}: is damaged; move it away, and merge the two users again") from None


@lru_cache(maxsize=4)
def merged_users(output: Path) -> MergedUsers:
    """The list of an output folder for a worker of one thread, which reads each file of it once."""
    return MergedUsers(output)
