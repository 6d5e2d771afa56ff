"""Which ranker orders the lists: better, worse, neither, and too few queries to say."""

import numpy as np

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


def test_it_orders_lists_of_the_task_in_which_it_is_better() -> None:
    choice = choose(asked({("session", "all"): 0.01, ("user", "all"): 0.0}))
    assert (choice.name, choice.tasks) == ("lambdamart", ("session",))
    assert choice.sentence == (
        "Lists are ordered by LambdaMART in the session task, else by reciprocal rank. NDCG@10 of LambdaMART beside "
        "reciprocal rank: session +0.0100 [+0.0100, +0.0100], 1,000 queries; "
        "user +0.0000 [+0.0000, +0.0000], 1,000 queries."
    )


def test_worse_in_one_task_says_nothing_of_the_other() -> None:
    choice = choose(asked({("session", "all"): -0.01, ("user", "all"): 0.01}))
    assert (choice.name, choice.tasks) == ("lambdamart", ("user",))


def test_better_in_both_it_orders_all() -> None:
    choice = choose(asked({("session", "all"): 0.01, ("user", "all"): 0.02, ("user", PURCHASE): 0.0}))
    assert choice.tasks == ("session", "user")
    assert choice.sentence.startswith("Lists are ordered by LambdaMART. NDCG@10")


def test_not_where_purchases_are_worse() -> None:
    choice = choose(asked({("session", "all"): 0.05, ("session", PURCHASE): -0.01}))
    assert (choice.name, choice.tasks) == ("reciprocal_rank", ())
    assert "session purchases -0.0100 [-0.0100, -0.0100], 1,000 queries" in choice.reason
    assert choice.sentence.startswith("Lists are ordered by reciprocal rank. NDCG@10")


def test_better_purchases_alone_are_not_enough() -> None:
    choice = choose(asked({("session", "all"): 0.0, ("session", PURCHASE): 0.05}))
    assert (choice.name, choice.tasks) == ("reciprocal_rank", ())


def test_a_difference_within_chance_is_none() -> None:
    found = asked({("session", "all"): 0.0})
    found["session", "lambdamart", "all"] = score(noisy(0.302, seed=1))
    assert choose(found).name == "reciprocal_rank"


def test_small_slices_say_nothing() -> None:
    few = asked({("session", PURCHASE): -0.1}, MIN_QUERIES - 1)
    assert choose(few | asked({("session", "all"): 0.01})).tasks == ("session",)
    alone = choose(asked({("session", "all"): 0.1}, MIN_QUERIES - 1))
    assert (alone.name, alone.reason) == (
        "reciprocal_rank",
        "Too few queries to compare LambdaMART with reciprocal rank",
    )


def test_slices_of_just_enough_queries_are_judged() -> None:
    better = asked({("session", "all"): 0.01}, MIN_QUERIES)
    assert choose(better).tasks == ("session",)
    assert choose(better | asked({("session", PURCHASE): -0.01}, MIN_QUERIES)).tasks == ()


def test_without_a_learned_ranker_there_is_nothing_to_compare() -> None:
    assert choose({("session", "blend", "all"): score(np.ones(1000))}).name == "reciprocal_rank"
