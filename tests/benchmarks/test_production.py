"""What benchmarks on public files answer with where no model is named: chosen on a slice of the training alone."""

from pathlib import Path

import interactions
import numpy as np
import production
import pytest
import sessions
from learning import Measured
from public_files import Lists, Vocabulary, read_interactions, read_sessions
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.progress import Progress
from app.core.settings import Settings
from app.evaluate.choice import choose
from app.evaluate.quality import Scores
from app.evaluate.results import RankerChoice
from app.serve.ragged import Ragged
from tests.evaluate.test_gate import noisy, score

SETTINGS = Settings(segments=2, generators="covisitation,popularity,session_walk")
TRAIN = "a b\nc d\n" * 60 + "e f\n" * 40


def quiet() -> Progress:
    return Progress(6, lambda line: None)


def asked(spark: SparkSession, folder: Path, test: str) -> Measured:
    (folder / "train").write_text(TRAIN)
    (folder / "test").write_text(test)
    known, wanted = (read_sessions(folder / name) for name in ("train", "test"))
    return sessions.measure(spark, folder, quiet(), known, wanted, None, True, SETTINGS)


@pytest.mark.parametrize(
    ("choice", "model", "places"),
    [
        (RankerChoice(name="reciprocal_rank", reason="It is wanted"), "reciprocal_rank", (1, 1)),
        (
            RankerChoice(name="reciprocal_rank", leads={"session": "popularity"}, reason="It is wanted"),
            "popularity",
            (1, 3),
        ),
        (RankerChoice(name="lambdamart", tasks=("session",), reason="It is wanted"), "lambdamart", (1, 3)),
    ],
)
def test_what_is_chosen_on_the_end_of_the_training_answers(
    choice: RankerChoice,
    model: str,
    places: tuple[int, int],
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 160 sessions the last eleven, each `e f`, are asked: what comes before them knows e and f as well.

    By reciprocal rank c comes first after d, since these have been seen with nothing else. Popularity, where it leads,
    puts a and b before it; so do trees without a branch, as of five queries, to which all products are equal.
    """
    seen: Scores = {}

    def chosen(scores: Scores) -> RankerChoice:
        seen.update(scores)
        return choice

    monkeypatch.setattr(production, "MIN_EXAMPLES", 5)
    monkeypatch.setattr(production, "choose", chosen)
    found = asked(spark, tmp_path, "a b\nd c\n")
    assert (found.model, found.why) == (model, choice.sentence)
    assert found.queries == 2
    assert found.figures.mrr_20 == pytest.approx(np.mean([1 / place for place in places]), abs=1e-5)
    assert {name for _, name, _ in seen} == {
        "reciprocal_rank", "lambdamart", "covisitation", "popularity", "session_walk"
    }  # fmt: skip
    assert {one.queries for one in seen.values()} == {6}, "the ranker is learned from the first five"


def test_of_few_sessions_nothing_but_reciprocal_rank_serves(spark: SparkSession, tmp_path: Path) -> None:
    found = asked(spark, tmp_path, "a b\n")
    assert (found.model, found.why) == (
        "reciprocal_rank",
        "Lists are ordered by reciprocal rank. Too few queries to compare LambdaMART with reciprocal rank.",
    )


def test_a_training_too_short_to_choose_by_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    """Nothing lies before the last of one session, and none of these users' items is cut off."""
    (tmp_path / "file").write_text("a b\n")
    one, few = read_sessions(tmp_path / "file"), read_interactions(tmp_path / "file")
    with pytest.raises(InputError, match="too little to cut a slice"):
        sessions.measure(spark, tmp_path, quiet(), one, one, None, True, SETTINGS)
    with pytest.raises(InputError, match="too little to cut a slice"):
        interactions.measure(spark, tmp_path, quiet(), few, few, None, SETTINGS)


def test_users_are_asked_for_a_fifth_of_their_training(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`z` is in the test alone: no choice may have seen it."""
    (tmp_path / "train").write_text("".join(f"{user} a b c d e f\n" for user in range(40)))
    (tmp_path / "test").write_text("1 z\n")
    tasks: list[str] = []

    def chosen(scores: Scores) -> RankerChoice:
        tasks.extend({task for task, _, _ in scores})
        return choose(
            {("user", name, "all"): score(noisy(0.3 + 0.1 * (name == "popularity"))) for _, name, _ in scores}
        )

    monkeypatch.setattr(production, "choose", chosen)
    files = read_interactions(tmp_path / "train"), read_interactions(tmp_path / "test")
    found = interactions.measure(spark, tmp_path, quiet(), *files, None, SETTINGS)
    assert (found.model, found.queries, tasks) == ("popularity", 1, ["user"])
    assert "popularity alone beside reciprocal rank: user +0.1" in found.why


def test_a_prefix_is_asked_at_the_moment_of_its_last_event() -> None:
    """What was touched before it is some seconds old, whatever the year."""
    shape = Ragged.of_lengths(np.array([3]))
    lists = Lists(shape, np.array(["a", "b", "c"]), np.array([1.5e9, 1.5e9 + 40, 1.5e9 + 60]))
    asked = sessions.queries_of(lists, Vocabulary(np.array(["a", "b", "c"])), SETTINGS, False)
    assert asked.visits.now.tolist() == [1.5e9, 1.5e9 + 40]
    assert asked.visits.session.take(np.array([1])).times.tolist() == [1.5e9, 1.5e9 + 40]
