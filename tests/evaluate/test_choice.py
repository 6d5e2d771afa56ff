"""Which ranker orders the lists: better, worse, neither, and too few queries to say."""

import numpy as np
import pytest

from app.evaluate.choice import choose
from app.evaluate.gate import MIN_QUERIES
from app.evaluate.quality import Scores
from tests.evaluate.test_gate import noisy, score

FIRST = noisy(0.3)
PURCHASE = "target:purchase"


def asked(differences: dict[tuple[str, str], float], n: int = 1000) -> Scores:
    """Both rankers on slices of n queries; the learned one is better by so much in each query."""
    found: Scores = {}
    for (task, part), difference in differences.items():
        found[task, "reciprocal_rank", part] = score(FIRST[:n])
        found[task, "lambdamart", part] = score(FIRST[:n] + difference)
    return found


def test_better_in_one_task_is_enough() -> None:
    choice = choose(asked({("session", "all"): 0.01, ("user", "all"): 0.0}))
    assert choice.name == "lambdamart"
    assert choice.reason == (
        "it is better than reciprocal rank. NDCG@10 of LambdaMART beside reciprocal rank: "
        "session +0.0100 [+0.0100, +0.0100], 1,000 queries; user +0.0000 [+0.0000, +0.0000], 1,000 queries"
    )


@pytest.mark.parametrize(
    ("task", "part", "told"),
    [("user", "all", "user"), ("session", PURCHASE, "session purchases"), ("user", PURCHASE, "user purchases")],
)
def test_not_where_it_is_worse_elsewhere(task: str, part: str, told: str) -> None:
    choice = choose(asked({("session", "all"): 0.05, (task, part): -0.01}))
    assert choice.name == "reciprocal_rank"
    assert choice.reason.startswith(f"LambdaMART is worse ({told}). NDCG@10")


def test_better_purchases_alone_are_not_enough() -> None:
    choice = choose(asked({("session", "all"): 0.0, ("session", PURCHASE): 0.05}))
    assert (choice.name, choice.reason.split(".")[0]) == ("reciprocal_rank", "LambdaMART is not better")


def test_a_difference_within_chance_is_none() -> None:
    found = asked({("session", "all"): 0.0})
    found["session", "lambdamart", "all"] = score(noisy(0.302, seed=1))
    choice = choose(found)
    assert choice.name == "reciprocal_rank"
    assert choice.reason.startswith("LambdaMART is not better. NDCG@10 of LambdaMART beside reciprocal rank: session +")


def test_small_slices_say_nothing() -> None:
    few = asked({("session", PURCHASE): -0.1}, MIN_QUERIES - 1)
    assert choose(few | asked({("session", "all"): 0.01})).name == "lambdamart"
    alone = choose(asked({("session", "all"): 0.1}, MIN_QUERIES - 1))
    assert (alone.name, alone.reason) == (
        "reciprocal_rank",
        "too few queries to compare LambdaMART with reciprocal rank",
    )


def test_without_a_learned_ranker_there_is_nothing_to_compare() -> None:
    assert choose({("session", "blend", "all"): score(np.ones(1000))}).name == "reciprocal_rank"
