"""What Spark says in a stack trace, in a line a user can act on."""

import re
from pathlib import Path

from app.errors import InputError, VitrineError

#: What to look for in a failure, and what to say of it; the first that matches is said.
KNOWN = (
    (r"No space left on device", "the disk is full: free space on the volume of the output folder"),
    (r"Read-only file system", "the disk is read-only: give --output a folder that can be written to"),
    (
        r"Unexpected end of ZLIB|Unexpected end of input stream|EOFException",
        "a compressed file is truncated: fetch it again",
    ),
    (r"not a gzip file|incorrect header check|invalid stored block|Not in GZIP format", "a .gz file is not gzip"),
    (
        r"CSV header does not conform to the schema",
        "the files' headers differ: all files of a log need the same columns",
    ),
    (r"not a Parquet file|CANNOT_READ_FILE_FOOTER|Could not read footer", "a file is not Parquet, or is damaged"),
    (r"Permission denied", "permission denied: run as a user who may read the log and write the output"),
    (r"Mkdirs failed to create", "a folder cannot be made: give --output a folder that can be written to"),
    (r"OutOfMemoryError|Java heap space", "out of memory: give --driver-memory more, or use a larger executor"),
)
FILE = re.compile(r"(?:file:|while reading file |CSV file: )(\S+?\.\w+(?:\.\w+)?)[\s'\".,]")


def explain(error: BaseException) -> VitrineError | None:
    """A one-line error for a failure of Spark or the system, None if it is not a known one."""
    text = _text(error)
    for pattern, meaning in KNOWN:
        if re.search(pattern, text):
            place = FILE.search(text)
            where = f"{Path(place.group(1)).as_posix()}: " if place else ""
            return InputError(f"{where}{meaning}")
    return None


def _text(error: BaseException) -> str:
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None:
        parts.append(f"{type(current).__name__}: {current}")
        java = getattr(current, "java_exception", None) or getattr(current, "_origin", None)
        if java is not None:
            parts.append(_java_text(java))
        current = current.__cause__ or current.__context__
    return "\n".join(parts) + " "


def _java_text(java) -> str:  # type: ignore[no-untyped-def]
    parts, depth = [], 0
    while java is not None and depth < 20:
        try:
            parts.append(java.toString())
            java = java.getCause()
        except Exception as gone:  # the JVM may be what failed
            return "\n".join([*parts, str(gone)])
        depth += 1
    return "\n".join(parts)
