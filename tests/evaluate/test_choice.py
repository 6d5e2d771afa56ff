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


def test_without_another_model_there_is_nothing_to_compare() -> None:
    assert choose({("session", "blend", "all"): score(np.ones(1000))}).name == "reciprocal_rank"


def alone(**differences: float) -> Scores:
    """Without a learned ranker: what all make together is filed as the blend, beside generators and the rest."""
    found = {("session", name, "all"): score(FIRST + difference) for name, difference in differences.items()}
    return found | {("session", "blend", "all"): score(FIRST), ("session", "blend", PURCHASE): score(FIRST)}


def test_a_generator_that_is_better_than_all_together_leads() -> None:
    choice = choose(alone(session_walk=0.01, als=0.005, content=-0.3))
    assert (choice.name, choice.tasks, choice.leads) == ("reciprocal_rank", (), {"session": "session_walk"})
    assert (choice.model("session"), choice.model("user")) == ("session_walk", "reciprocal_rank")
    assert choice.sentence == (
        "Lists are ordered by reciprocal rank, in the session task by session_walk first. NDCG@10 of session_walk "
        "alone beside reciprocal rank: session +0.0100 [+0.0100, +0.0100], 1,000 queries."
    )


def test_a_generator_within_chance_or_worse_at_purchases_does_not_lead() -> None:
    assert choose(alone(session_walk=0.0)).leads == {}
    worse = {("session", "session_walk", PURCHASE): score(FIRST - 0.01)}
    assert choose(alone(session_walk=0.01) | worse).leads == {}
    assert choose(alone(session_walk=0.01, als=0.005) | worse).leads == {"session": "als"}


def test_the_baseline_and_the_bundle_in_use_do_not_lead() -> None:
    assert choose(alone(most_popular=0.1, champion=0.1)).leads == {}


def test_the_better_one_of_generator_and_learned_ranker_is_chosen() -> None:
    learned = asked({("session", "all"): 0.01, ("user", "all"): 0.01})
    walk = {("session", "session_walk", "all"): score(FIRST + 0.02), ("user", "session_walk", "all"): score(FIRST)}
    choice = choose(learned | walk)
    assert (choice.name, choice.tasks, choice.leads) == ("lambdamart", ("user",), {"session": "session_walk"})
    assert [choice.model(task) for task in ("session", "user")] == ["session_walk", "lambdamart"]


def test_a_learned_ranker_must_be_better_than_a_generator_that_leads() -> None:
    """Better than all together is not enough: it orders what is best by that."""
    learned = {
        ("session", "lambdamart", "all"): score(noisy(0.311, seed=1)),
        ("session", "lambdamart", PURCHASE): score(FIRST),
    }
    choice = choose(alone(session_walk=0.01) | learned)
    assert (choice.tasks, choice.leads) == ((), {"session": "session_walk"})
    assert "LambdaMART beside reciprocal rank: session, beside session_walk alone, +0." in choice.reason
    choice = choose(alone(session_walk=0.01, lambdamart=0.011))
    assert (choice.tasks, choice.leads) == (("session",), {})
