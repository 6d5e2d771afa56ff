"""K-Means by a sample: known clusters, few users, and the same answer in whatever order they come."""

import numpy as np
import pytest

from app.core.duck import Connection
from app.insight import clusters as module
from app.insight.clusters import clusters
from app.serve.segments import FEATURES
from tests.handmade import relation

COLUMNS = ", ".join(["user_id bigint", *(f"{name} double" for name in FEATURES)])


def rows(values: list[float]) -> list[tuple[float, ...]]:
    """A user for each value, whose features all have it."""
    return [(user, *[value] * len(FEATURES)) for user, value in enumerate(values)]


def test_two_clusters_have_their_means_and_silhouette(duck: Connection) -> None:
    found = clusters(relation(duck, rows([0.0, 2.0, 10.0, 14.0]), COLUMNS), 2, seed=1)
    assert sorted(found.centroids[:, 0]) == pytest.approx([1.0, 12.0])
    # (b - a) / b of each: own cluster 2, 2, 4, 4 away, the other 12, 10, 9, 13.
    assert found.silhouette == pytest.approx(np.mean([10 / 12, 8 / 10, 5 / 9, 9 / 13]))


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0, 3.0]])
def test_users_who_are_all_alike_are_one_cluster(duck: Connection, values: list[float]) -> None:
    found = clusters(relation(duck, rows(values), COLUMNS), 5, seed=1)
    assert found.centroids.tolist() == [[0.0] * len(FEATURES)]
    assert found.silhouette is None


def test_each_of_few_users_is_a_cluster(duck: Connection) -> None:
    found = clusters(relation(duck, rows([1.0, 2.0, 4.0]), COLUMNS), 5, seed=1)
    assert sorted(found.centroids[:, 0].tolist()) == [1.0, 2.0, 4.0]
    assert found.silhouette is None


def test_of_many_users_a_sample_decides_in_whatever_order_they_come(
    duck: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_USERS", 300)
    monkeypatch.setattr(module, "JUDGED_USERS", 100)
    rng = np.random.default_rng(1)
    users = rows((rng.integers(0, 3, 1_000) * 10 + rng.normal(size=1_000)).tolist())
    found = clusters(relation(duck, users, COLUMNS), 3, seed=1)
    again = clusters(relation(duck, users[::-1], COLUMNS), 3, seed=1)
    assert sorted(found.centroids[:, 0]) == pytest.approx([0, 10, 20], abs=0.3)
    assert (found.centroids.tolist(), found.silhouette) == (again.centroids.tolist(), again.silhouette)
    assert found.silhouette is not None
    assert found.silhouette > 0.7


@pytest.mark.parametrize("border", [3.0, 7.0])
def test_of_clusters_as_good_those_before_go_on(duck: Connection, border: float) -> None:
    """Three at even distances are two clusters in two ways."""
    users = relation(duck, rows([0.0, 5.0, 10.0]), COLUMNS)
    before = np.array([[min(border, 10 - border)] * len(FEATURES), [10.0] * len(FEATURES)])
    before = before if border < 5 else 10 - before[::-1]
    found = clusters(users, 2, seed=1, before=before)
    assert sorted(found.centroids[:, 0]) == ([2.5, 10.0] if border < 5 else [0.0, 7.5])


def test_those_before_do_not_go_on_where_others_are_better(duck: Connection) -> None:
    users = relation(duck, rows([0.0, 1.0, 10.0, 11.0, 100.0]), COLUMNS)
    before = np.array([[value] * len(FEATURES) for value in (0.0, 1.0, 40.0)])  # leads to 0, 1, and all others
    found = clusters(users, 3, seed=1, before=before)
    assert sorted(found.centroids[:, 0]) == pytest.approx([0.5, 10.5, 100.0])
