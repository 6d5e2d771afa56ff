"""What a checkpoint holds."""

import tarfile
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.stream.checkpoints import STATE_SCHEMA, session_keys
from app.stream.epoch import newest_number
from app.stream.sessions import KEYS
from tests.damage import turn_one_bit
from tests.stream.shop import quick_settings, recommender, running, until, write_bundle

GOLDEN = Path(__file__).parents[1] / "golden" / "edition_2" / "stream.tar.xz"


def test_keys_of_sessions_are_in_the_checkpoints_order(tmp_path: Path) -> None:
    assert session_keys(tmp_path) == KEYS == ("user_id", "session", "window")
    with tarfile.open(GOLDEN) as packed:  # of before there was another order
        packed.extractall(tmp_path, filter="data")
    (schema,) = (tmp_path / "checkpoint").glob(f"*/lists/{STATE_SCHEMA}")
    assert session_keys(schema.parents[4]) == ("window", "user_id", "session")


@pytest.mark.parametrize("log", ["offsets", "commits"])
def test_a_damaged_checkpoint_is_refused_in_one_line(spark: SparkSession, tmp_path: Path, log: str) -> None:
    write_bundle(tmp_path / "models", "a", recommender())
    settings = quick_settings(tmp_path)
    with running(spark, settings) as run:
        run.deliver("one.csv", [(60, "view", 101, 1, "one")])
        checkpoint = run.stream.epoch.checkpoint
    turn_one_bit(checkpoint / log / str(newest_number(checkpoint / log)))
    with running(spark, settings) as run:
        until(lambda: run.error, "the stream has failed")
    assert type(run.error) is InputError
    assert "cannot go on from it (one of its files is damaged); move " in str(run.error)
    assert "\n" not in str(run.error)
