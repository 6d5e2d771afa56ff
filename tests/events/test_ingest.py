"""Cleaning into the stored table: every row accounted for, on real rows and on bad ones."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from app.core.duck import Relation
from app.core.errors import InputError, VitrineError
from app.core.settings import Settings
from app.events import ingest as module
from app.events.ingest import CleaningReport, fit_partitions, ingest, read_cleaned
from app.events.schema import CLEANED_SCHEMA
from app.events.vocabulary import RAW_COLUMNS

NOW = datetime(2019, 11, 2)
STAMP = "20191101_000000"
HEADER = ",".join(RAW_COLUMNS) + "\n"


def line(i: int, **changes: object) -> str:
    values: dict[str, object] = {
        "event_time": f"2019-10-01 00:{i // 60 % 60:02}:{i % 60:02} UTC",
        "event_type": "view",
        "product_id": i,
        "category_id": 1,
        "category_code": "a.b",
        "brand": "acme",
        "price": 9.99,
        "user_id": i % 7,
        "user_session": "s",
    }
    return ",".join(str(value) for value in (values | changes).values()) + "\n"


def run(spark: SparkSession, folder: Path, text: str, **flags: object) -> CleaningReport:
    (folder / "in.csv").write_text(text)
    settings = Settings(**flags)
    return ingest(spark, settings, str(folder / "in.csv"), folder / "processed", STAMP, NOW)


def test_the_real_rows_are_counted_as_published(spark: SparkSession, shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "rees46_oct2019_head" / "events.csv"
    report = ingest(spark, Settings(), str(source), tmp_path, STAMP, NOW)
    assert (report.read, report.kept, report.duplicates, report.rejected) == (17_434, 17_429, 5, 0)
    assert report.rejected_table is None
    assert report.cleaned == tmp_path / f"cleaned_data_{STAMP}"
    table = pq.read_table(report.cleaned)
    assert table.column_names == CLEANED_SCHEMA.fieldNames()
    assert sum(table["copies"].to_pylist()) == 17_434


def test_every_row_goes_somewhere(spark: SparkSession, tmp_path: Path) -> None:
    good = "".join(line(i) for i in range(100))
    text = HEADER + good + line(1) + line(1) + line(2) + line(5, user_id="x") + "a,b\n"
    report = run(spark, tmp_path, text)
    assert (report.read, report.kept, report.duplicates, report.rejected) == (105, 100, 3, 2)
    assert report.reasons == {"wrong column count or quoting": 1, "missing or invalid user_id": 1}
    copies = dict(
        zip(*(pq.read_table(report.cleaned)[name].to_pylist() for name in ("product_id", "copies")), strict=True)
    )
    assert {product: count for product, count in copies.items() if count > 1} == {1: 3, 2: 2}
    rejected = pq.read_table(report.rejected_table).to_pylist()
    assert {row["row"] for row in rejected} == {"a,b", line(5, user_id="x").strip()}
    assert {Path(row["source_file"]).name for row in rejected} == {"in.csv"}


RULES = """
columns: {event_time: t, product_id: p, user_id: u, user_session: o}
event_type: purchase
ids: text
leave_out:
  - {reason: cancelled, column: o, starts_with: C}
  - {reason: no customer, column: u, missing: true}
"""


def run_layout(spark: SparkSession, folder: Path, lines: list[str]) -> CleaningReport:
    (folder / "shop.yaml").write_text(RULES)
    return run(spark, folder, "\n".join(["t,p,u,o", *lines]) + "\n", layout=folder / "shop.yaml")


def test_rows_left_out_are_counted_by_rule_and_are_no_bad_rows(spark: SparkSession, tmp_path: Path) -> None:
    """Half of the rows are left out; of the others one in twenty is bad, which is just allowed."""
    good = [f"2019-10-01 00:00:{i:02},sku {i},ann,5" for i in range(19)]
    out = [f"2019-10-01 00:00:{i:02},sku {i},,C5" for i in range(15)] + ["soon,sku,,5"] * 5
    report = run_layout(spark, tmp_path, [*good, *out, "soon,sku,ann,5"])
    assert (report.read, report.kept, report.duplicates, report.rejected) == (40, 19, 0, 1)
    assert report.left_out == {"cancelled": 15, "no customer": 5}
    assert report.reasons == {"unparsable event_time": 1}
    assert pq.read_table(report.rejected_table).num_rows == 1
    table = pq.read_table(report.cleaned)
    assert set(table["user_key"].to_pylist()) == {"ann"}
    assert set(table["product_key"].to_pylist()) == {f"sku {i}" for i in range(19)}
    assert len(set(table["product_id"].to_pylist())) == 19


def test_a_log_of_which_all_is_left_out_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"all 2 rows are left out by the layout's rules \(no customer: 2\)"):
        run_layout(spark, tmp_path, ["2019-10-01 00:00:00,1,,5"] * 2)
    assert not list((tmp_path / "processed").glob("*"))


def test_two_ids_of_one_number_are_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made to happen by a hash of eight bits: one of 64 has no known pair."""
    lines = [f"2019-10-01 00:00:{i % 60:02},sku {i},ann,5" for i in range(300)]
    assert run_layout(spark, tmp_path, lines).kept == 300
    (tmp_path / "again").mkdir()
    monkeypatch.setattr(F, "xxhash64", lambda key: F.hash(key).cast("long") % 256)
    with pytest.raises(InputError, match=r"the product ids 'sku \d+' and 'sku \d+' get the same internal number"):
        run_layout(spark, tmp_path / "again", lines)
    assert not list((tmp_path / "again" / "processed").glob("*"))


def test_the_share_of_bad_rows_is_a_setting(spark: SparkSession, tmp_path: Path) -> None:
    text = HEADER + "".join(line(i, event_type="hover" if i < 6 else "view") for i in range(100))
    with pytest.raises(InputError, match=r"6 of 100 rows \(6\.0%\).*--max-rejected-share 5%"):
        run(spark, tmp_path, text)
    assert not list((tmp_path / "processed").glob("*"))  # nothing that a later run could take up
    assert run(spark, tmp_path, text, max_rejected_share=0.06).rejected == 6


def test_a_share_of_exactly_the_limit_passes(spark: SparkSession, tmp_path: Path) -> None:
    text = HEADER + "".join(line(i, event_type="hover" if i < 5 else "view") for i in range(100))
    assert run(spark, tmp_path, text).rejected == 5


def test_a_header_alone_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has a header but no rows"):
        run(spark, tmp_path, HEADER)


def test_an_event_of_tomorrow_is_kept_and_one_later_is_not(spark: SparkSession, tmp_path: Path) -> None:
    text = HEADER + "".join(line(i) for i in range(50))
    late = line(50, event_time="2019-11-02 00:00:01 UTC")
    on_time = line(51, event_time="2019-11-02 00:00:00 UTC")
    report = run(spark, tmp_path, text + late + on_time)
    assert report.reasons == {"event_time out of range": 1}


def test_a_table_of_another_run_is_not_touched(spark: SparkSession, tmp_path: Path) -> None:
    text = HEADER + "".join(line(i) for i in range(10))
    first = run(spark, tmp_path, text)
    with pytest.raises(InputError, match="another run is just writing the same table"):
        run(spark, tmp_path, text)
    assert pq.read_table(first.cleaned).num_rows == 10


@pytest.mark.parametrize("way", ["event_rows", "read_plain"], ids=["by the rules", "plain"])
def test_lost_rows_stop_the_run(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    whole = getattr(module, way)
    lose = {"event_rows": DataFrame.where, "read_plain": Relation.filter}[way]
    monkeypatch.setattr(module, way, lambda *arguments: lose(whole(*arguments), "product_id not in (3, 14)"))
    late = [line(i, event_time=f"2019-10-01 00:00:{i}+00:00") for i in range(11, 15)]  # no plain ones
    with pytest.raises(VitrineError, match="rows are lost: 14 read, but 13 kept"):
        run(spark, tmp_path, HEADER + "".join(line(i) for i in range(10)) + "".join(late))


def test_counts_too_high_by_repeated_work_are_taken_afresh(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = module._write_cleaned

    def twice(*arguments: object) -> object:
        counts = whole(*arguments)
        return replace(counts, read=counts.read + 5)

    monkeypatch.setattr(module, "_write_cleaned", twice)
    report = run(spark, tmp_path, HEADER + "".join(line(i) for i in range(10)))
    assert (report.read, report.kept, report.rejected) == (10, 10, 0)


def test_partitions_fit_all_sources(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [("a.csv", 64 << 20), ("b.csv.gz", 64 << 20)]  # the second is about 320 MiB of text
    monkeypatch.setattr(module, "list_event_files", lambda *_: sizes)
    before = spark.conf.get("spark.sql.shuffle.partitions")
    try:
        fit_partitions(spark, Settings(shuffle_partitions=3), "a.csv,b.csv.gz")
        assert spark.conf.get("spark.sql.shuffle.partitions") == before  # said so: left alone
        fit_partitions(spark, Settings(), "a.csv,b.csv.gz")
        assert spark.conf.get("spark.sql.shuffle.partitions") == "6"
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", str(before))


def test_events_before_the_days_of_a_training_are_left_out(spark: SparkSession, tmp_path: Path) -> None:
    """Counted from the latest event; every row is still accounted for."""
    days = [line(day, event_time=f"2019-10-{day:02} 12:00:00 UTC") for day in range(1, 11)]
    report = run(
        spark, tmp_path, HEADER + "".join(days) + line(99, event_type="gaze"), training_days=3, max_rejected_share=0.5
    )
    assert (report.read, report.kept, report.rejected) == (11, 4, 1)
    assert report.left_out == {"before the days that a training reads": 6}
    dates = {str(row.date) for row in read_cleaned(spark, report.cleaned).select("date").collect()}
    assert dates == {"2019-10-07", "2019-10-08", "2019-10-09", "2019-10-10"}
