"""The gate: what is published, what is refused, and why."""

import numpy as np
import pytest

from app.evaluate.gate import MIN_QUERIES, judge
from app.evaluate.metrics import poisson_weights
from app.evaluate.names import METRICS
from app.evaluate.quality import Score, Scores
from app.evaluate.results import QualityRow
from tests.finished_run import quality_row


def score(values: np.ndarray) -> Score:
    """A score whose NDCG@10 has these values, query by query."""
    columns = np.zeros((len(values), 1 + len(METRICS)))
    columns[:, 0], columns[:, 1 + METRICS.index("ndcg_10")] = 1, values
    return Score(poisson_weights(np.arange(len(values)), 200).T @ columns)


def noisy(mean: float, n: int = 1000, seed: int = 0) -> np.ndarray:
    return mean + np.random.default_rng(seed).normal(0, 0.1, n)


def unseen(slices: dict[str, tuple[np.ndarray, np.ndarray]], task: str = "session") -> Scores:
    """Candidate's and champion's values by slice."""
    found: Scores = {}
    for name, (mine, theirs) in slices.items():
        found[task, "blend", name] = score(mine)
        found[task, "champion", name] = score(theirs)
    return found


def row(part: str, mean: float, queries: int = 1000, model: str = "blend") -> QualityRow:
    return quality_row(model, part, mean, queries=queries, margin=0.02)


SAME = noisy(0.3)


def test_without_a_champion_anything_is_published() -> None:
    verdict = judge({}, [row("all", 0.0)], None, [])
    assert (verdict.published, verdict.reason, verdict.champion) == (True, "there was no champion", None)


def test_a_champion_that_could_not_be_opened_is_no_missing_one() -> None:
    verdict = judge({}, [row("all", 0.0)], "v1", [], "has schema version 2")
    assert (verdict.published, verdict.champion) == (True, "v1")
    assert verdict.reason == "champion v1 could not be compared with: has schema version 2"


def test_better_is_published_with_its_figures() -> None:
    verdict = judge(unseen({"unseen": (SAME + 0.05, SAME)}), [], "v1", [])
    assert verdict.published
    assert verdict.champion == "v1"
    assert verdict.reason.startswith("not worse than champion v1 on the same unseen queries: NDCG@10 +0.0500")


def test_a_little_worse_than_the_noise_is_published() -> None:
    assert judge(unseen({"unseen": (noisy(0.298, seed=1), SAME)}), [], "v1", []).published


def test_clearly_worse_is_refused() -> None:
    verdict = judge(unseen({"unseen": (noisy(0.25, seed=1), SAME)}), [], "v1", [])
    assert not verdict.published
    assert verdict.reason.startswith("worse than champion v1 on the same unseen queries: session all: NDCG@10 -0.05")


def test_the_comparison_is_paired() -> None:
    """Each query a hundredth worse: far less than the noise between queries, but beyond doubt."""
    assert not judge(unseen({"unseen": (SAME - 0.01, SAME)}), [], "v1", []).published


def test_worse_in_one_segment_only_is_refused_by_name() -> None:
    slices = {
        "unseen": (SAME + 0.05, SAME),
        "unseen:segment:VIP_Customers": (noisy(0.2, 300, 1), noisy(0.3, 300, 2)),
        "unseen:segment:Casual_Browsers": (noisy(0.4, 300, 1), noisy(0.3, 300, 2)),
    }
    verdict = judge(unseen(slices), [], "v1", [])
    assert not verdict.published
    assert "session segment:VIP_Customers: NDCG@10 -0.1" in verdict.reason
    assert "Casual" not in verdict.reason
    assert "session all" not in verdict.reason


def test_worse_in_the_other_task_is_refused() -> None:
    both = unseen({"unseen": (SAME, SAME)}) | unseen({"unseen": (SAME - 0.1, SAME)}, task="user")
    verdict = judge(both, [], "v1", [])
    assert not verdict.published
    assert "user all" in verdict.reason


def test_a_small_slice_says_nothing() -> None:
    few = noisy(0.3, MIN_QUERIES - 1)
    slices = {"unseen": (SAME, SAME), "unseen:segment:VIP_Customers": (few - 0.2, few)}
    assert judge(unseen(slices), [], "v1", []).published


def test_just_enough_queries_are_judged() -> None:
    enough = noisy(0.3, MIN_QUERIES)
    verdict = judge(unseen({"unseen": (enough - 0.01, enough)}), [], "v1", [])
    assert verdict.reason.startswith("worse than champion v1 on the same unseen queries: session all")
    mine, before = (row("all", mean, queries=MIN_QUERIES) for mean in (0.1, 0.9))
    assert judge({}, [mine], "v1", [before]).reason.startswith("worse than champion v1 by their recorded tests")


def test_too_few_unseen_queries_fall_back_on_recorded_tests() -> None:
    few = noisy(0.3, MIN_QUERIES - 1)
    scores = unseen({"unseen": (few - 0.2, few)})
    assert judge(scores, [row("all", 0.30)], "v1", [row("all", 0.33)]).published  # 0.28-0.32 touches 0.31-0.35
    verdict = judge(scores, [row("all", 0.30)], "v1", [row("all", 0.35)])
    assert not verdict.published
    assert verdict.reason == "worse than champion v1 by their recorded tests: session all: NDCG@10 0.3000 after 0.3500"


def test_recorded_tests_by_segment() -> None:
    mine = [row("all", 0.4), row("segment:VIP_Customers", 0.1), row("segment:New", 0.1)]
    before = [row("all", 0.3), row("segment:VIP_Customers", 0.3), row("segment:Old", 0.9)]
    verdict = judge({}, mine, "v1", before)
    assert not verdict.published
    assert "session segment:VIP_Customers" in verdict.reason
    assert "session all" not in verdict.reason


@pytest.mark.parametrize(
    ("mine", "before"),
    [
        ([], []),
        ([row("all", 0.1, queries=MIN_QUERIES - 1)], [row("all", 0.9)]),
        ([row("all", 0.1)], [row("all", 0.9, queries=MIN_QUERIES - 1)]),
        ([row("all", 0.1, model="als")], [row("all", 0.9, model="als")]),  # only the blend is published
    ],
)
def test_too_few_queries_of_any_kind_are_said(mine: list[QualityRow], before: list[QualityRow]) -> None:
    verdict = judge({}, mine, "v1", before)
    assert (verdict.published, verdict.reason) == (True, "too few queries to compare with champion v1")


def test_purchases_are_judged_and_other_targets_are_not() -> None:
    """By recorded tests; the unseen slices have purchases alone."""
    before = [row("all", 0.3), row("target:purchase", 0.4), row("target:new", 0.4)]
    assert judge({}, [row("all", 0.3), row("target:purchase", 0.4), row("target:new", 0.1)], "v1", before).published
    verdict = judge({}, [row("all", 0.3), row("target:purchase", 0.1), row("target:new", 0.4)], "v1", before)
    assert not verdict.published
    assert "session target:purchase: NDCG@10 0.1000 after 0.4000" in verdict.reason
