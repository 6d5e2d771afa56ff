"""Known failures in one line, and what is done with the rest."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pytest
from py4j.protocol import Py4JError, Py4JJavaError, Py4JNetworkError
from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from app.core.errors import EXIT_BAD_INPUT, EXIT_FAILED, BundleError, InputError, VitrineError
from app.core.failures import conditions, explain, own_error
from app.core.spark import end_session
from app.jobs.guard import guarded

FILES = [
    ("java.io.EOFException: Unexpected end of input stream", "truncated"),
    ("java.io.EOFException: Unexpected end of ZLIB input stream", "truncated"),
    ("java.io.IOException: not a gzip file", "not gzip"),
    ("java.io.IOException: gzip stream CRC failure", "damaged"),
    ("java.io.IOException: invalid distance too far back", "damaged"),
    ("java.lang.IllegalArgumentException: CSV header does not conform to the schema.", "headers differ"),
    ("[CANNOT_READ_FILE_FOOTER] Could not read footer", "not Parquet"),
    ("[FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH] Parquet column cannot be converted", "type"),
]
SYSTEM = [
    ("java.io.IOException: No space left on device", "disk is full"),
    ("java.io.IOException: Disk quota exceeded", "disk is full"),
    ("OSError: 6221824 requested and 1048448 written", "disk is full"),
    ("java.io.FileNotFoundException: /x/y (Read-only file system)", "read-only"),
    ("java.io.IOException: Mkdirs failed to create file:/x", "--output"),
    ("java.lang.OutOfMemoryError: Java heap space", "--driver-memory"),
    ("Answer from Java side is empty", "--driver-memory"),
    ("[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number.", "Java 17"),
    ("org.apache.spark.SparkException: Could not parse Master URL: 'x'", "--master"),
    ("[PATH_ALREADY_EXISTS] Path file:/x already exists.", "start again"),
]


@pytest.mark.parametrize(("text", "says"), FILES)
def test_a_failure_of_a_file_names_it(text: str, says: str) -> None:
    error = explain(
        RuntimeError(f"Encountered error while reading file file:///data/my%20log.csv.gz. SQLSTATE\n{text}")
    )
    assert isinstance(error, InputError)
    assert str(error).startswith("/data/my log.csv.gz: ")
    assert says in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(("text", "says"), SYSTEM)
def test_a_failure_of_the_system_says_what_to_do(text: str, says: str) -> None:
    error = explain(RuntimeError(f"while reading file file:///data/log.csv. SQLSTATE\n{text}"))
    assert isinstance(error, InputError)
    assert says in str(error)
    assert "log.csv" not in str(error)  # the file is not to blame


def test_the_cause_is_looked_for_as_well() -> None:
    failure = RuntimeError("job aborted")
    failure.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "disk is full" in str(explain(failure))


def test_a_crashed_python_worker_is_no_truncated_file() -> None:
    assert explain(RuntimeError("Python worker exited unexpectedly (crashed): java.io.EOFException")) is None


def test_a_failure_in_a_java_process_that_is_gone_since_is_told() -> None:
    class JavaError(RuntimeError):
        def __str__(self) -> str:  # py4j asks the JVM for it
            raise ConnectionRefusedError

    assert "Java process was killed" in str(explain(JavaError()))


def test_a_java_process_that_goes_as_it_is_called_is_told() -> None:
    """Its connection ends amid a call; then Spark can't be stopped either. A method that isn't there is a bug."""
    stopping = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    stopping.__context__ = Py4JError("An error occurred while calling o59.range")
    assert "Java process was killed" in str(explain(stopping))
    assert explain(Py4JError("An error occurred while calling o59.rang. Trace:\npy4j.Py4JException: no method")) is None


def test_an_unknown_failure_is_not_explained() -> None:
    assert explain(ValueError("something else")) is None


def _failing(error: Exception) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches
        raise error

    return work


@pytest.mark.parametrize("kind", [InputError, BundleError, VitrineError])
def test_an_error_of_ours_comes_back_from_a_worker_with_its_type(spark: SparkSession, kind: type[VitrineError]) -> None:
    frame = spark.range(3).mapInArrow(_failing(kind("x.csv: wrong (50 %); mend it")), "id long")
    with pytest.raises(PythonException) as failed:
        frame.collect()
    found = explain(failed.value)
    assert type(found) is kind
    assert str(found) == "x.csv: wrong (50 %); mend it"


def test_a_bug_in_a_worker_is_no_error_of_ours(spark: SparkSession) -> None:
    """Not even one that quotes such an error."""
    bug = ValueError("app.core.errors.InputError: quoted")
    with pytest.raises(PythonException) as failed:
        spark.range(3).mapInArrow(_failing(bug), "id long").collect()
    assert own_error(failed.value) is None


def test_conditions_are_sparks_own_names(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a b.csv.gz").write_text("no gzip")
    with pytest.raises(Py4JJavaError, match="FAILED_READ_FILE") as failed:
        spark.read.schema("a string").csv(str(tmp_path)).collect()
    (condition,) = conditions(failed.value)
    assert condition.name == "FAILED_READ_FILE.NO_HINT"
    assert condition.parameters["path"].endswith("/a%20b.csv.gz")
    assert conditions(ValueError("nothing of Spark's")) == []


def exit_code(error: BaseException) -> int | str | None:
    """What a command ends with that fails with this."""
    with pytest.raises(SystemExit) as ended, guarded():
        raise error
    return ended.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x.csv: wrong"), EXIT_BAD_INPUT),
        (BundleError("x.csv: wrong"), EXIT_BAD_INPUT),
        (VitrineError("x.csv: wrong"), EXIT_FAILED),
    ],
)
def test_own_errors_are_one_line(error: VitrineError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(error) == code
    assert capsys.readouterr().err == "error: x.csv: wrong\n"


def test_a_full_disk_in_python_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(OSError(errno.ENOSPC, "No space left on device", "/x")) == EXIT_BAD_INPUT
    assert capsys.readouterr().err.startswith("error: the disk is full")


def test_a_disk_that_fails_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(OSError(errno.EIO, "Input/output error", "/x")) == EXIT_BAD_INPUT
    assert exit_code(RuntimeError("java.io.IOException: Stale file handle")) == EXIT_BAD_INPUT
    named, other = capsys.readouterr().err.splitlines()
    assert named.startswith("error: /x: a disk fails, or a mounted volume is away")
    assert other.startswith("error: a disk fails, or a mounted volume is away")


def test_a_folder_without_permission_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(PermissionError(errno.EACCES, "Permission denied", "/x")) == EXIT_BAD_INPUT
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_bug_shows_its_trace_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(ZeroDivisionError("oops")) == EXIT_FAILED
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("error: unexpected ZeroDivisionError")


def test_ctrl_c_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_success_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with guarded():
        made = 1
    assert made == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("gone", [ConnectionRefusedError(111, "Connection refused"), Py4JNetworkError()])
def test_a_session_whose_java_process_is_gone_is_over(gone: Exception) -> None:
    """What the work said, or made, is not lost over it."""
    end_session(Mock(stop=Mock(side_effect=gone)))
    with pytest.raises(ValueError, match="another"):
        end_session(Mock(stop=Mock(side_effect=ValueError("another"))))
