"""A stream of this edition, killed after it had archived its third micro-batch and before Spark had committed it.

Its first session saw products 100, 101 and 102, and bought 105; its other saw 120 and 121; an event came twice, and a
row was none. What this edition writes is what later ones must go on from: where this test fails, a format has changed.
"""

import os
import tarfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from app.stream.checkpoints import session_keys
from app.stream.epoch import current, newest_number
from app.stream.folders import StreamFolders
from tests.stream.shop import Event, csv_text, folder_rows, quick_settings, recommender, running, until, write_bundle

STREAM = Path(__file__).parent / "edition_2" / "stream.tar.xz"
LANDING = "file:///tmp/golden/out/landing/"  #: where its files lay
LANDED = 1_795_636_132  #: arrival of its files, seconds since 1970
USER, OTHER = 7_800, 7_801
THIRD: list[Event | str] = [(301, "cart", 102, USER, "on"), (302, "view", 121, OTHER, "off")]
NEXT: list[Event | str] = [(303, "view", 104, USER, "on"), (304, "view", 123, OTHER, "off")]


def land(folders: StreamFolders, name: str, rows: list[Event | str]) -> None:
    """A file that came when those of the stream did, whatever this machine's clock says."""
    hidden = folders.landing / f".{name}"
    hidden.write_text(csv_text(rows))
    os.utime(hidden, (LANDED, LANDED))
    hidden.rename(folders.landing / name)


def test_a_stream_of_this_edition_is_gone_on_with(spark: SparkSession, tmp_path: Path) -> None:
    """Nothing is lost, nothing doubled: in archive, windows, rejected rows, accounts, sessions and lists."""
    settings = quick_settings(tmp_path)
    folders = StreamFolders.of(settings)
    write_bundle(folders.models, "a", recommender())
    with tarfile.open(STREAM) as packed:
        packed.extractall(folders.root, filter="data")
    for path in folders.checkpoints.glob("*/*/sources/*/[0-9]*"):
        path.write_text(path.read_text().replace(LANDING, f"{folders.landing.as_uri()}/"))
        path.with_name(f".{path.name}.crc").unlink()
    folders.landing.mkdir()
    land(folders, "part-2.csv", THIRD)
    with running(spark, settings) as run:
        run.delivered = len(THIRD)
        run.drained()
        land(folders, "part-3.csv", NEXT)
        run.delivered += len(NEXT)
        run.drained()
        epoch = current(folders)
        assert epoch is not None
        assert (epoch.number, epoch.first) == (2, 2)
        assert session_keys(epoch.checkpoint)[0] == "window"  # as its sessions are kept; a new stream has it last
        until(lambda: run.error or newest_number(epoch.checkpoint / "commits") == 3, "micro-batch 3 is committed")
        counted = Counter[tuple[str, str]]()
        for row in run.counted():
            counted[f"{row['start']:%H:%M}", row["event_type"]] += row["events"]
    assert run.error is None
    assert not any("accounts" in line for line in run.said)
    assert [line for line in run.said if "is gone" in line] == [  # it was kept without
        f"{folder}: is gone; it is made anew, without what it held"
        for folder in (folders.lists, folders.csv, folders.damaged)
    ]
    assert run.stream.telemetry.summary().unaccounted == 0
    assert Counter((row["event_type"], row["product_id"]) for row in folder_rows(folders.archive)) == Counter(
        {("view", 100): 2}
        | dict.fromkeys([("purchase", 105), ("view", 101), ("cart", 102), ("view", 104)], 1)
        | dict.fromkeys([("view", 120), ("view", 121), ("view", 123)], 1)
    )
    assert [row["reason"] for row in folder_rows(folders.rejected)] == ["unparsable event_time"]
    assert counted == {("12:00", "purchase"): 1, ("12:00", "view"): 3, ("12:05", "cart"): 1, ("12:05", "view"): 3}
    lists = run.lists(USER)
    assert [batch for batch, _ in lists] == [2, 3]
    assert 105 not in lists[-1][1]  # what goes with 104, but bought: the session of before is still there
    assert {path.name.split("-")[2] for path in folders.lists.glob("*.parquet")} == {"e000002"}
    assert len(pq.read_table(folders.lists)) == 2 * 2 * settings.top_k
