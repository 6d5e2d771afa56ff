"""Files of the landing folder that can't be read."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.core.failures import failure_text
from app.stream.folders import StreamFolders

#: How Spark names a file that it could not read.
UNREADABLE = re.compile(
    r"FAILED_READ_FILE|Encountered error while reading file|not a Parquet file|EOFException|ZipException"
)
FILE = re.compile(r"file:/+[^\s'\",]+")


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
    text = failure_text(error)
    if not UNREADABLE.search(text):
        return None
    for uri in FILE.findall(text):
        path = Path("/" + unquote(urlsplit(uri.rstrip(".")).path).lstrip("/"))
        if path.parent == folders.landing:
            target = folders.damaged / path.name
            if path.exists():
                path.replace(target)
            return target if target.exists() else None
    return None
