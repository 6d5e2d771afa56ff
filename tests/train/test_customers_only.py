"""`vitrine customers`: from a log to the table, the report and `run.json`."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from app.core.parts import part_files
from app.core.settings import Settings
from app.insight.customers import FORECAST_COLUMNS
from app.results.files import read_run
from app.train.run import customers_only
from app.train.summary import summary_lines

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
#: Six customers, who bought on so many days, and one who only looks.
DAYS = {1: (1, 8, 15), 2: (1, 2), 3: (9,), 4: (15,), 5: (3,), 6: (2, 9)}


def log(path: Path) -> Path:
    lines = [
        f"2019-10-{day:02} 10:00:00 UTC,purchase,7,1,a.b,acme,{user}.50,{user},s{user}-{day}"
        for user, days in DAYS.items()
        for day in days
    ]
    path.write_text(HEADER + "\n".join([*lines, "2019-10-16 10:00:00 UTC,view,7,1,a.b,acme,1.00,9,s9"]) + "\n")
    return path


def test_from_a_log_to_what_is_known_of_customers(spark: SparkSession, tmp_path: Path) -> None:
    settings = Settings(events=str(log(tmp_path / "log.csv")), output=tmp_path / "shop", shuffle_partitions=2)
    found = customers_only(spark, settings, datetime(2026, 1, 1, tzinfo=UTC), [].append)
    assert read_run(tmp_path / "shop" / "run.json") == found
    assert found.customers is not None
    assert found.customers.value is not None
    assert sum(row.customers for row in found.customers.rfm) == len(DAYS)
    assert found.customers.value.bg_nbd.not_identified is not None, "six customers tell nothing"
    assert found.paths.customers is not None
    rows = [row for file in part_files(found.paths.customers) for row in pq.read_table(file).to_pylist()]
    assert sorted((row["user_id"], row["frequency"]) for row in rows) == [(u, len(days)) for u, days in DAYS.items()]
    assert set(FORECAST_COLUMNS) <= set(rows[0])
    assert found.paths.figures is not None
    cells = pq.read_table(found.paths.figures / "cohorts.parquet").to_pylist()
    assert {(row["start"].day, row["later"]): row["users"] for row in cells if row["kind"] == "purchases"} == {
        (30, 0): 4,
        (30, 1): 2,
        (30, 2): 1,
        (7, 0): 1,
        (7, 1): 0,
        (14, 0): 1,
    }
    assert any(line.startswith("Who is still a customer is not identified: ") for line in summary_lines(found))
    assert "Who comes back?" in (tmp_path / "shop" / "report.html").read_text()
    assert not list((tmp_path / "shop").glob(".*")), "scratch is gone"
