"""Tables in parts: each part is the work of one task, and a table is there whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.duck import Connection, read
from app.core.parts import COMPLETE, Part, by_part, gathered, part_files, write_parts


def number(part: Part) -> None:
    part.write(
        "numbers", part.connection.sql(f"select {part.number} as number, timestamp '2019-10-01 09:00' as moment")
    )


def test_a_part_is_read_by_the_task_of_its_number(spark: SparkSession, tmp_path: Path) -> None:
    by_part(spark, 3, number, tmp_path)
    numbers = tmp_path / "numbers"

    def square(part: Part) -> None:
        part.write("squares", part.read(numbers).select("number * number as square"))

    by_part(spark, 3, square, tmp_path)
    assert [pq.read_table(file)["square"].to_pylist() for file in part_files(tmp_path / "squares")] == [[0], [1], [4]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["numbers", "squares"], "nothing is left aside"
    assert (numbers / COMPLETE).exists()


def test_partitions_of_a_table_become_parts(spark: SparkSession, tmp_path: Path) -> None:
    def count(part: Part, rows: Iterator[pa.RecordBatch]) -> None:
        found = sum(batch.num_rows for batch in rows)
        part.write("counts", part.connection.sql(f"select {found} as rows"))

    write_parts(spark.range(0, 10, 1, 4), count, tmp_path)
    assert sum(pq.read_table(tmp_path / "counts")["rows"].to_pylist()) == 10
    assert len(part_files(tmp_path / "counts")) == 4


def test_what_is_made_of_parts_is_gathered_and_leaves_nothing(spark: SparkSession, tmp_path: Path) -> None:
    by_part(spark, 3, number, tmp_path)
    numbers = tmp_path / "numbers"

    def halves(part: Part) -> Iterator[pa.Table]:
        ((found,),) = part.read(numbers).select("number").fetchall()
        for half in range(found):  # of part 0 nothing is made
            yield pa.table({"of": [found], "half": [half]})

    schema = pa.schema([("of", pa.int64()), ("half", pa.int64())])
    made = gathered(spark, 3, halves, schema, tmp_path)
    assert made.to_pylist() == [{"of": 1, "half": 0}, {"of": 2, "half": 0}, {"of": 2, "half": 1}]
    assert gathered(spark, 1, lambda _: [], schema, tmp_path).num_rows == 0
    assert [path.name for path in tmp_path.iterdir()] == ["numbers"]


def test_work_that_fails_leaves_no_table(spark: SparkSession, tmp_path: Path) -> None:
    def fail_at_one(part: Part) -> None:
        number(part)
        if part.number == 1:
            raise ValueError("at one")

    with pytest.raises(Exception, match="at one"):
        by_part(spark, 2, fail_at_one, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_table_that_is_there_is_not_written_again(spark: SparkSession, tmp_path: Path) -> None:
    by_part(spark, 2, number, tmp_path)
    with pytest.raises(FileExistsError):
        by_part(spark, 1, number, tmp_path)
    assert len(part_files(tmp_path / "numbers")) == 2


def test_spark_reads_times_as_they_were(spark: SparkSession, duck: Connection, tmp_path: Path) -> None:
    by_part(spark, 1, number, tmp_path)
    schema = pq.read_schema(part_files(tmp_path / "numbers")[0])
    assert str(schema.field("moment").type) == "timestamp[us, tz=UTC]"
    frame = spark.read.parquet(str(tmp_path / "numbers"))
    assert frame.schema["moment"].dataType.simpleString() == "timestamp"
    assert [str(row["moment"]) for row in frame.collect()] == ["2019-10-01 09:00:00"]
    assert [str(kind) for kind in read(duck, *part_files(tmp_path / "numbers")).types] == ["INTEGER", "TIMESTAMP"]
