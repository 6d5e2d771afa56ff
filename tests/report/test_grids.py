"""Grids: what their axes say must be readable."""

from itertools import pairwise

import pytest

from app.report.grids import heatmap
from app.report.text import percent

CATEGORIES = [f"category {number}" for number in range(12)]


@pytest.mark.parametrize(("cols", "turned"), [(CATEGORIES, 30), (["view", "cart"], 0)])
def test_names_that_would_lie_upon_each_other_are_turned(cols: list[str], turned: int) -> None:
    figure = heatmap(CATEGORIES, cols, {(0, 0): 0.5}, "after", "before", percent)
    assert {label.get_rotation() for label in figure.axes[0].get_xticklabels()} == {turned}
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert turned or all(one.x1 < other.x0 for one, other in pairwise(boxes))
