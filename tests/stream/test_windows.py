"""Counts of windows, from an archive at rest: distinct events, however often and late they come."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from app.core.settings import Settings
from app.events.archive import ARCHIVE_SCHEMA
from app.stream import windows
from app.stream.window_files import WINDOW_SCHEMA
from app.stream.windows import count_windows

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)


def micros(minute: float) -> int:
    return int((NOON + timedelta(minutes=minute)).timestamp() * 1_000_000)


def archived(*rows: tuple[float, str, str | None, float | None, str]) -> pa.Table:
    """(minute after noon, event type, category, price, event id or session)"""
    values = [
        (NOON + timedelta(minutes=minute), kind, 1, 7, code, "acme", price, 5, key, 2.0, None, None, key, None)
        for minute, kind, code, price, key in rows
    ]
    schema = to_arrow_schema(ARCHIVE_SCHEMA, timezone="UTC")
    return pa.Table.from_arrays(
        [pa.array(v, t) for v, t in zip(zip(*values, strict=True), schema.types, strict=True)], schema=schema
    )


@dataclass(frozen=True)
class Archive:
    """A folder with files of events."""

    folder: Path

    def write(self, table: pa.Table) -> Path:
        file = self.folder / f"part-{len([*self.folder.iterdir()])}.parquet"
        pq.write_table(table, file)
        return file

    def counted(
        self, *files: Path, minutes: tuple[float, ...] = (0,), **settings: object
    ) -> dict[tuple[int, str, str | None], tuple[int, float]]:
        starts = [micros(minute) for minute in minutes]
        table = count_windows(files, starts, Settings(**settings), self.folder / "spill")
        assert table.schema == WINDOW_SCHEMA
        return {
            ((row["start"] - NOON) // timedelta(minutes=1), row["event_type"], row["main_category"]): (
                row["events"],
                row["revenue"],
            )
            for row in table.to_pylist()
        }


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def test_distinct_events_and_revenue_of_each_window(archive: Archive) -> None:
    first = archived(
        (0, "view", "a.x", 3.0, "s"),
        (4.9, "purchase", "a.x", 3.0, "s"),
        (4.9, "purchase", "a.y", 2.5, "t"),  # of another session
        (5, "purchase", "b", -1.0, "s"),  # a price that is none
        (5, "purchase", "b", math.nan, "t"),  # another
        (12, "view", "c", 1.0, "s"),  # in a window that is not asked for
    )
    second = archived(
        (4.9, "purchase", "a.x", 3.0, "s"),  # sent twice
        (20, "view", None, None, "s"),
        (25, "view", "c", 1.0, "s"),  # the first moment after the last
    )
    assert archive.counted(archive.write(first), archive.write(second), minutes=(0, 5, 20)) == {
        (0, "view", "a"): (1, 0),
        (0, "purchase", "a"): (2, 11.0),  # two pieces each
        (5, "purchase", "b"): (2, 0),
        (20, "view", None): (1, 0),
    }


@pytest.mark.parametrize("prices", [(1.0, 4.0, 2.0), (None, 4.0), (-1.0, 4.0)])
def test_copies_that_differ_count_as_the_greatest_whatever_their_order(
    archive: Archive, prices: tuple[float | None, ...]
) -> None:
    copies = [(0.0, "purchase", "a", price, "s") for price in prices]
    for rows in (copies, copies[::-1]):
        assert archive.counted(archive.write(archived(*rows))) == {(0, "purchase", "a"): (1, 8.0)}


def test_a_copy_whose_category_is_known_is_greater_than_one_without(archive: Archive) -> None:
    copies = [(0.0, "purchase", code, price, "s") for code, price in (("a", 1.0), (None, 4.0))]
    assert archive.counted(archive.write(archived(*copies))) == {(0, "purchase", "a"): (1, 2.0)}


def test_events_that_have_an_id_are_the_same_by_it(archive: Archive) -> None:
    layout = archive.folder / "shop.yaml"
    layout.write_text(
        "columns: {event_time: t, event_type: e, product_id: p, user_id: u, event_id: id}\n"
        "time: {format: epoch_seconds}\n"
    )
    events = archived((0, "view", "a", 1.0, "1"), (1, "view", "a", 1.0, "1"), (1, "view", "a", 1.0, "2"))
    assert archive.counted(archive.write(events), layout=layout) == {(0, "view", "a"): (2, 0)}


def test_files_of_spark_and_of_the_first_edition(archive: Archive, spark: SparkSession) -> None:
    """Spark writes times in a type of its own; the first edition knew neither quantities nor ids of events."""
    rows = archived((0, "purchase", "a", 1.5, "s"))
    spark.createDataFrame(rows, ARCHIVE_SCHEMA).coalesce(1).write.parquet(str(archive.folder / "batch"))
    (theirs,) = (archive.folder / "batch").glob("*.parquet")
    early = archive.write(archived((1, "purchase", "a", 1.5, "s")).drop_columns(["quantity", "event_id"]))
    assert archive.counted(theirs, early) == {(0, "purchase", "a"): (2, 4.5)}
    assert archive.counted(early) == {(0, "purchase", "a"): (1, 1.5)}


def test_a_damaged_file_of_the_archive_is_passed_over(archive: Archive) -> None:
    """The accounts tell of it; the stream goes on, and counts what is left."""
    whole = archive.write(archived((0, "view", "a", 1.0, "s")))
    cut, spoilt = archive.folder / "cut.parquet", archive.folder / "spoilt.parquet"
    content = whole.read_bytes()
    cut.write_bytes(content[:50])
    spoilt.write_bytes(content[:4] + b"\xff" * 60 + content[64:])  # its footer is good
    renamed = archive.folder / "renamed.parquet"
    renamed.write_bytes(content.replace(b"brand", b"br\xffnd"))  # no text at all
    assert archive.counted(whole, cut, spoilt, renamed) == {(0, "view", "a"): (1, 0)}
    assert archive.counted(cut, spoilt) == {}


def test_a_file_that_fails_once_is_counted_all_the_same(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = archive.write(archived((0, "view", "a", 1.0, "s")))
    read, failures = windows.duck.read, [duckdb.IOException("Input/output error")]

    def failing(*args: Any, **options: Any) -> object:
        if failures:
            raise failures.pop()
        return read(*args, **options)

    monkeypatch.setattr(windows.duck, "read", failing)
    assert archive.counted(whole) == {(0, "view", "a"): (1, 0)}


def test_events_beyond_what_is_told_apart_at_a_time(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are met in the same part; sums of parts are exact."""
    rows = [(0.0, "purchase", "a", number + 0.01, str(number % 50)) for number in range(100)]
    file = archive.write(archived(*rows))
    counts = archive.counted(file)
    assert counts == {(0, "purchase", "a"): (50, pytest.approx(2 * sum(number + 0.01 for number in range(50, 100))))}
    monkeypatch.setattr(windows, "AT_ONCE", 7)
    assert archive.counted(file) == counts


def test_any_price_may_be_allowed(archive: Archive) -> None:
    file = archive.write(archived((0, "purchase", "a", 5e6, "s"), (0, "purchase", "a", math.inf, "t")))
    assert archive.counted(file, max_price=1e300) == {(0, "purchase", "a"): (2, 1e7)}


def test_a_file_that_is_away_for_a_moment_does_not_count_as_empty(archive: Archive, refused: Path) -> None:
    """Its windows would be closed without its rows. Nor does one that is gone."""
    whole = archive.write(archived((0, "view", "a", 1.0, "s")))
    away = archive.folder / "away.parquet"
    away.symlink_to(refused)
    with pytest.raises(OSError, match="Invalid argument"):
        archive.counted(whole, away)
    away.unlink()
    with pytest.raises(FileNotFoundError):
        archive.counted(whole, away)
