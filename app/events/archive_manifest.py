"""What a folder of an archive must hold, recorded beside its files."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict

from app.core.errors import VitrineError
from app.core.files import write_text

MANIFEST = "_batch.json"
DAY = 86_400_000_000  #: microseconds


class Manifest(BaseModel):
    """`windows`: starts of the windows that events lie in, microseconds since 1970; `written`: seconds since 1970.

    `begun`: of folders that were put together, when the first of them was written; `cut`: rows of forgotten users that
    are not there any more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    windows: list[int]
    written: float
    begun: float | None = None
    cut: int = 0

    @property
    def oldest(self) -> float:
        """When the first of its events was archived."""
        return self.written if self.begun is None else self.begun


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Record beside a folder's files what they must hold."""
    write_text(folder / MANIFEST, manifest.model_dump_json(exclude_defaults=True))  # what the edition before reads


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises
    ------
    VitrineError
        It has none, or a damaged one.
    OSError
        The system does not give it now.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_text())
    except (FileNotFoundError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is damaged"
        raise VitrineError(f"archive {path}: {reason}; what the folder must hold is not known") from None


def recent(names: list[str], days: float) -> list[str]:
    """Files of a log, without those of archived folders whose events are all too old.

    Parameters
    ----------
    names
        URIs of files; of one that has no manifest beside it, nothing is known, and it stays.
    days
        Before the latest window of all manifests.
    """
    latest = {folder: _latest(folder) for folder in {name.rpartition("/")[0] for name in names}}
    known = [window for window in latest.values() if window is not None]
    if not known:
        return names
    since = max(known) - days * DAY
    old = {folder for folder, window in latest.items() if window is not None and window < since - DAY}
    return [name for name in names if name.rpartition("/")[0] not in old]


def _latest(folder: str) -> int | None:
    """The latest window of a folder on a mounted file system; a window is shorter than a day."""
    place = urlsplit(folder)
    if place.scheme not in ("", "file"):
        return None
    try:
        return max(read_manifest(Path(unquote(place.path))).windows, default=None)
    except (VitrineError, OSError):
        return None
