"""Which files a log consists of: found here as Hadoop finds them."""

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.events import log_files
from app.events.archive_names import BatchRange
from app.events.log_files import matching_files
from app.events.read import list_event_files


def test_local_folders_are_listed_without_hadoop_and_alike(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hidden ones, other endings, names with blanks, brackets and letters of any language, links, links to nothing."""
    root = tmp_path / "a [shop] of 100 %"
    archive = root / "archive"
    for number in range(2):
        (archive / BatchRange(number, number, 1).name).mkdir(parents=True)
        (archive / BatchRange(number, number, 1).name / "part-00000.parquet").write_text("12345")
    for name in ("a b.csv", "größe.csv.gz", "notes.txt", "_temporary.csv", ".hidden.csv", "empty.csv"):
        (root / name).write_text("" if name == "empty.csv" else "123")
    (root / os.fsdecode(b"gr\xf6\xdfe.csv")).touch()  # Latin-1, which is no UTF-8
    (root / "_delta").mkdir()
    (root / "_delta" / "x.parquet").touch()
    (root / "link").symlink_to(archive)
    (root / "gone.csv").symlink_to(tmp_path / "nowhere")
    here = {source: matching_files(spark, source) for source in (str(root), f"{tmp_path}/a*", f"{root}/*")}
    monkeypatch.setattr(log_files, "LOCAL", "none")
    assert here == {source: matching_files(spark, source) for source in here}
    found = here[str(root)]
    assert found is not None
    assert {name.rpartition("/")[2] for name in found} == {
        *("a b.csv", "größe.csv.gz", "empty.csv", "part-00000.parquet")
    }
    assert sorted(found.values()) == [0, 3, 3, 5, 5, 5, 5]


def test_an_archive_of_years_is_not_asked_of_java_folder_by_folder(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "log.csv").write_text("x")
    monkeypatch.setattr(log_files, "_below", lambda *_: pytest.fail("asked of Java"))
    assert [size for _, size in list_event_files(spark, str(tmp_path))] == [1]


def test_a_folder_that_vanishes_while_it_is_listed_is_told(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: str) -> None:
        raise FileNotFoundError(2, "No such file or directory", path)

    monkeypatch.setattr(log_files.os, "scandir", gone)
    with pytest.raises(InputError, match=f"{tmp_path}: cannot be read"):
        list_event_files(spark, str(tmp_path))
