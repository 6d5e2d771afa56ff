"""What went wrong in Spark, found again on this side of it, in a line that a user can act on.

Where Spark gives a failure a condition (`FAILED_READ_FILE`, with the path as a parameter), that is what
is read: `conditions`. Two kinds have none and are known by their text, here and nowhere else: what the
system says (a full disk), and an error of ours that was raised in a Python worker. Spark hands that
one on as a stack trace; one raised in this process is never lost, so it needs no search.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from py4j.java_gateway import is_instance_of
from pyspark import SparkContext

from app.core import errors
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


#: The last line of a worker's stack trace, where the error is ours.
OWN_ERROR = re.compile(rf"^{re.escape(errors.__name__)}\.(\w+): (.+)$", re.MULTILINE)
DEEPEST = 20  #: causes of a cause that are looked at


@dataclass(frozen=True)
class Condition:
    """What Spark calls a failure, such as `FAILED_READ_FILE.NO_HINT`, and its parameters by name."""

    name: str
    parameters: dict[str, str]


def explain(error: BaseException) -> VitrineError | None:
    """A one-line error for a failure of Spark, the system or a worker; None if it is not a known one."""
    own = own_error(error)
    if own is not None:
        return own
    if isinstance(error, NotADirectoryError | IsADirectoryError | FileExistsError):
        return InputError(f"{error.filename}: {error.strerror}; give --output another place")
    system = of_the_system(error)
    if system is not None:
        return system
    text = failure_text(error)
    for pattern, meaning in OF_A_FILE:
        if re.search(pattern, text):
            place = FILE.search(text)
            return InputError(f"{unquote(place.group(1))}: {meaning}" if place else meaning)
    return None


def of_the_system(error: BaseException) -> InputError | None:
    """What is the matter with the machine or with Spark itself, if that is why something failed."""
    text = failure_text(error)
    return next((InputError(meaning) for pattern, meaning in OF_THE_SYSTEM if re.search(pattern, text)), None)


def own_error(error: BaseException) -> VitrineError | None:
    """The error of ours that a failure is, or that a Python worker of Spark's has failed with."""
    if isinstance(error, VitrineError):
        return error
    for condition in conditions(error):
        if condition.name.startswith("PYTHON_EXCEPTION"):
            told = OWN_ERROR.findall("\n".join(condition.parameters.values()))
            if told:
                name, message = told[-1]
                made: VitrineError = getattr(errors, name)(message)
                return made
    return None


def conditions(error: BaseException) -> list[Condition]:
    """Spark's conditions of a failure and its causes, the outermost first."""
    gateway, jvm = SparkContext._gateway, SparkContext._jvm
    found: list[Condition] = []
    if gateway is None or jvm is None:
        return found
    try:
        for java in _java_chain(error):
            if is_instance_of(gateway, java, "org.apache.spark.SparkThrowable") and java.getCondition():
                found.append(Condition(java.getCondition(), dict(java.getMessageParameters())))
    except Exception:  # the JVM may be what failed: what was found until then has to do
        return found
    return found


def failure_text(error: BaseException) -> str:
    """All that a failure and its causes say, in Python and in the JVM."""
    parts = [f"{type(current).__name__}: {current}" for current in _python_chain(error)]
    try:
        parts += [java.toString() for java in _java_chain(error)]
    except Exception as gone:  # the JVM may be what failed
        parts.append(str(gone))
    return "\n".join(parts) + " "


def _python_chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        # what pyspark has found out of a failure's cause it keeps to itself
        current = getattr(current, "_cause", None) or current.__cause__ or current.__context__


def _java_chain(error: BaseException) -> Iterator[Any]:
    """The JVM's throwables behind a failure: each with its causes."""
    for current in _python_chain(error):
        java = getattr(current, "java_exception", None) or getattr(current, "_origin", None)
        for _ in range(DEEPEST):
            if java is None:
                break
            yield java
            java = java.getCause()
