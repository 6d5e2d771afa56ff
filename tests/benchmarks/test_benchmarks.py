"""Benchmarks on public files: figures worked out by hand, and what must never be read."""

import json
from math import log2
from pathlib import Path
from typing import Any

import interactions
import numpy as np
import pytest
import sessions
from learning import Measured
from public_files import Lists, read_interactions, read_sessions
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.progress import Progress
from app.core.settings import Settings

SETTINGS = Settings(segments=2)
TRAIN = "a b\na b\na b\nc d\nc d\ne\n"


def session_lists(folder: Path, text: str) -> Lists:
    folder.mkdir(exist_ok=True)
    path = folder / "sessions"
    path.write_text(text)
    return read_sessions(path)


def quiet() -> Progress:
    return Progress(4, lambda line: None)


def asked(spark: SparkSession, folder: Path, test: str, model: str = "popularity", current: bool = False) -> Measured:
    """Popularity in the training: a and b 3, c and d 2, e 1; of equal ones the smaller comes first."""
    known = session_lists(folder, TRAIN)
    return sessions.measure(
        spark, folder / "scratch", quiet(), known, session_lists(folder, test), model, current, SETTINGS
    )


def test_each_event_after_the_first_is_asked_for_known_or_not(spark: SparkSession, tmp_path: Path) -> None:
    """Targets b, d and an unknown one: at the places 2 and 4, and nowhere."""
    found = asked(spark, tmp_path, "a b d zz\n")
    assert found.queries == 3
    assert found.figures == found.popularity
    assert found.figures.hr_20 == found.figures.recall_20 == pytest.approx(2 / 3, abs=1e-5)
    assert found.figures.mrr_20 == pytest.approx((1 / 2 + 1 / 4) / 3, abs=1e-5)
    assert found.figures.ndcg_20 == pytest.approx((1 / log2(3) + 1 / log2(5)) / 3, abs=1e-5)


def test_the_product_just_clicked_is_left_out_where_asked(spark: SparkSession, tmp_path: Path) -> None:
    """After a, b is first; after b, d third; after an unknown one, a is first."""
    found = asked(spark, tmp_path, "a b d\nzz a\n", current=True)
    assert found.figures.mrr_20 == pytest.approx((1 + 1 / 3 + 1) / 3, abs=1e-5)
    repeated = asked(spark, tmp_path / "again", "a a\n", current=True)
    assert (repeated.queries, repeated.figures.hr_20) == (1, 0), "it counts as a miss, as in the protocol"


def test_pairs_are_asked_as_they_stand(spark: SparkSession, tmp_path: Path) -> None:
    found = asked(spark, tmp_path, "prefix\ttarget\na b\tc\nzz\te\n")
    assert found.queries == 2
    assert found.figures.mrr_20 == pytest.approx((1 / 3 + 1 / 5) / 2, abs=1e-5)


def test_the_session_walk_finds_what_goes_together(spark: SparkSession, tmp_path: Path) -> None:
    found = asked(spark, tmp_path, "a b\nc d\n", model="session_walk", current=True)
    assert found.figures.mrr_20 == 1
    assert found.popularity.mrr_20 == pytest.approx((1 + 1 / 3) / 2, abs=1e-5)


def test_a_test_that_asks_nothing_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the test asks nothing"):
        asked(spark, tmp_path, "a\nb\n")


def asked_of_users(spark: SparkSession, folder: Path, train: str, test: str, model: str) -> Measured:
    known, wanted = folder / "train", folder / "test"
    known.write_text(train)
    wanted.write_text(test)
    files = read_interactions(known), read_interactions(wanted)
    return interactions.measure(spark, folder / "scratch", quiet(), *files, model, SETTINGS)


def test_users_are_asked_for_what_they_do_not_have(spark: SparkSession, tmp_path: Path) -> None:
    """Popularity: a 3, b 2, c and d 1. User 1 has a and b: c, d remain; user 2 has a: b is first."""
    found = asked_of_users(spark, tmp_path, "1 a b\n2 a\n3 a b c d\n", "2 b zz\n1 d\n", "popularity")
    assert found.queries == 2
    assert found.figures.hr_20 == 1
    assert found.figures.recall_20 == pytest.approx((1 / 2 + 1) / 2)
    assert found.figures.mrr_20 == pytest.approx((1 + 1 / 2) / 2)
    assert found.figures.ndcg_20 == pytest.approx((1 / (1 + 1 / log2(3)) + 1 / log2(3)) / 2, abs=1e-5)


def test_the_item_graph_finds_what_goes_together(spark: SparkSession, tmp_path: Path) -> None:
    train = "1 a b\n2 a b c\n3 c a\n4 x y\n5 x y z\n6 z y\n7 q\n8 q\n9 q\n"
    found = asked_of_users(spark, tmp_path, train, "1 c\n4 z\n", "item_graph")
    assert found.figures.mrr_20 == 1
    assert found.popularity.mrr_20 < 1


def test_an_unknown_model_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--model neural: there is none; choose one of als"):
        asked(spark, tmp_path, "a b\n", model="neural")


def test_a_fifth_of_each_users_items_is_cut_off_the_same_each_time() -> None:
    items = np.array([f"i{number}" for number in range(1000)])
    whole = (np.array(["1", "2"]), Lists(sessions.Ragged.of_lengths(np.array([500, 500])), items))
    (users, kept), (others, cut) = interactions.cut_off(whole)
    assert users.tolist() == others.tolist() == ["1", "2"]
    assert sorted([*kept.items, *cut.items]) == sorted(items)
    assert 0.15 < len(cut.items) / 1000 < 0.25
    assert interactions.cut_off(whole)[1][1].items.tolist() == cut.items.tolist()


def closing(captured: str) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(captured.splitlines()[-1])
    return line


def test_validation_reads_no_test_file(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last sessions of the training file are asked: of 20, the last two."""
    monkeypatch.setattr("learning.create_session", lambda settings, name: spark)
    monkeypatch.setattr(spark, "stop", lambda: None)
    (tmp_path / "train").write_text("a b\n" * 18 + "b a\n" * 2)
    (tmp_path / "test").write_text("not\ta\tbenchmark\n")
    files = ["--train", str(tmp_path / "train"), "--test", str(tmp_path / "test")]
    sessions.main([*files, "--validate", "--model", "session_walk"], standalone_mode=False)
    line = closing(capsys.readouterr().out)
    assert (line["model"], line["queries"], line["hr_20"]) == ("session_walk", 2, 1)
    assert set(line) == {
        "model", "hr_20", "mrr_20", "recall_20", "ndcg_20", "queries", "seconds", "peak_mb", "popularity"
    }  # fmt: skip
    assert r"it begins with 'not\ta\tbenchmark'" in refused(sessions.main, files, capsys)


def refused(command: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        command(arguments, standalone_mode=False)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow(seconds=60)
def test_serenades_example(
    shared_data: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least what is published; the larger public files take too long here, docs/models.md has their commands."""
    monkeypatch.setattr("learning.create_session", lambda settings, name: spark)
    monkeypatch.setattr(spark, "stop", lambda: None)
    train, test = (str(shared_data / "serenade_example" / file) for file in ("train.txt", "test.txt"))
    sessions.main(["--train", train, "--test", test, "--exclude-current"], standalone_mode=False)
    line = closing(capsys.readouterr().out)
    assert line["queries"] == 931
    assert line["hr_20"] >= 0.64 > line["popularity"]["hr_20"]
    assert line["mrr_20"] >= 0.328 > line["popularity"]["mrr_20"]
