"""The list of forgotten users: what happened before a user was forgotten counts for nobody.

A folder with an empty file for each forgetting, named by a salted hash of the internal number and by the moment: any
number of processes may add to it, on any file system, and a file is there whole or not at all. Who has the salt, which
lies beside, can still try ids out: integers are few. It keeps ids out of the list, not out of reach.

What counts is the time of an event. A user who comes back is a new one.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.core.files import sync, write_first
from app.core.watched import WatchedFolder

FOLDER = "forgotten"  #: of an output
SALT = ".salt"
DIGEST_LENGTH = 32
NAME = re.compile(rf"([0-9a-f]{{{DIGEST_LENGTH}}})-(\d{{1,17}})")


@dataclass(frozen=True)
class Forgotten:
    """The list at one moment.

    Attributes
    ----------
    salt
        Of the hash.
    moments
        By hash of the user, the latest moment of forgetting in microseconds since 1970.
    """

    salt: str = ""
    moments: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.moments)

    @property
    def latest(self) -> int:
        """The moment of the latest forgetting; 0 without one."""
        return max(self.moments.values(), default=0)

    @property
    def names(self) -> tuple[str, ...]:
        """Each user's latest forgetting, by name."""
        return tuple(sorted(_name(digest, moment) for digest, moment in self.moments.items()))

    def until(self, user: int) -> int | None:
        """Up to which moment a user's events count for nobody; None if the user was not forgotten."""
        return self.moments.get(hashed(self.salt, user)) if self.moments else None

    def name(self, user: int) -> str | None:
        """The name of a user's latest forgetting."""
        until = self.until(user)
        return None if until is None else _name(hashed(self.salt, user), until)

    def together(self, name: str) -> tuple[str, ...]:
        """The names of all who were forgotten at once, as those are who were one, by the name of one of them."""
        moment = moment_of(name)
        return tuple(_name(digest, at) for digest, at in self.moments.items() if at == moment)

    def among(self, users: Iterable[int]) -> dict[int, int]:
        """Those of some users who were forgotten, with the moment."""
        if not self.moments:
            return {}
        found = {user: self.until(user) for user in users}
        return {user: until for user, until in found.items() if until is not None}


NOBODY = Forgotten()


def hashed(salt: str, user: int) -> str:
    """What a user is called in the list; `app.events.forgotten_rows` has it in Spark."""
    return hashlib.sha256(f"{salt}{user}".encode()).hexdigest()[:DIGEST_LENGTH]


def moment_of(name: str) -> int:
    """When a forgetting of this name was, in microseconds since 1970."""
    return int(name.rpartition("-")[2])


def _name(digest: str, moment: int) -> str:
    return f"{digest}-{moment}"


class ForgottenUsers:
    """The list of an output folder, which need not exist; for any thread.

    Parameters
    ----------
    output
        The output folder.
    """

    def __init__(self, output: Path):
        self.folder = output.absolute() / FOLDER
        self._watched = WatchedFolder(self.folder, self._listed)

    def read(self) -> Forgotten:
        """The list as it is now."""
        return self._watched.read()

    def forget(self, user: int, now: float) -> int:
        """Add a user, by internal number; the moment, from when on it holds everywhere that the list is read.

        Raises
        ------
        OSError
            The folder can't be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        moment = round(now * 1_000_000)
        handle = os.open(self.folder / _name(hashed(self._salt(), user), moment), os.O_CREAT | os.O_WRONLY, 0o644)
        os.close(handle)
        sync(self.folder)
        return moment

    def _salt(self) -> str:
        path = self.folder / SALT
        write_first(path, secrets.token_hex(16))
        return path.read_text()

    def _listed(self, names: Iterable[str]) -> Forgotten:
        moments: dict[str, int] = {}
        for name in names:
            if found := NAME.fullmatch(name):
                moments[found[1]] = max(moments.get(found[1], 0), int(found[2]))
        return Forgotten(self._salt() if moments else "", moments)
