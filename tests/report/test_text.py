"""How numbers are written."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.report import text


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (text.count(42448764), "42,448,764"),
        (text.count(None), "–"),
        (text.decimal(1234.5), "1,234.50"),
        (text.decimal(math.nan), "–"),
        (text.percent(0.961), "96.1%"),
        (text.percent(0.0175), "1.75%"),
        (text.percent(0), "0%"),
        (text.percent(1), "100%"),
        (text.percent(0.9997), ">99.9%"),
        (text.percent(0.00000005), "<0.01%"),
        (text.percent_tick(0.15), "15%"),
        (text.compact(1234567), "1.23M"),
        (text.compact(999.9), "1k"),
        (text.compact(999_900), "1M"),
        (text.compact(0.0251), "0.0251"),
        (text.duration(12.34), "12.3 s"),
        (text.duration(125.4), "2 min 05 s"),
        (text.duration(179.6), "3 min 00 s"),
        (text.duration(7199.6), "2 h 00 min"),
        (text.duration(7384), "2 h 03 min"),
        (text.words("remove_from_cart"), "remove from cart"),
        (text.label("a" * 40), "a" * 27 + "…"),
        (text.label("a\nb\x00"), "a b "),
    ],
)
def test_written(written: str, wanted: str) -> None:
    assert written == wanted


@given(st.floats(-1e300, 1e300) | st.sampled_from([math.nan, math.inf, -math.inf, None]))
def test_any_number_is_written(value: float | None) -> None:
    for form in (text.count, text.decimal, text.compact, text.percent, text.percent_tick, text.duration):
        written = form(value)
        assert written
        assert "nan" not in written
        assert "inf" not in written
