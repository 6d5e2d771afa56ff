"""Streams of their own: late, doubled and disordered events; stopped and started again."""

from collections import Counter
from datetime import datetime
from pathlib import Path

from pyspark.sql import SparkSession

from app.stream.epoch import begin, marked, newest_number
from app.stream.folders import StreamFolders
from app.stream.window_files import read_windows
from tests.arrays import visitors
from tests.stream.lists import read_lists
from tests.stream.shop import (
    PRODUCTS,
    START,
    Event,
    Running,
    csv_row,
    csv_text,
    folder_rows,
    land,
    listed,
    lists_of,
    quick_settings,
    recommender,
    running,
    until,
    write_bundle,
)


def test_late_doubled_and_disordered_events(spark: SparkSession, tmp_path: Path) -> None:
    """Watermark 10 minutes, session windows of an hour.

    Out of order: sorted. Twice: once in session and windows, twice in the archive. Late: as long as its
    session's window has not been passed by the watermark it is taken; after that it is archived and counted.
    """
    write_bundle(tmp_path / "models", "a", recommender())
    user, minutes = 8_000, 60
    with running(spark, quick_settings(tmp_path, session_window_hours=1)) as run:
        run.deliver("1.csv", [(3, "view", 103, user, "x"), (1, "view", 101, user, "x"), (2, "view", 102, user, "x")])
        in_order = listed(run, user)
        run.deliver("2.csv", [(2, "view", 102, user, "x")])  # again, in a file of its own
        assert listed(run, user) == in_order
        assert in_order[0] == 104  # the last by time is 103, though 102 came last
        assert 103 not in in_order

        # An hour and a half on: the watermark, 80 minutes, has passed the first hour's end.
        other = 8_001
        run.deliver("3.csv", [(90 * minutes, "view", 110, other, "y")])
        run.deliver("4.csv", [(82 * minutes, "view", 111, other, "y")])  # late by 8 minutes: taken
        run.deliver("5.csv", [(4, "view", 125, user, "x"), (91 * minutes, "view", 112, other, "y")])  # far too late
        assert run.lists(user)[-1][1] == in_order
        visit = visitors([other], [[111, 110, 112]], START.timestamp() + 91 * minutes, [[1.0] * 3])
        expected = recommender().recommend(visit, 10).lists.items[0]
        assert listed(run, other) == PRODUCTS[expected].tolist()
        until(lambda: run.metric("vitrine_stream_late_events_total"), "the late event is counted")
        assert run.metric("vitrine_stream_late_events_total") == 1
        assert run.stream.telemetry.summary().late == 1
        assert run.stream._beside.accounts.audit() == []

        # Two hours and nine minutes on: the watermark, 119 minutes, has not passed the second hour's end.
        run.deliver("6.csv", [(128 * minutes, "view", 113, 8_002, "z")])
        run.deliver("7.csv", [(129 * minutes, "view", 114, 8_002, "z")])
        run.deliver("8.csv", [(119 * minutes, "view", 105, 8_003, "w")])
        assert [products[0] for _, products in run.lists(8_003)] == [106]
    archived = Counter(row["product_id"] for row in folder_rows(run.folders.archive))
    assert archived == {101: 1, 102: 2, 103: 1, 110: 1, 111: 1, 125: 1, 112: 1, 113: 1, 114: 1, 105: 1}
    windows = read_windows(run.folders.windows, marked(run.folders)).to_pylist()
    assert sum(row["events"] for row in windows) == 10  # 125, however late, and 102 once


def test_a_stream_goes_on_where_it_was(spark: SparkSession, tmp_path: Path) -> None:
    """Also with another number of partitions, which Spark takes from the checkpoint."""
    write_bundle(tmp_path / "models", "a", recommender())
    for number, partitions in enumerate((2, 1, 3)):
        with running(spark, quick_settings(tmp_path, stream_partitions=partitions)) as run:
            rows: list[Event | str] = [(number, "view", 100 + number, user, f"s{user}") for user in range(20)]
            run.deliver(f"{number}.csv", rows)
            assert run.stream.telemetry.summary().events == 20  # nothing is read again
    first = lists_of(run.folders.lists, 7)
    assert [batch for batch, _ in first] == [0, 1, 2]
    assert first[-1][1][0] == 103  # what goes with the session's last product
    assert len(folder_rows(run.folders.archive)) == 60
    table = read_lists(run.folders.lists, marked(run.folders)).to_pylist()
    assert max(Counter((row["batch"], row["user_id"], row["rank"]) for row in table).values()) == 1


def test_a_stop_leaves_no_event_behind(spark: SparkSession, tmp_path: Path) -> None:
    """Stopped at once after files came: what was not done is done at the next start."""
    write_bundle(tmp_path / "models", "a", recommender())
    for number in range(2):
        with running(spark, quick_settings(tmp_path)) as run:
            for part in range(3):
                rows: list[Event | str] = [(number, "view", 100 + part, user, f"s{user}") for user in range(10)]
                land(run.folders.landing, f"{number}-{part}.csv", csv_text(rows))
            until(
                lambda run=run: newest_number(run.stream.epoch.checkpoint / "offsets") >= run.stream.epoch.first,
                "a batch begun",
            )
    with running(spark, quick_settings(tmp_path)) as run:
        until(lambda: len(folder_rows(run.folders.archive)) == 60, "all is archived")
        until(lambda: _events(run) == 60, "all is counted")
    assert len(folder_rows(run.folders.archive)) == 60


def _events(run: Running) -> int:
    return sum(read_windows(run.folders.windows, marked(run.folders))["events"].to_pylist())


def test_half_of_a_first_micro_batch_does_not_hinder_a_start(spark: SparkSession, tmp_path: Path) -> None:
    """What a kill or a full disk leaves there at the worst moment: Spark would refuse to start, for ever."""
    write_bundle(tmp_path / "models", "a", recommender())
    settings = quick_settings(tmp_path)
    folders = StreamFolders.of(settings)
    folders.prepare()
    offsets = begin(folders, 1).checkpoint / "offsets"
    offsets.mkdir(parents=True)
    (offsets / ".0.7d3f.tmp").write_text("v1\n")
    with running(spark, settings) as run:
        run.deliver("1.csv", [(1, "view", 101, 7_500, "x")])
        assert listed(run, 7_500)[0] == 102


def test_a_wrong_clock_does_not_make_all_others_late(spark: SparkSession, tmp_path: Path) -> None:
    """An event of next year would move the watermark past all that come after it."""
    write_bundle(tmp_path / "models", "a", recommender())
    user = 7_600
    wrong = csv_row((1, "view", 101, 7_601, "w")).replace("2019-10-01", f"{datetime.now().year + 1}-12-31")
    with running(spark, quick_settings(tmp_path)) as run:
        run.deliver("1.csv", [(1, "view", 101, user, "x"), wrong])
        run.deliver("2.csv", [(20 * 60, "view", 105, user, "x")])
        assert listed(run, user)[0] == 106
        assert run.stream.telemetry.summary().late == 0
        assert [row["reason"] for row in folder_rows(run.folders.rejected)] == ["event_time out of range"]
    assert _events(run) == 2
