"""The stream obeys the list of forgotten users: rows, sessions, lists, and the files that it has written."""

import json
from datetime import UTC, datetime, timedelta
from errno import EIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.events.forgotten import Forgotten, ForgottenUsers
from app.events.ids import number_of
from app.events.merged import Merge, Merged
from app.events.merged_users import MergedUsers
from app.stream import forgetting, housekeeping
from app.stream.archive import Archive
from app.stream.epoch import marked
from app.stream.folders import StreamFolders
from app.stream.forgetting import (
    RETAINED,
    SETTLED_SECONDS,
    ListCleaner,
    evicted_until,
    read_marker,
    without_earlier,
)
from app.stream.intake import set_job_properties, take_in
from app.stream.list_files import write_part
from tests.stream.shop import ANNA, START, Running, quick_settings, recommender, running, until, write_bundle
from tests.stream.test_intake import MIDNIGHT, NOON, PART, parsed
from tests.stream.test_score import rows, run, task

LATER, EARLIER = START.timestamp() + 0.5, START.timestamp() - 3600  # between the first and the second event; before all
STRANGER = 2


def test_rows_of_forgotten_users_are_not_archived_and_not_handed_on(
    spark: SparkSession, archive: Archive, tmp_path: Path
) -> None:
    """Of users 1 to 4, whose events are as many minutes after noon; the one of user 4 can't be an event."""
    users = ForgottenUsers(tmp_path)
    for user, minute in ((1, 1), (2, 1), (4, 5)):
        users.forget(user, MIDNIGHT.replace(hour=12, minute=minute).timestamp())
    staging = archive.stage(PART)
    set_job_properties(spark.sparkContext, staging, NOON)
    events = parsed(spark, (1, None, None), (2, None, None), (3, None, None), (4, "unknown event_type", None))
    assert sorted(row.user_id for row in take_in(events, 5, output=tmp_path).collect()) == [2, 3]
    counts = archive.commit(staging, PART, 9.0)
    assert (counts.rows, counts.archived, counts.rejected, counts.left_out) == (4, 2, 0, 2)


def sessions_of(user: int, batch: pa.RecordBatch) -> list[list[int]]:
    return [[one["product_id"] for one in row["events"]] for row in batch.to_pylist() if row["user_id"] == user]


def test_a_session_begins_anew_at_the_forgetting(tmp_path: Path) -> None:
    viewed = [(100, False), (101, True)]
    batch = rows((1, viewed, True), (2, viewed, True), (3, viewed, False))
    users = ForgottenUsers(tmp_path)
    assert without_earlier(batch, users.read()) is batch
    users.forget(1, LATER)
    users.forget(3, START.timestamp() + 1)
    kept = without_earlier(batch, users.read())
    assert kept.schema == batch.schema
    assert [sessions_of(user, kept) for user in (1, 2, 3)] == [[[101]], [[101, 100]], []]


@pytest.mark.parametrize(("moment", "left"), [(EARLIER, [120, 121]), (LATER, [121])])
def test_a_forgotten_user_gets_the_lists_of_a_stranger(tmp_path: Path, moment: float, left: list[int]) -> None:
    """Anna has seen 120 and, a second later, 121; the stranger what is left of that."""
    weights = {"covisitation": 1.0, "popularity": 0.3}
    strange, theirs = tmp_path / "strange", tmp_path / "theirs"
    for folder in (strange, theirs):
        folder.mkdir()
    run(task(strange, weights), rows((STRANGER, [(product, True) for product in left], True)))
    ForgottenUsers(theirs).forget(ANNA, moment)
    result = run(task(theirs, weights), rows((ANNA, [(120, True), (121, True)], True)))
    assert {segment for segment, _ in (*result.lists, *result.quality)} == {"unknown"}
    name = "batch-000000007-e000001-000.parquet"
    lists, other = (pq.read_table(folder / "lists" / name) for folder in (theirs, strange))
    assert set(lists["user_id"].to_pylist()) == {ANNA}, "under the user's own id"
    assert lists["product_id"] == other["product_id"]


# --- Files of lists ----------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> StreamFolders:
    folders = StreamFolders.of(Settings(output=tmp_path))
    folders.prepare()
    return folders


def write_lists(folders: StreamFolders, batch: int, users: list[int | str], at: datetime) -> None:
    columns = {"user_id": users, "product_id": [1] * len(users)}
    moments = pa.array([at] * len(users), pa.timestamp("us", tz="UTC"))
    write_part(pa.table({**columns, "generated_at": moments}), folders.lists, folders.csv, batch, 1, 0)


def users_in(folders: StreamFolders) -> list[list[int | str]]:
    tables = [pq.read_table(path)["user_id"].to_pylist() for path in sorted(folders.lists.glob("*.parquet"))]
    for path, users in zip(sorted(folders.csv.glob("*.csv")), tables, strict=True):
        assert [line.split(",")[0].strip('"') for line in path.read_text().splitlines()[1:]] == [*map(str, users)]
    return tables


def test_list_files_lose_the_forgotten_and_a_marker_says_when_it_is_done(folders: StreamFolders) -> None:
    output = folders.root.parent
    now = datetime.now(UTC)
    old, new = now - timedelta(hours=2), now + timedelta(seconds=5)
    for batch, at in ((1, old), (2, new)):
        write_lists(folders, batch, [7, 8, 7, 9], at)
    users, cleaner = ForgottenUsers(output), ListCleaner(folders, Settings(output=output))
    cleaner.run(users.read(), Merged(), folders.checkpoints)
    assert users_in(folders) == [[7, 8, 7, 9]] * 2
    first = users.forget(7, (now - timedelta(seconds=SETTLED_SECONDS + 1)).timestamp())
    second = users.forget(9, now.timestamp())
    untouched = (folders.lists / "batch-000000002-e000001-000.parquet").stat().st_mtime_ns
    cleaner.run(users.read(), Merged(), folders.checkpoints)
    assert users_in(folders) == [[8], [7, 8, 7, 9]], "lists from after the forgetting are a new user's"
    assert (folders.lists / "batch-000000002-e000001-000.parquet").stat().st_mtime_ns == untouched
    assert read_marker(folders).lists == first
    assert read_marker(folders).lists < second, "a micro-batch may just be writing lists from before"
    write_lists(folders, 3, [9, 8], old)
    cleaner.run(users.read(), Merged(), folders.checkpoints)
    assert users_in(folders)[2] == [8]


def test_list_files_are_looked_through_by_and_by(folders: StreamFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    """One a call here. What comes meanwhile, be it a file or a forgetting, of whatever moment, is not missed; nor does
    a file that is away keep the others waiting.
    """
    output, looked = folders.root.parent, list[str]()
    read, away = forgetting.read_or_delete, list[str]()

    def reading(path: Path) -> pa.Table | None:
        if path.name in away:
            raise OSError(EIO, "Input/output error", str(path))
        looked.append(path.name[8:15])
        return read(path)

    monkeypatch.setattr(forgetting, "SECONDS_AT_ONCE", -1.0)
    monkeypatch.setattr(forgetting, "read_or_delete", reading)
    now = datetime.now(UTC)
    for batch in (1, 2, 3):
        write_lists(folders, batch, [7, 8, 9], now - timedelta(hours=2))
    users, cleaner = ForgottenUsers(output), ListCleaner(folders, Settings(output=output))

    def clean() -> None:
        cleaner.run(users.read(), Merged(), folders.checkpoints)

    first = users.forget(7, now.timestamp() - 10)
    clean()
    assert users_in(folders) == [[8, 9], [7, 8, 9], [7, 8, 9]]
    earlier = users.forget(8, now.timestamp() - 20)  # by a clock that is slow
    away.append("batch-000000002-e000001-000.parquet")
    for _ in range(3):
        clean()
    assert users_in(folders) == [[9], [7, 8, 9], [9]]
    monkeypatch.setattr("app.stream.forgetting.time.time", lambda: now.timestamp() + SETTLED_SECONDS)
    clean()
    assert read_marker(folders).lists == earlier - 1, "the second file may hold them all"
    away.clear()
    clean()
    assert (users_in(folders), read_marker(folders).lists) == ([[9], [9], [9]], first)
    before = len(looked)
    clean()
    assert len(looked) == before
    users.forget(9, now.timestamp() + 1)
    for _ in range(4):
        clean()
    assert (users_in(folders), len(looked)) == ([[], [], []], before + 3)
    write_lists(folders, 2, [9], now - timedelta(hours=2))  # done again: written over
    clean()
    assert users_in(folders) == [[], [], []]


def test_ids_of_text_are_found_by_their_numbers(folders: StreamFolders) -> None:
    output = folders.root.parent
    write_lists(folders, 1, ["B2", "é"], datetime(2020, 1, 1, tzinfo=UTC))
    users = ForgottenUsers(output)
    number = number_of("B2", text_ids=True)
    assert number is not None
    users.forget(number, datetime.now(UTC).timestamp())
    ListCleaner(folders, Settings(output=output)).run(users.read(), Merged(), folders.checkpoints)
    assert users_in(folders) == [["é"]]


def test_a_state_is_empty_once_the_watermark_of_all_that_is_kept_has_passed(tmp_path: Path) -> None:
    offsets = tmp_path / "offsets"
    assert evicted_until(tmp_path, 100) == 0
    offsets.mkdir()
    for batch in range(RETAINED + 3):
        (offsets / str(batch)).write_text("v1\n" + json.dumps({"batchWatermarkMs": 1_000 * batch}) + "\n{}")
    assert evicted_until(tmp_path, 500_000) == 2_000_000 - 500_000
    folders = StreamFolders.of(Settings(output=tmp_path))
    folders.prepare()
    users = ForgottenUsers(tmp_path)
    users.forget(1, 1.5)
    users.forget(2, 1.6)
    cleaner = ListCleaner(folders, Settings(output=tmp_path))
    cleaner._window = 500_000
    cleaner.run(users.read(), Merged(), tmp_path)
    assert read_marker(folders).state == 1_500_000
    moments = {3: 1_400_000, 4: 1_500_001, 5: 1_500_002}
    merged = [Merge(user=user, into=9, into_key="9", at=at) for user, at in moments.items()]
    cleaner.run(users.read(), Merged.of(merged[:1]), tmp_path)
    assert read_marker(folders).state == 1_500_000
    cleaner._window = 499_999
    cleaner.run(users.read(), Merged.of(merged), tmp_path)
    assert read_marker(folders).state == 1_500_001


def test_nobody_forgotten_costs_nothing(folders: StreamFolders) -> None:
    ListCleaner(folders, Settings(output=folders.root.parent)).run(Forgotten(), Merged(), folders.checkpoints)
    assert read_marker(folders).lists == 0
    assert not (folders.root / "forgotten.json").exists()


def users_archived(live: Running) -> set[int]:
    """Of all events in folders that count."""
    archive = live.stream._beside.archive
    paths = [path for part in archive.folders(marked(live.folders)) for path in archive.files(part)]
    return {user for path in paths for user in pq.read_table(path)["user_id"].to_pylist()}


def test_a_running_stream_forgets_and_merges(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of a session of 2019, as the shop's clock is in tests: all are from before the forgetting.

    What is waited for, and the minute between two looks at the archive, are shortened.
    """
    monkeypatch.setattr(forgetting, "SETTLED_SECONDS", 1.0)
    monkeypatch.setattr(housekeeping, "TIDY_SECONDS", 1.0)
    write_bundle(tmp_path / "models", "a", recommender())
    user = 555_444_333
    with running(spark, quick_settings(tmp_path)) as live:
        live.deliver("one.csv", [(0, "view", 100, user, "s"), (1, "view", 101, 7_000, "t")])
        assert live.lists(user)
        ForgottenUsers(tmp_path).forget(user, datetime.now(UTC).timestamp())
        until(lambda: not live.lists(user), "the list files are rewritten", 60)
        assert live.lists(7_000)
        live.deliver("two.csv", [(2, "view", 102, user, "s"), (3, "view", 103, 7_000, "t")])
        assert not live.lists(user), "an event from before the forgetting"
        assert len(live.lists(7_000)) == 2
        with (two := MergedUsers(tmp_path)).alone():
            two.add(ANNA, 8_000, "8000", 1.0)
            two.add(7_000, 8_000, "8000", 1.0)
        live.deliver("three.csv", [(4, "purchase", 104, 7_000, "t"), (5, "view", 105, ANNA, "t")])
        assert (len(live.lists(8_000)), len(live.lists(7_000)), live.lists(ANNA)) == (1, 2, [])
        assert {103, 104, 105}.isdisjoint(live.lists(8_000)[0][1]), "103 was bought by Anna; one session has the others"
        until(lambda: users_archived(live) == {7_000, ANNA}, "folders of the archive are written anew", 60)
        until(lambda: not live.stream._beside._said, "accounts agree")
        live.stream._beside.audit()
        assert not live.stream._beside._said, "rows that were left out are accounted for"
    for path in (*live.folders.lists.glob("batch*"), *live.folders.csv.glob("batch*")):
        content = pq.read_table(path).to_pylist() if path.suffix == ".parquet" else path.read_text()
        assert str(user) not in str(content), path
