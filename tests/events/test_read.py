"""Reading logs of every allowed shape; what is not allowed is in tests/train/test_bad_input.py."""

import gzip
import itertools
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.failures import explain
from app.events.archive import ARCHIVE_SCHEMA
from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import EPOCHS, BatchRange, mark_name
from app.events.canonical import CANONICAL, CORRUPT, SOURCE_FILE
from app.events.layout import REES46
from app.events.read import list_event_files
from app.events.vocabulary import RAW_COLUMNS
from tests.handmade import read_events

HEADER = ",".join(RAW_COLUMNS)
ROW = "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,s-1"
VALUES = [value or None for value in ROW.split(",")]


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def rows(spark: SparkSession, source: Path, delimiter: str = ",") -> list[list[str | None]]:
    frame = read_events(spark, str(source), REES46.model_copy(update={"delimiter": delimiter}))
    assert frame.columns == list(CANONICAL)
    return [list(row)[: len(RAW_COLUMNS)] for row in frame.collect()]


def test_csv_as_text(spark: SparkSession, tmp_path: Path) -> None:
    frame = read_events(spark, str(write(tmp_path / "log.csv", HEADER, ROW)))
    (row,) = frame.collect()
    assert list(row)[: len(RAW_COLUMNS)] == VALUES
    assert (row[CORRUPT], row["text"]) == (None, ROW)
    assert row[SOURCE_FILE].endswith("/log.csv")


def test_columns_are_found_by_name_in_any_order_among_others(spark: SparkSession, tmp_path: Path) -> None:
    names = ["note", *reversed(RAW_COLUMNS)]
    row = ",".join(["x", *(value or "" for value in reversed(VALUES))])
    assert rows(spark, write(tmp_path / "log.csv", ",".join(names), row)) == [VALUES]


def test_quotes_and_delimiters_inside_fields(spark: SparkSession, tmp_path: Path) -> None:
    quoted = ROW.replace("shiseido", '"a ""b"", c"')
    assert rows(spark, write(tmp_path / "log.csv", HEADER, quoted))[0][5] == 'a "b", c'


def test_other_delimiter_and_byte_order_mark(spark: SparkSession, tmp_path: Path) -> None:
    source = write(tmp_path / "log.csv", "\ufeff" + HEADER.replace(",", ";"), ROW.replace(",", ";"))
    assert rows(spark, source, ";") == [VALUES]


def test_gzip_and_plain_files_of_a_folder_without_hidden_ones(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", HEADER, ROW)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.csv.gz").write_bytes(gzip.compress(f"{HEADER}\n{ROW}\n{ROW}\n".encode()))
    write(tmp_path / ".c.csv", HEADER, ROW)
    write(tmp_path / "_temporary" / "d.csv", HEADER, ROW)
    write(tmp_path / "notes.txt", "not a log")
    names = [Path(name).name for name, _ in list_event_files(spark, str(tmp_path))]
    assert names == ["a.csv", "b.csv.gz"]
    assert rows(spark, tmp_path) == [VALUES] * 3


def test_a_log_is_listed_while_a_stream_makes_and_deletes_hidden_folders_in_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path / "batch-000000000-e000001" / "a.csv", HEADER, ROW)
    end = threading.Event()

    def stage() -> None:
        for number in itertools.takewhile(lambda _: not end.is_set(), itertools.count()):
            staging = tmp_path / f".staged-{number}"
            write(staging / "b.csv", HEADER, ROW)
            shutil.rmtree(staging)

    with ThreadPoolExecutor(2) as streams:
        for _ in range(2):
            streams.submit(stage)
        try:
            for _ in range(40):
                for source in (f"{tmp_path}", f"{tmp_path}/*", f"{tmp_path}/*/*.csv"):
                    assert len(list_event_files(spark, source)) == 1
        finally:
            end.set()


def test_glob_takes_what_it_matches(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("2019-Oct.csv", "2019-Nov.csv", "2020-Jan.csv"):
        write(tmp_path / name, HEADER, ROW)
    assert len(rows(spark, tmp_path / "2019-*.csv")) == 2


def test_parquet_with_typed_columns(spark: SparkSession, tmp_path: Path) -> None:
    values = {**dict(zip(RAW_COLUMNS, VALUES, strict=True)), "product_id": 44600062, "price": 35.79}
    pq.write_table(pa.table({name: [value] for name, value in values.items()}), tmp_path / "log.parquet")
    assert rows(spark, tmp_path / "log.parquet") == [VALUES]


def test_rows_with_too_few_or_many_columns_are_marked(spark: SparkSession, tmp_path: Path) -> None:
    source = write(tmp_path / "log.csv", HEADER, ROW, "2019-10-01 00:00:00 UTC,view", ROW + ",more")
    corrupt = [row[CORRUPT] for row in read_events(spark, str(source)).collect()]
    assert corrupt == [None, "2019-10-01 00:00:00 UTC,view", ROW + ",more"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([HEADER.replace(",brand", ""), ROW], "column brand is missing"),
        ([HEADER.replace(",", ";"), ROW], "give --delimiter"),
        (["some,other,table", "1,2,3"], "is not an event log"),
    ],
)
def test_wrong_columns_are_said(spark: SparkSession, tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_events(spark, str(write(tmp_path / "log.csv", *lines)))


def archived(folder: Path, part: BatchRange, day: int) -> None:
    """A folder of one event, with its manifest."""
    place = folder / part.name
    place.mkdir(parents=True)
    moment = datetime(2019, 10, day, 12, tzinfo=UTC)
    columns: dict[str, Any] = {name: pa.nulls(1, pa.string()) for name in ARCHIVE_SCHEMA.names}
    columns |= {"event_time": pa.array([moment], pa.timestamp("us", tz="UTC")), "user_id": [part.first]}
    pq.write_table(pa.table(columns), place / "part-00000.parquet")
    window = int(moment.timestamp()) * 1_000_000
    write_manifest(place, Manifest(rows=1, windows=[window], written=0))


def test_an_archive_is_read_as_far_as_it_counts_and_is_recent(spark: SparkSession, tmp_path: Path) -> None:
    """Also by a glob; a folder of a stream that was replaced is no part of it."""
    archive = tmp_path / "archive"
    for batch in range(3):
        archived(archive, BatchRange(batch, batch, 1), 1 + 10 * batch)
    archived(archive, BatchRange(2, 2, 2), 25)
    (archive / EPOCHS).mkdir()
    for epoch, first in ((1, 0), (2, 2)):
        (archive / EPOCHS / mark_name(epoch, first)).touch()

    def users(source: str, days: float | None = None) -> list[str]:
        return sorted(row.user_id for row in read_events(spark, source, days=days).collect())

    for source in (str(archive), f"{archive}/batch-*", f"{archive}/*/*.parquet"):
        assert users(source) == ["0", "1", "2"]
    assert users(str(archive), 20) == ["1", "2"]
    assert users(str(archive), 1) == ["2"]
    names = [name.split("/")[-2] for name, _ in list_event_files(spark, str(archive))]
    assert names == [BatchRange(0, 0, 1).name, BatchRange(1, 1, 1).name, BatchRange(2, 2, 2).name]


@pytest.mark.parametrize("batch", [0, 1], ids=["the one looked at for the columns", "another"])
@pytest.mark.parametrize("damage", ["truncated", "a page", "the footer"])
def test_a_damaged_file_of_an_archive_is_named_with_what_to_do(
    spark: SparkSession, tmp_path: Path, batch: int, damage: str
) -> None:
    archive = tmp_path / "an archive"
    for number in range(2):
        archived(archive, BatchRange(number, number, 1), 1)
    path = archive / BatchRange(batch, batch, 1).name / "part-00000.parquet"
    content = path.read_bytes()
    first_page, footer = (4, 104), (len(content) - 208, len(content) - 8)
    begin, end = footer if damage == "the footer" else first_page
    garbled = content[:begin] + bytes(byte ^ 0x5A for byte in content[begin:end]) + content[end:]
    path.write_bytes(content[:-300] if damage == "truncated" else garbled)
    with pytest.raises(Py4JJavaError) as failed:
        read_events(spark, str(archive)).collect()
    explained = explain(failed.value)
    assert isinstance(explained, InputError)
    assert str(explained).startswith(f"{path}: ")
    assert str(explained).endswith("fetch it again, or move it away to do without its rows")
    assert "\n" not in str(explained)
