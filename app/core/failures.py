"""What Spark says in a stack trace, in a line a user can act on."""

import re
from urllib.parse import unquote

from app.core.errors import InputError, VitrineError

#: What a failure says of a file of the log, and what to tell of it; the first that matches is told.
OF_A_FILE = (
    (r"Unexpected end of ZLIB|Unexpected end of input stream", "the compressed file is truncated: fetch it again"),
    (
        r"not a gzip file|Not in GZIP format|gzip (stream|header) CRC|stored gzip size|incorrect header check|"
        r"invalid (stored block|block type|distance|code lengths|literal/length|bit length)|oversubscribed|"
        r"too many length or distance symbols",
        "is named .gz but is not gzip, or is damaged: fetch it again",
    ),
    (
        r"CSV header does not conform to the schema|Number of column in CSV header is not equal",
        "the files' headers differ: all files of one --events path need the same columns in the same order; "
        "name others as a path of their own, separated by a comma",
    ),
    (
        r"PARQUET_COLUMN_DATA_TYPE_MISMATCH|Illegal Parquet type|PARQUET_TYPE",
        "a column's type cannot be read, or is not that of the other files: write the Parquet files alike",
    ),
    (
        r"not a Parquet file|CANNOT_READ_FILE_FOOTER|Could not read footer",
        "is not Parquet, or is damaged: fetch it again",
    ),
    (r"FILE_NOT_EXIST", "was there and is gone: did the log change during the run?"),
)
#: The same of the machine and of Spark itself.
OF_THE_SYSTEM = (
    (
        r"No space left on device|Disk quota exceeded",
        "the disk is full: free space on the volume of --output or of Spark's temporary files (SPARK_LOCAL_DIRS)",
    ),
    (r"Read-only file system", "the disk is read-only: give --output a folder that can be written to"),
    (r"Permission denied", "permission denied: run as a user who may read --events and write to --output"),
    (r"Mkdirs failed to create", "a folder cannot be made: give --output a folder that can be written to"),
    (r"PATH_ALREADY_EXISTS", "another run is just writing the same table to --output: start again"),
    (
        r"OutOfMemoryError|Java heap space|Answer from Java side is empty|Py4JNetworkError",
        "out of memory, or Spark's Java process was killed: give --driver-memory more, or use a larger machine",
    ),
    (
        r"JAVA_GATEWAY_EXITED",
        "Spark's Java process did not start: is Java 17 or later installed (JAVA_HOME), and is --driver-memory "
        "a size that this machine has, such as 4g?",
    ),
    (r"Could not parse Master URL", "--master is not the address of a Spark master, such as local[*] or k8s://…"),
)
FILE = re.compile(r"(?:file:/*(?=/)|(?<=while reading file )|(?<=CSV file: ))(\S+?\.\w+(?:\.\w+)?)[\s'\".,:]")


def explain(error: BaseException) -> VitrineError | None:
    """A one-line error for a failure of Spark or the system, None if it is not a known one."""
    text = failure_text(error)
    if isinstance(error, NotADirectoryError | IsADirectoryError | FileExistsError):
        return InputError(f"{error.filename}: {error.strerror}; give --output another place")
    for pattern, meaning in OF_THE_SYSTEM:
        if re.search(pattern, text):
            return InputError(meaning)
    for pattern, meaning in OF_A_FILE:
        if re.search(pattern, text):
            place = FILE.search(text)
            return InputError(f"{unquote(place.group(1))}: {meaning}" if place else meaning)
    return None


def failure_text(error: BaseException) -> str:
    """All that a failure and its causes say, in Python and in the JVM."""
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
