"""How far a replay has come, in a file, and how its event files land.

How nothing is lost or doubled: each file is written under a hidden name, then the state is replaced
by one that counts the file as landed and names it, then the file is renamed. After a kill, a hidden
file that the state names is renamed; any other hidden file was not counted and is written anew. A
file is thus never landed twice, even if the stream has read and removed it meanwhile.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.core.errors import InputError
from app.core.files import sync, write_text
from app.stream.replay_files import Events


@dataclass(frozen=True)
class Position:
    """How far a replay has come; what the state file holds."""

    run: str  # first part of the landed files' names
    files: int = 0
    rows: int = 0
    elapsed: int = 0  # microseconds of event time played, long gaps capped
    event_time: int | None = None  # of the last row, microseconds since 1970


@dataclass(frozen=True)
class ReplayState:
    """The state of one replay.

    Parameters
    ----------
    path
        The state file.
    landing
        Folder that files land in.
    events
        What is replayed.
    pace
        By name, what the pace depends on: a replay is resumed at the same pace only.
    """

    path: Path
    landing: Path
    events: Events
    pace: dict[str, Any]

    def resume(self) -> Position:
        """The position of an earlier run, whose last file is brought to its name; at a first start, a new one.

        Raises
        ------
        InputError
            The state is damaged or of another replay.
        """
        position = self._saved()
        if position is None:
            position = Position(datetime.now(UTC).strftime("replay-%Y%m%dT%H%M%S"))
            self._save(position)  # a kill from here on keeps the run's name
        elif self._hidden(position).exists():
            self._show(position)
        return position

    def land(self, parts: list[Any], position: Position) -> None:
        """Land rows as the last file of a position, and make it the position reached."""
        hidden = self._hidden(position)
        self.events.write(hidden, parts)
        for path in (hidden, self.landing):  # a power cut must not leave a state that names a missing file
            sync(path)
        self._save(position)
        self._show(position)

    def _saved(self) -> Position | None:
        if not self.path.exists():
            return None
        try:
            saved = json.loads(self.path.read_text())
            owner, position = dict(saved["replay"]), Position(**saved["position"])
        except (ValueError, TypeError, KeyError, OSError):
            raise InputError(f"{self.path}: is not a replay's state; name another file or remove it") from None
        differ = [name for name, value in self._owner().items() if owner.get(name) != value]
        if differ:
            raise InputError(
                f"{self.path}: belongs to another replay (its {', '.join(differ)} differ); remove it to start anew"
            )
        return position

    def _owner(self) -> dict[str, Any]:
        """What identifies this replay."""
        sizes = [[file.name, file.stat().st_size] for file in self.events.files]
        return {"files": sizes, "landing": str(self.landing.resolve()), **self.pace}

    def _save(self, position: Position) -> None:
        write_text(self.path, json.dumps({"replay": self._owner(), "position": asdict(position)}))

    def _name(self, position: Position) -> str:
        return f"{position.run}-{position.files:09d}{self.events.suffix}"

    def _hidden(self, position: Position) -> Path:
        return self.landing / f".{self._name(position)}"

    def _show(self, position: Position) -> None:
        os.replace(self._hidden(position), self.landing / self._name(position))
