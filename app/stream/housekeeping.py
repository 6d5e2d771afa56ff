"""Deleting files of the landing folder that are safely archived."""

from collections.abc import Iterable
from pathlib import Path

LANDING_MARGIN = 600.0  #: seconds: files so much older than the newest one done with may be deleted


def clean_landing(landing: Path, consumed: Iterable[float]) -> None:
    """Delete files that every query has long done with.

    Parameters
    ----------
    landing
        The landing folder; files being written (a leading dot or underscore) stay.
    consumed
        For each query, the arrival of the newest file that it has committed, in seconds since 1970.
        Files are taken roughly in the order of their arrival; the margin is for those that are not.
    """
    done = min(consumed) - LANDING_MARGIN
    for path in landing.iterdir():
        if path.is_file() and not path.name.startswith((".", "_")) and _arrived(path) < done:
            path.unlink()


def _arrived(path: Path) -> float:
    """When a file came: a rename keeps the time of its content, and sets that of its inode."""
    stat = path.stat()
    return max(stat.st_mtime, stat.st_ctime)
