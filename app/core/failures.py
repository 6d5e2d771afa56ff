"""Turns Spark, OS and worker failures into one line a user can act on.

Where Spark gives a failure a condition (`FAILED_READ_FILE`, with the path as a parameter), the condition
is what is read: `conditions`. The rest is recognised by its text, here and nowhere else: messages of the
operating system (a full disk), some of Spark's readers and checkpoints, and an error of ours raised in a
Python worker, which Spark passes on as a stack trace. One raised in this process arrives as it is.
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

#: Text of a failure to read a file of the log, and the line shown for it; the first match counts.
FILE_FAILURES = (
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
        "is not Parquet, or is damaged: fetch it again, or move it away to do without its rows",
    ),
    (r"FILE_NOT_EXIST", "was there and is gone: did the log change during the run?"),
)
JAVA_IS_SILENT = "Answer from Java side is empty"  #: py4j's words for a JVM that has gone
NO_ANSWER = r"(?m:^Py4JError: An error occurred while calling \S+ ?$)"  #: where it goes as it is called: no trace of it
#: The same for the machine and for Spark itself.
SYSTEM_FAILURES = (
    (
        r"No space left on device|Disk quota exceeded|\d+ requested and \d+ written",  # the last is NumPy's
        "the disk is full: free space on the volume of --output or of Spark's temporary files (SPARK_LOCAL_DIRS)",
    ),
    (r"Read-only file system", "the disk is read-only: give --output a folder that can be written to"),
    (r"Permission denied", "permission denied: run as a user who may read --events and write to --output"),
    (r"Mkdirs failed to create", "a folder cannot be made: give --output a folder that can be written to"),
    (r"PATH_ALREADY_EXISTS", "another run is writing the same table to --output: start again"),
    (
        rf"OutOfMemoryError|Java heap space|{JAVA_IS_SILENT}|Py4JNetworkError|{NO_ANSWER}",
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

#: Text of a failure of a file system that is away.
FAILS = re.compile("Input/output error|Stale file handle|Transport endpoint is not connected")
FAILING = "a disk fails, or a mounted volume is away: see after it, and start again; what was under way is done again"

UNREADABLE = "FAILED_READ_FILE"  #: how Spark's condition begins, whatever is wrong with a file; `path` names it
UNQUOTED = f"{UNREADABLE}.CANNOT_READ_FILE_FOOTER"  #: whose path is no URI

#: Spark's messages for a CSV file whose columns are not those that a query expects: their names, or how many of each.
OTHER_NAMES = re.compile(r"CSV header does not conform to the schema\.\s+Header: (.*)\s+Schema: (.*)")
OTHER_NUMBER = re.compile(
    r"Number of column in CSV header is not equal to number of fields in the schema:\s+"
    r"Header length: (\d+), schema size: (\d+)"
)

#: How Spark's conditions begin where a checkpoint does not hold what the query needs.
REFUSED_CHECKPOINTS = (
    "STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE",
    "STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE",
    "STATE_STORE_COLUMN_FAMILY_SCHEMA_INCOMPATIBLE",
    "STATE_STORE_INVALID_VALUE_SCHEMA_EVOLUTION",
    "STATE_STORE_INVALID_CONFIG_AFTER_RESTART",
    "STATE_STORE_KEY_ROW_FORMAT_VALIDATION_FAILURE",
    "STATE_STORE_VALUE_ROW_FORMAT_VALIDATION_FAILURE",
    "STREAMING_STATEFUL_OPERATOR_NOT_MATCH_IN_STATE_METADATA",
    "STREAMING_STATEFUL_OPERATOR_MISSING_STATE_DIRECTORY",
    "STREAMING_CHECKPOINT_MISSING_METADATA_FILE",
    "CANNOT_LOAD_STATE_STORE",
)
#: The same where Spark gives no condition: its text, and the reason shown.
REFUSAL_MESSAGES = {
    "sources in the checkpoint offsets": "it read other sources",
    "Wrong basePath": "its landing folder was another; moved by mistake, it can be moved back",
    "Checksum error: file:": "one of its files is damaged",
}

#: The last line of a worker's stack trace, where the error is ours.
OWN_ERROR = re.compile(rf"^{re.escape(errors.__name__)}\.(\w+): (.+)$", re.MULTILINE)
MAX_CAUSES = 20  #: length of a chain of causes that is followed


@dataclass(frozen=True)
class Condition:
    """What Spark calls a failure, such as `FAILED_READ_FILE.NO_HINT`, and its parameters by name."""

    name: str
    parameters: dict[str, str]


@dataclass(frozen=True)
class ColumnMismatch:
    """Columns that a CSV file has, and those expected of it: names in lower case, or the number of each."""

    found: str | int
    expected: str | int


def explain(error: BaseException) -> VitrineError | None:
    """A one-line error for a known failure of Spark, the system or a worker; None for any other."""
    own = own_error(error)
    if own is not None:
        return own
    if isinstance(error, NotADirectoryError | IsADirectoryError | FileExistsError):
        return InputError(f"{error.filename}: {error.strerror}; give --output another place")
    system = of_the_system(error)
    if system is not None:
        return system
    text = failure_text(error)
    meaning = next((meaning for pattern, meaning in FILE_FAILURES if re.search(pattern, text)), None)
    file = next(unreadable_files(error), None)
    if file is not None:
        return InputError(f"{file}: {meaning or _cannot_be_read(error)}")
    if meaning is None:
        named = getattr(error, "filename", None)
        return InputError(f"{named}: {FAILING}" if named else FAILING) if FAILS.search(text) else None
    place = FILE.search(text)
    return InputError(f"{unquote(place.group(1))}: {meaning}" if place else meaning)


def unreadable_files(error: BaseException) -> Iterator[str]:
    """The files that Spark failed to read, where that is why something failed."""
    for condition in conditions(error):
        if condition.name.startswith(UNREADABLE):
            path = condition.parameters["path"]
            yield re.sub("^file:/*(?=/)", "", path if condition.name == UNQUOTED else unquote(path))


def _cannot_be_read(error: BaseException) -> str:
    *_, cause = _java_chain(error)
    reason = (cause.getMessage() or cause.toString()).splitlines()[0]
    return f"cannot be read ({reason}); if it is damaged, fetch it again, or move it away to do without its rows"


def of_the_system(error: BaseException) -> InputError | None:
    """The error if the machine or Spark itself is why something failed."""
    text = failure_text(error)
    return next((InputError(meaning) for pattern, meaning in SYSTEM_FAILURES if re.search(pattern, text)), None)


def own_error(error: BaseException) -> VitrineError | None:
    """The error of ours that a failure is, or with which a Python worker of Spark failed."""
    if isinstance(error, VitrineError):
        return error
    for condition in conditions(error):
        if condition.name.startswith("PYTHON_EXCEPTION"):
            found = OWN_ERROR.findall("\n".join(condition.parameters.values()))
            if found:
                name, message = found[-1]
                made: VitrineError = getattr(errors, name)(message)
                return made
    return None


def column_mismatch(error: BaseException) -> ColumnMismatch | None:
    """How a CSV file's columns differ from those expected, if that is why a query failed."""
    text = failure_text(error)
    if names := OTHER_NAMES.search(text):
        found, expected = (columns.removeprefix("\ufeff").lower() for columns in names.groups())
        return ColumnMismatch(found, expected)
    if numbers := OTHER_NUMBER.search(text):
        return ColumnMismatch(int(numbers[1]), int(numbers[2]))
    return None


def checkpoint_refusal(error: BaseException) -> str | None:
    """Why a query can't go on from its checkpoint, if that is why it failed."""
    for condition in conditions(error):
        if condition.name.startswith(REFUSED_CHECKPOINTS):
            return condition.name
    text = failure_text(error)
    return next((reason for message, reason in REFUSAL_MESSAGES.items() if message in text), None)


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
    except Exception:  # the JVM may be what failed: use what was found until then
        return found
    return found


def failure_text(error: BaseException) -> str:
    """The messages of a failure and its causes, in Python and in the JVM."""
    parts = [_message(current) for current in _python_chain(error)]
    try:
        parts += [java.toString() for java in _java_chain(error)]
    except Exception as gone:  # the JVM may be what failed
        parts.append(str(gone))
    return "\n".join(parts) + " "


def _message(error: BaseException) -> str:
    """Its type and text; one that stands for a failure in the JVM has to ask that for its text."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # the JVM may be what failed
        return f"{type(error).__name__}: {JAVA_IS_SILENT}"


def _python_chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        # pyspark keeps the cause that it found in an attribute of its own
        current = getattr(current, "_cause", None) or current.__cause__ or current.__context__


def _java_chain(error: BaseException) -> Iterator[Any]:
    """The JVM's throwables behind a failure: each with its causes."""
    for current in _python_chain(error):
        java = getattr(current, "java_exception", None) or getattr(current, "_origin", None)
        for _ in range(MAX_CAUSES):
            if java is None:
                break
            yield java
            java = java.getCause()
