"""The number of segments: of clear groups as many as there are, and it stays where another is hardly better."""

import numpy as np
import pytest

from app.insight.how_many import AS_GOOD, STABLE, choose, try_numbers
from app.insight.results import TriedNumber


def groups(number: int, spread: float = 0.3) -> np.ndarray:
    """Users around so many points on a circle of radius 10."""
    rng = np.random.default_rng(3)
    angle = rng.integers(0, number, 1_500) * 2 * np.pi / number
    return 10 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(scale=spread, size=(1_500, 2))


@pytest.mark.parametrize("number", [2, 4, 7])
def test_clear_groups_are_counted(number: int) -> None:
    found = try_numbers(groups(number), seed=1)
    assert choose(found, None) == number
    row = next(row for row in found if row.segments == number)
    assert row.stability == pytest.approx(1.0)
    assert row.silhouette is not None
    assert row.silhouette > 0.9
    assert found == try_numbers(groups(number), seed=1)


def test_too_many_are_not_found_again() -> None:
    found = {row.segments: row for row in try_numbers(groups(4), seed=1)}
    assert found[4].stability > STABLE
    assert found[7].stability < found[4].stability


@pytest.mark.parametrize("users", [np.empty((0, 2)), np.zeros((50, 2)), np.eye(2)])
def test_of_too_few_users_none_is_tried(users: np.ndarray) -> None:
    assert try_numbers(users, seed=1) == ()
    assert choose((), 4) == 1


def tried(*rows: tuple[int, float, float]) -> tuple[TriedNumber, ...]:
    return tuple(TriedNumber(segments=k, silhouette=apart, stability=stable) for k, apart, stable in rows)


@pytest.mark.parametrize(
    ("rows", "before", "number"),
    [
        ([(2, 0.5, 0.7), (3, 0.4, 0.9), (4, 0.3, 0.9)], None, 3),  # two are better apart, but not found again
        ([(2, 0.5, 0.7), (3, 0.4, 0.79), (4, 0.3, 0.75)], None, 3),  # none is found again: the one that is most
        ([(3, 0.4, 0.9), (4, 0.39, 0.9)], 4, 4),
        ([(3, 0.4, 0.9), (4, 0.4 - AS_GOOD, 0.9)], 4, 3),
        ([(3, 0.4, 0.9), (4, 0.39, 0.5)], 4, 3),
    ],
)
def test_choice(rows: list[tuple[int, float, float]], before: int | None, number: int) -> None:
    assert choose(tried(*rows), before) == number
