"""Files of the landing folder that can't be read."""

from pathlib import Path

from app.core.failures import unreadable_files
from app.stream.folders import StreamFolders


def set_aside(error: BaseException, folders: StreamFolders) -> Path | None:
    """Move the file that stopped a query out of the landing folder.

    Parameters
    ----------
    error
        What the query failed with.
    folders
        The stream's folders.

    Returns
    -------
    Path or None
        Where it lies now (or was moved to by another query, which met it first); None if the error
        is not about a file of the landing folder.
    """
    for path in map(Path, unreadable_files(error)):
        if path.parent == folders.landing:
            target = folders.damaged / path.name
            if path.exists():
                path.replace(target)
            return target if target.exists() else None
    return None


def delete_old(folders: StreamFolders, before: float) -> None:
    """Delete files that were set aside before a moment, seconds since 1970.

    A rename keeps the time at which a file was modified, which may be any; what counts is when its name was changed.
    """
    for path in folders.damaged.glob("*"):  # none where somebody has deleted the folder
        if path.is_file() and path.stat().st_ctime < before:
            path.unlink()
