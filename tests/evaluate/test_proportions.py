"""Intervals of shares: known answers, and what must hold of all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.evaluate.proportions import FEWEST, Difference, Share


def test_wilsons_interval_is_the_one_in_books() -> None:
    share = Share.of(10, 100)
    assert (share.rate, round(share.low, 4), round(share.high, 4)) == (0.1, 0.0552, 0.1744)
    assert str(share) == "10.00% (5.52% to 17.44%)"
    assert str(Share.of(0, 0)) == "none"


def test_newcombes_interval_is_the_one_he_published() -> None:
    """Newcombe 1998, Interval estimation for the difference between independent proportions, 56/70 - 48/80."""
    difference = Difference.of(Share.of(56, 70), Share.of(48, 80))
    assert (round(difference.low, 4), round(difference.high, 4)) == (0.0524, 0.3339)
    assert difference.verdict == "challenger better"
    assert str(difference) == "+20.00% (+5.24% to +33.39%): challenger better"


@pytest.mark.parametrize(
    ("challenger", "champion", "verdict"),
    [
        ((48, 80), (56, 70), "champion better"),
        ((50, 100), (51, 100), "no difference seen"),
        ((FEWEST - 1, 30), (900, 30_000), "too few data: 29 of 30"),
        ((0, 0), (900, 30_000), "too few data: 0 of 30"),
    ],
)
def test_what_is_said(challenger: tuple[int, int], champion: tuple[int, int], verdict: str) -> None:
    assert Difference.of(Share.of(*challenger), Share.of(*champion)).verdict == verdict


COUNTS = st.integers(0, 500).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole)))


@settings(deadline=None, max_examples=50)
@given(COUNTS, COUNTS)
def test_an_interval_holds_its_figure_and_turns_with_the_sides(one: tuple[int, int], other: tuple[int, int]) -> None:
    shares = [Share.of(*one), Share.of(*other)]
    for share in shares:
        assert 0 <= share.low <= share.rate <= share.high <= 1
    difference, turned = Difference.of(*shares), Difference.of(*shares[::-1])
    assert difference.low <= difference.difference <= difference.high
    assert turned.low == pytest.approx(-difference.high)
