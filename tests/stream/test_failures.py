"""What stops a stream reaches the one who waits for it: as it was raised, or as one line that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core.errors import BundleError, InputError
from app.core.settings import Settings
from app.stream import sessions
from tests.stream.shop import Running, csv_text, land, quick_settings, recommender, running, until, write_bundle

ROW = (1, "view", 101, 7_700, "x")


@contextmanager
def stopped_by(spark: SparkSession, settings: Settings, name: str) -> Iterator[Running]:
    """A stream into which a file is landed after the block, and which that must stop."""
    with running(spark, settings) as run:
        yield run
        land(run.folders.landing, name, csv_text([ROW]))
        until(lambda: run.error, "the stream has failed")


def test_an_error_of_ours_in_a_worker_keeps_its_type(spark: SparkSession, tmp_path: Path) -> None:
    """The bundle is taken away between the driver's look at it and the worker's."""
    folder = write_bundle(tmp_path / "models", "a", recommender())
    with stopped_by(spark, quick_settings(tmp_path), "1.csv") as run:
        (folder / "segments.json").unlink()
    assert type(run.error) is BundleError
    assert str(run.error).startswith(f"bundle {folder}: cannot be opened")
    assert "\n" not in str(run.error)


def test_an_error_in_this_process_is_the_very_one_that_was_raised(spark: SparkSession, tmp_path: Path) -> None:
    """A folder stands where the day's file of window counts should be."""
    write_bundle(tmp_path / "models", "a", recommender())
    with stopped_by(spark, quick_settings(tmp_path), "1.csv") as run:
        (run.folders.windows / "2019-10-01.e000001.parquet").mkdir()
    assert isinstance(run.error, OSError | ValueError)
    trace = run.error.__traceback__
    functions = []
    while trace is not None:
        functions.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert "replace_windows" in functions


def test_a_checkpoint_of_other_state_is_refused_in_one_line(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another edition keeps more of an event than this one."""
    write_bundle(tmp_path / "models", "a", recommender())
    with monkeypatch.context() as other:
        other.setattr(sessions, "EVENT_FIELDS", (*sessions.EVENT_FIELDS, "user_key"))
        with running(spark, quick_settings(tmp_path)) as before:
            before.deliver("1.csv", [ROW])
    with stopped_by(spark, quick_settings(tmp_path), "2.csv") as run:
        pass
    assert type(run.error) is InputError
    said = str(run.error)
    assert said.startswith(f"checkpoint {tmp_path}/stream/checkpoint/e000002/lists: this stream cannot go on")
    assert f"move {tmp_path}/stream away and start again" in said
    assert "\n" not in said
    (tmp_path / "stream").rename(tmp_path / "old")
    with running(spark, quick_settings(tmp_path)) as anew:  # as the line says
        anew.delivered = 1
        anew.deliver("3.csv", [ROW])
        anew.delivered = 3
        anew.drained()
