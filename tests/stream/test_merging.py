"""The stream takes merged users for one: events handed on, sessions of their own, lists from both histories."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from app.events.forgotten import ForgottenUsers
from app.events.merged import Merge, Merged
from app.events.merged_users import MergedUsers
from app.stream.archive import Archive
from app.stream.intake import set_job_properties, take_in
from app.stream.latest import LatestSessions
from app.stream.merging import as_survivors
from tests.stream.shop import ANNA, folder_rows
from tests.stream.test_intake import MIDNIGHT, NOON, PART, parsed
from tests.stream.test_score import rows, run, task

COOKIE, PHONE, STRANGER = 900, 901, 2
TWO = Merged.of(
    [Merge(user=COOKIE, into=ANNA, into_key="anna", at=1), Merge(user=PHONE, into=COOKIE, into_key="c", at=2)]
)


def handed_on(*events: tuple[int, str | None, str]) -> pa.RecordBatch:
    """Of (user, the shop's own id, session)."""
    users, keys, sessions = zip(*events, strict=True)
    columns = {"user_id": pa.array(users), "user_key": pa.array(keys, pa.string()), "session": pa.array(sessions)}
    return pa.RecordBatch.from_pydict(columns | {"product_id": pa.array(range(len(events)))})


def test_events_become_the_survivors() -> None:
    events = handed_on(
        (COOKIE, "cookie", "s"), (3, "3", " 3"), (COOKIE, None, " 900"), (ANNA, "anna", " 5"), (PHONE, "p", " 901")
    )
    moved = as_survivors(events, TWO)
    assert moved.schema == events.schema
    assert moved.to_pydict() == {
        "user_id": [ANNA, 3, ANNA, ANNA, ANNA],
        "user_key": ["anna", "3", None, "anna", "anna"],
        "session": ["s", " 3", " 5", " 5", " 5"],
        "product_id": [0, 1, 2, 3, 4],
    }
    assert as_survivors(handed_on((3, "3", "s")), TWO).equals(handed_on((3, "3", "s")))
    assert as_survivors(events, Merged()) is events
    assert as_survivors(events.slice(0, 0), TWO).equals(events.slice(0, 0))


def test_rows_are_archived_as_they_came_and_handed_on_as_the_survivors(
    spark: SparkSession, archive: Archive, tmp_path: Path
) -> None:
    """Users 1 to 4, whose events are as many minutes after noon: 1 → 3, 2 → 4; 2 and 4 were forgotten in between."""
    users = MergedUsers(tmp_path)
    with users.alone():
        users.add(1, 3, "3", 1.0)
        users.add(2, 4, "4", 1.0)
    for user in (2, 4):
        ForgottenUsers(tmp_path).forget(user, MIDNIGHT.replace(hour=12, minute=3).timestamp())
    staging = archive.stage(PART)
    set_job_properties(spark.sparkContext, staging, NOON)
    taken = take_in(parsed(spark, *((user, None, None) for user in (1, 2, 3, 4))), 5, output=tmp_path).collect()
    assert sorted((row.user_id, row.session, row.event_time.minute) for row in taken) == [
        (3, " 3", 1),
        (3, " 3", 3),
        (4, " 4", 4),
    ]
    assert LatestSessions.read(staging).users.tolist() == [3, 4]
    archive.commit(staging, PART, 9.0)
    assert sorted(row["user_id"] for row in folder_rows(archive.folder)) == [1, 3, 4]


def test_a_list_is_of_both_histories(tmp_path: Path) -> None:
    """Of a new user whom Anna was merged into: Anna's list, under the new id; and judged as Anna's."""
    weights = {"covisitation": 1.0, "popularity": 0.3}
    session = [(105, False), (106, True)]
    lists, results = {}, {}
    for name, user, into in (("anna", ANNA, None), ("merged", PHONE, ANNA), ("strange", PHONE, None)):
        (tmp_path / name).mkdir()
        users = MergedUsers(tmp_path / name)
        if into is not None:
            with users.alone():
                users.add(into, user, str(user), 1.0)
        results[name] = run(task(tmp_path / name, weights), rows((user, session, True)))
        lists[name] = pq.read_table(tmp_path / name / "lists" / "batch-000000007-e000001-000.parquet")
    assert set(lists["merged"]["user_id"].to_pylist()) == {PHONE}
    assert lists["merged"]["product_id"] == lists["anna"]["product_id"] != lists["strange"]["product_id"]
    assert results["merged"].quality == results["anna"].quality != results["strange"].quality
