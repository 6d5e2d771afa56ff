"""Measuring recommenders whose quality is known: one that is always right, one that never is."""

from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.duck import Connection, write
from app.evaluate.gate import judge
from app.evaluate.names import METRICS
from app.evaluate.quality import Score, Scores, measure, quality_rows, served
from app.evaluate.queries import StoredQueries
from app.evaluate.rmse import rating_rmse
from app.evaluate.targets import ANY, BITS
from app.features.pairs import user_product_pairs
from app.serve.catalogue import Catalogue
from app.serve.generators.als import ImplicitALS
from app.serve.generators.covisitation import CoVisitation
from app.serve.generators.popularity import Popularity
from app.serve.rankers import ReciprocalRank
from app.serve.recommender import Parameters, Recommender
from tests.arrays import VIEWED, user_table
from tests.handmade import events_relation, moment
from tests.serve.test_rankers import trees

N = 30  # products 100 … 129; after product i always comes product i + 1
QUERIES = 600
UNSEEN_FROM = 1_000_000
REPLICATES = 40


def save(folder: Path, step: int) -> Path:
    """A recommender that says: after product i comes product i + step; the popular ones are 0, 1, 2, …"""
    catalogue = Catalogue.of(
        pa.table(
            {
                "product_id": np.arange(100, 100 + N),
                "category_code": ["a"] * N,
                "category": ["a"] * N,
                "brand": ["b"] * N,
                "avg_price": [1.0] * N,
                "popularity": [1.0] * N,
            }
        )
    )
    users = user_table([0, 1], [0, 0])
    neighbours = ((np.arange(N) + step) % N).astype(np.int32)[:, None]
    lists = np.tile(np.arange(N, dtype=np.int32), (1, 2, 1))
    scores = np.tile(np.linspace(1, 0.1, N, dtype=np.float32), (1, 2, 1))
    generators: dict[str, Any] = {
        "als": ImplicitALS.of(np.eye(2, dtype=np.float32), np.full((N, 2), 2.0, np.float32), 0.1, 1.0),
        "covisitation": CoVisitation(neighbours, np.ones((N, 1), np.float32)),
        "popularity": Popularity(lists, scores, catalogue.category),
    }
    folder.mkdir()
    ranker = ReciprocalRank({"covisitation": 1.0})
    Recommender(catalogue, users, generators, ranker, Parameters(N, 30, 100, 20, 30)).save(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("recommenders")
    return {"perfect": save(root / "perfect", 1), "useless": save(root / "useless", 2)}


@pytest.fixture(scope="module")
def queries(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> StoredQueries:
    """Every product is asked after equally often; two of three queries are of segment VIP, half are unseen."""
    numbers = np.arange(QUERIES)
    columns: dict[str, Any] = {
        "task": ["session"] * QUERIES,
        "query": numbers * 7919,
        "user_id": numbers % 2,
        "segment": [[None, "VIP", "VIP"][number % 3] for number in numbers],
        "asked_at": UNSEEN_FROM - 1 + numbers // N % 2,
        "product_ids": [[100 + number % N] for number in numbers],
        "kinds": pa.array([[VIEWED]] * QUERIES, pa.list_(pa.int32())),
        "weights": pa.array([[1.0]] * QUERIES, pa.list_(pa.float32())),
        "times": [[0.0]] * QUERIES,
        "relevant": [[100 + (number + 1) % N] for number in numbers],
        "targets": pa.array(
            [[ANY | BITS["purchase" if number % 4 == 0 else "view"]] for number in numbers], pa.list_(pa.int32())
        ),
    }
    table, folder = pa.table(columns), tmp_path_factory.mktemp("queries")
    for task, asked in (("session", table), ("user", table.slice(0, 0))):
        (folder / task).mkdir()
        for part in range(3):
            pq.write_table(asked.filter(numbers[: len(asked)] % 3 == part), folder / task / f"part-0000{part}.parquet")
    return StoredQueries(spark, folder, QUERIES)


@pytest.fixture(scope="module")
def scores(queries: StoredQueries, folders: dict[str, Path]) -> dict[str, Scores]:
    return {
        name: measure(queries, 0, folders[name], folders[other], UNSEEN_FROM, REPLICATES)
        for name, other in (("perfect", "useless"), ("useless", "perfect"))
    }


def mean(scores: Scores, model: str, metric: str, part: str = "all") -> float:
    return float(scores["session", model, part].means(metric)[0])


def test_a_perfect_recommender_has_full_marks(scores: dict[str, Scores]) -> None:
    for metric in ("hr_10", "ndcg_10", "mrr_10", "recall_10", "ndcg_20"):
        assert mean(scores["perfect"], "blend", metric) == pytest.approx(1)
        assert mean(scores["perfect"], "covisitation", metric) == pytest.approx(1)


def test_a_useless_recommender_has_none(scores: dict[str, Scores]) -> None:
    assert mean(scores["useless"], "blend", "hr_20") == 0


def test_popularity_baseline_by_hand(scores: dict[str, Scores]) -> None:
    # The ten first products but the one on screen hold product i + 1 for i = 0 … 9, and for the last, after which
    # comes the first; the twenty first likewise.
    assert mean(scores["perfect"], "most_popular", "hr_10") == pytest.approx(11 / N)
    assert mean(scores["perfect"], "most_popular", "hr_20") == pytest.approx(21 / N)
    reciprocal = sum(1 / (i + 1) for i in range(10)) + 1  # with i left out, product i + 1 stands at place i + 1
    assert mean(scores["perfect"], "most_popular", "mrr_10") == pytest.approx(reciprocal / N)


def test_slices(scores: dict[str, Scores]) -> None:
    found = {part: one.queries for (_, model, part), one in scores["perfect"].items() if model == "blend"}
    assert found == {
        "all": 600,
        "warm": 400,
        "cold": 200,
        "segment:VIP": 400,
        "target:view": 450,
        "target:purchase": 150,
        "unseen": 300,
        "unseen:warm": 200,
        "unseen:cold": 100,
        "unseen:segment:VIP": 200,
        "unseen:target:purchase": 70,
    }


def test_the_champion_answers_only_what_neither_has_seen(scores: dict[str, Scores]) -> None:
    found = {part for _, model, part in scores["perfect"] if model == "champion"}
    assert found == {"unseen", "unseen:warm", "unseen:cold", "unseen:segment:VIP", "unseen:target:purchase"}
    assert mean(scores["useless"], "champion", "ndcg_10", "unseen") == pytest.approx(1)
    assert mean(scores["perfect"], "champion", "ndcg_10", "unseen") == 0


def test_table_with_intervals_and_coverage(scores: dict[str, Scores]) -> None:
    rows = {(row.model, row.slice): row for row in quality_rows(scores["perfect"], N)}
    popular = rows["most_popular", "all"]
    hit_rate = popular.metrics["hr_10"]
    assert hit_rate.low < hit_rate.mean < hit_rate.high
    assert hit_rate.high - hit_rate.low == pytest.approx(4 * (11 / N * 19 / N / QUERIES) ** 0.5, rel=0.4)
    assert popular.coverage_10 == pytest.approx(11 / N)  # ten, and one more where one is on screen
    assert rows["covisitation", "all"].coverage_10 == 1
    assert popular.novelty_10 == pytest.approx(log2(N)), "all are equally popular"
    assert popular.diversity_10 is None, "no two products are known to differ"
    assert not any(part.startswith("unseen") for _, part in rows)


def test_lists_without_products_count_for_neither_novelty_nor_diversity() -> None:
    weights = np.full((REPLICATES + 1, 1 + len(METRICS)), 5.0)
    some = Score(weights, novelty=np.array([3.0, 2]), diversity=np.array([0.5, 1]))
    none = Score(weights)
    first, second = quality_rows({("user", "als", "all"): some, ("user", "content", "all"): none}, N)
    assert (first.queries, first.novelty_10, first.diversity_10) == (5, 1.5, 0.5)
    assert (second.novelty_10, second.diversity_10) == (None, None)


def test_gate_refuses_the_useless_and_lets_the_perfect_pass(scores: dict[str, Scores]) -> None:
    refused = judge(scores["useless"], [], "champion-1", [])
    assert not refused.published
    assert "worse than champion champion-1 on the same unseen queries" in refused.reason
    assert "session all: NDCG@10 -1.0000 [-1.0000, -1.0000], 300 queries" in refused.reason
    assert judge(scores["perfect"], [], "champion-1", []).published


def test_a_learned_ranker_is_measured_beside_the_first(
    queries: StoredQueries, folders: dict[str, Path], scores: dict[str, Scores], tmp_path: Path
) -> None:
    trees().save(tmp_path)
    both = measure(queries, 0, folders["perfect"], folders["useless"], UNSEEN_FROM, REPLICATES, tmp_path)
    models = {model for _, model, _ in both}
    assert models == {model for _, model, _ in scores["perfect"]} - {"blend"} | {"reciprocal_rank", "lambdamart"}
    assert mean(both, "reciprocal_rank", "ndcg_10") == mean(scores["perfect"], "blend", "ndcg_10")
    assert both["session", "lambdamart", "all"].queries == QUERIES
    serves = served(both, {"session": "lambdamart"})
    assert {part for _, model, part in serves if model == "blend"} == {
        part for _, model, part in scores["perfect"] if model == "blend"
    }, "those of the gate as well"
    assert mean(serves, "blend", "ndcg_10", "unseen") == mean(both, "lambdamart", "ndcg_10", "unseen")
    other = served(both, {"user": "lambdamart"})
    assert mean(other, "blend", "ndcg_10") == mean(both, "reciprocal_rank", "ndcg_10")


def test_a_generator_that_leads_is_what_the_gate_compares(scores: dict[str, Scores]) -> None:
    found = served(scores["useless"], {"session": "popularity"})
    for part in ("all", "unseen", "target:purchase"):
        assert mean(found, "blend", "ndcg_10", part) == mean(scores["useless"], "popularity", "ndcg_10", part)
    assert mean(found, "reciprocal_rank", "ndcg_10") == mean(scores["useless"], "blend", "ndcg_10") == 0


def test_rmse_by_hand(spark: SparkSession, duck: Connection, folders: dict[str, Path], tmp_path: Path) -> None:
    # All factors: user 0 is (1, 0), products are (2, 2), so that every prediction is 2.
    events = [
        (0, 100, "view", "10-02 10:00"),  # 1: an error of 1
        (1, 101, "purchase", "10-02 10:00"),  # 5: an error of 3
        (0, 102, "purchase", "10-01 10:00"),  # before the cut
        (0, 999, "purchase", "10-02 10:00"),  # no such product
        (9, 100, "purchase", "10-02 10:00"),  # no such user
    ]
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for number, some in enumerate((events[:2], events[2:])):
        relation = user_product_pairs(events_relation(duck, some), moment("10-03 00:00"), 7)
        write(relation, pairs / f"part-{number:05d}.parquet")
    cut, late = moment("10-02 00:00"), moment("10-03 00:00")
    assert rating_rmse(spark, pairs, cut, folders["perfect"], tmp_path / "one") == pytest.approx(((1 + 9) / 2) ** 0.5)
    assert rating_rmse(spark, pairs, late, folders["perfect"], tmp_path / "two") is None
