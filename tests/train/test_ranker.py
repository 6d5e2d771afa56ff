"""The ranker in a training: learned from the first half of the test slice, tested on the second, served if chosen."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.evaluate.names import ALL, BLEND
from app.evaluate.results import RankerChoice
from app.registry.bundle import Bundle
from app.results.run import RunResult
from app.serve.ragged import NONE
from app.serve.rankers import LambdaMART, ReciprocalRank
from app.serve.visits import Touches, Visitors
from app.synthetic import generate
from app.train import ranker as module
from app.train import run as run_module
from app.train.evaluation import chosen
from app.train.ranker import HeldOut, Lesson, learn_ranker, seconds
from app.train.run import train

CHOSEN = RankerChoice(name="lambdamart", tasks=("session",), reason="It is wanted")
CUT, MIDDLE = datetime(2019, 10, 30), datetime(2019, 10, 30, 12)
ASKED = HeldOut(SimpleNamespace(until=datetime(2019, 10, 31)), CUT, Path("segments"), ())


class Counted:
    """Queries of which only the number in each half is known."""

    def __init__(self, before: int, after: int):
        self.before, self.after = before, after

    def count(self, task: str, since: int = 0, until: int | None = None) -> int:
        assert (since, until) in ((0, seconds(MIDDLE)), (seconds(MIDDLE), None))
        return self.after if until is None else self.before

    def sample(self, since: int = 0) -> None:
        raise AssertionError("nothing is asked where there are too few")


def told(before: int, after: int, **changes: Any) -> str:
    lesson = learn_ranker(SimpleNamespace(settings=Settings(**changes)), ASKED, Counted(before, after), None, Path())
    assert (lesson.ranker, lesson.folder, lesson.until) == (None, None, None), "all queries are tested on"
    assert lesson.choice({}).name == "reciprocal_rank"
    return lesson.choice({}).reason


def test_with_too_few_queries_in_a_half_nothing_is_learned() -> None:
    """Of each task so many; learned from are both together."""
    assert told(499, 5000) == "Too few queries to learn a ranker from (998), or to test it on (5,000 of a task)"
    assert told(5000, 199) == "Too few queries to learn a ranker from (10,000), or to test it on (199 of a task)"


def test_nor_where_none_is_wanted() -> None:
    assert told(5000, 5000, ranker="reciprocal_rank") == "No other ranker was to be learned"


LED = RankerChoice(name="reciprocal_rank", leads={"session": "session_walk"}, reason="It is wanted")


def test_nothing_takes_the_place_of_reciprocal_rank_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no ranker could be learned a generator may lead all the same."""
    monkeypatch.setattr(module, "choose", lambda scores: LED)
    assert Lesson("Too few").choice({}).leads == LED.leads
    assert Lesson("Too few").choice({}).reason == "Too few. It is wanted"
    asked_for = learn_ranker(
        SimpleNamespace(settings=Settings(ranker="reciprocal_rank")), ASKED, Counted(5000, 5000), None, Path()
    )
    assert asked_for.choice({}).leads == {}


def test_what_was_chosen_is_what_the_bundle_orders_with() -> None:
    first = ReciprocalRank({"session_walk": 3.0, "als": 1.0}, 5)
    assert chosen(RankerChoice(name="reciprocal_rank", reason=""), first, None) is None
    assert chosen(LED, first, None) == first.led("session_walk", "")
    learned = LambdaMART(first, ("als",), "trees", None)
    both = RankerChoice(name="lambdamart", tasks=("user",), leads={"session": "session_walk"}, reason="")
    found = chosen(both, first, learned)
    assert isinstance(found, LambdaMART)
    assert (found.in_sessions, found.elsewhere, found.first) == (False, True, first.led("session_walk", ""))
    assert chosen(LED, first, learned) == first.led("session_walk", ""), "learned, but not chosen"


@pytest.fixture(scope="module")
def found(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A training whose ranker is chosen whatever it is worth, of a shop that is small for one."""
    folder = tmp_path_factory.mktemp("ranked")
    generate(folder / "shop.synthetic.csv", 12_000, seed=3, days=6)
    settings = Settings(
        events=str(folder / "shop.synthetic.csv"),
        output=folder / "shop",
        generators="covisitation,popularity",
        shuffle_partitions=2,
        bootstrap=20,
        test_days=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MIN_EXAMPLES", 50)
        patch.setattr(module, "MIN_QUERIES", 50)
        patch.setattr(module, "choose", lambda scores: CHOSEN)
        for name in ("shop_sections", "write_report"):
            patch.setattr(run_module, name, Mock())  # it is not looked at
        return train(spark, settings, datetime(2019, 11, 1, 8, tzinfo=UTC), lambda line: None)


def rows(found: RunResult, model: str) -> dict[str, tuple[int, float]]:
    assert found.quality is not None
    return {
        row.task: (row.queries, row.metrics["ndcg_10"].mean)
        for row in found.quality.rows
        if (row.model, row.slice) == (model, ALL)
    }


@pytest.mark.slow(seconds=22)
def test_the_choice_is_told_with_what_was_looked_at(found: RunResult) -> None:
    choice, quality = found.ranker, found.quality
    assert choice is not None
    assert quality is not None
    assert (choice.name, choice.tasks, choice.reason) == (CHOSEN.name, CHOSEN.tasks, CHOSEN.reason)
    assert choice.queries >= 50
    middle = quality.test_from + (quality.test_to - quality.test_from) / 2
    assert choice.learned_until == middle.replace(microsecond=0)
    assert sum(gain.share for gain in choice.gains) == pytest.approx(1)
    assert choice.gains[0].share == max(gain.share for gain in choice.gains)


@pytest.mark.slow(seconds=1)
def test_both_orders_are_measured_and_the_chosen_one_is_what_serves(found: RunResult) -> None:
    served, first, learned = (rows(found, model) for model in (BLEND, "reciprocal_rank", "lambdamart"))
    assert served == {"session": learned["session"], "user": first["user"]}
    assert learned["session"] != first["session"]
    assert {task: queries for task, (queries, _) in served.items()} == {
        task: queries for task, (queries, _) in rows(found, "most_popular").items()
    }


@pytest.mark.slow(seconds=1)
def test_the_bundle_holds_the_ranker_and_answers_with_it(found: RunResult) -> None:
    assert found.paths.bundle is not None
    recommender = Bundle.open(found.paths.bundle).recommender
    assert isinstance(recommender.ranker, LambdaMART)
    assert recommender.ranker.generators == ("covisitation", "popularity")
    assert len(recommender.ranker.attributes.price) == len(recommender.catalogue)
    session = Touches.of_lists(
        [[(int(product), "view", 1.0, 0.0)] for product in recommender.catalogue.product_ids[:9]]
    )
    for who, mine in (
        (Visitors.of([-1] * 9, 0.0, session), True),
        (Visitors.of(recommender.users.ids[:9], 0.0), False),
    ):
        answer = recommender.recommend(who, 10)
        theirs = recommender.ranker.first.rank(answer.pool, answer.visits, 10)
        assert (answer.lists.items != NONE).all()
        assert (answer.lists.scores == theirs.scores).all() == (not mine)
