"""Files that were listed and are gone before they were read: Spark passes over them without a word."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from app.stream.folders import StreamFolders
from app.stream.intake import LOCAL
from app.stream.source_log import path_of


def vanished(listed: Iterable[str], read: Collection[str], folders: StreamFolders) -> list[Path]:
    """Files of a micro-batch that nothing was read of, and that are neither empty nor set aside.

    Parameters
    ----------
    listed
        URIs of all that it was planned to read.
    read
        URIs that rows came of.
    folders
        Of the stream.
    """
    seen = {re.sub(LOCAL, "/", name) for name in read}
    paths = (path_of(name) for name in listed if re.sub(LOCAL, "/", name) not in seen)
    return sorted(path for path in paths if not (path.exists() or (folders.damaged / path.name).exists()))
