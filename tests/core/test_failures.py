"""Known failures in one line, and what is done with the rest."""

import errno
from pathlib import Path

import pytest

from app.core.errors import EXIT_BAD_INPUT, EXIT_FAILED, BundleError, InputError, VitrineError
from app.core.failures import explain
from app.jobs.run import guarded

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


def test_an_unknown_failure_is_not_explained() -> None:
    assert explain(ValueError("something else")) is None


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x.csv: wrong"), EXIT_BAD_INPUT),
        (BundleError("x.csv: wrong"), EXIT_BAD_INPUT),
        (VitrineError("x.csv: wrong"), EXIT_FAILED),
    ],
)
def test_own_errors_are_one_line(error: VitrineError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: _raise(error)) == code
    assert capsys.readouterr().err == "error: x.csv: wrong\n"


def test_a_full_disk_in_python_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: _raise(OSError(errno.ENOSPC, "No space left on device", "/x"))) == EXIT_BAD_INPUT
    assert capsys.readouterr().err.startswith("error: the disk is full")


def test_a_folder_without_permission_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: _raise(PermissionError(errno.EACCES, "Permission denied", "/x"))) == EXIT_BAD_INPUT
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_bug_shows_its_trace_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: _raise(ZeroDivisionError("oops"))) == EXIT_FAILED
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("error: unexpected ZeroDivisionError")


def test_ctrl_c_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: _raise(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_success_is_zero_and_silent(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert guarded(lambda: None) == 0
    assert capsys.readouterr().err == ""
