"""Buying histories of five customers, worked out by hand; what bins do to a fit."""

import numpy as np
import pyarrow as pa
import pytest

from app.core.duck import Connection
from app.insight.gamma_gamma import MAX_CORRELATION, fit_gamma_gamma
from app.insight.histories import (
    buying_histories,
    histories_of,
    history_counts,
    later_purchases,
    spending_counts,
    spending_of,
)
from app.insight.likelihood import NotIdentified
from tests.handmade import by_key, relation
from tests.insight.spending import exact

COLUMNS = "user_id bigint, period bigint, cents bigint"
#: The data end with day 30. User 1 buys three times on three days, twice on one of them; 2 once; 3 as 1 but in money;
#: 4 spends nothing the second time; 5 begins after the end.
PURCHASES = [
    (1, 2, 500),
    (1, 9, 1000),
    (1, 9, 200),
    (1, 16, 800),
    (1, 31, 100),
    (2, 30, 700),
    (3, 2, 100),
    (3, 9, 3000),
    (3, 16, 1000),
    (4, 3, 400),
    (4, 13, 0),
    (4, 40, 100),
    (4, 41, 100),
    (5, 31, 100),
]


def test_a_history_is_of_the_days_up_to_the_end(duck: Connection) -> None:
    found = by_key(buying_histories(relation(duck, PURCHASES, COLUMNS), 30), "user_id")
    columns = ("frequency", "recency", "age", "repeat_cents")
    assert {user: tuple(row[name] for name in columns) for user, row in found.items()} == {
        1: (2, 14, 28, 2000),
        2: (0, 0, 0, 0),
        3: (2, 14, 28, 4000),
        4: (1, 10, 27, 0),
    }


def test_later_purchases_are_of_customers_known_before(duck: Connection) -> None:
    found = by_key(later_purchases(relation(duck, PURCHASES, COLUMNS), 30), "user_id")
    assert {user: row["later"] for user, row in found.items()} == {1: 1, 2: 0, 3: 0, 4: 2}


def test_equal_histories_are_counted_together_in_weeks(duck: Connection) -> None:
    counts = history_counts(buying_histories(relation(duck, PURCHASES, COLUMNS), 30))
    found = histories_of(counts.union(counts), unit=7)  # as if of two parts
    assert found.frequency.tolist() == [0, 1, 2]
    assert found.recency == pytest.approx([0, 10 / 7, 2])
    assert found.age == pytest.approx([0, 27 / 7, 4])
    assert found.customers.tolist() == [2, 2, 4]


def test_spending_is_of_repeat_purchases_that_brought_money(duck: Connection) -> None:
    found = spending_of(spending_counts(buying_histories(relation(duck, PURCHASES, COLUMNS), 30)))
    assert found.purchases.tolist() == [2, 2]
    assert found.mean == pytest.approx([10, 20])
    assert found.customers.tolist() == [1, 1]


def test_bins_leave_the_fit_as_it_is(duck: Connection) -> None:
    rng = np.random.default_rng(11)
    repeats = rng.integers(1, 6, 3_000)
    cents = np.round(100 * rng.gamma(5 * repeats) / rng.gamma(4, 1 / 12.0, 3_000)).astype(int)
    rows = [(user, 0, 1) for user in range(3_000)]
    rows += [(user, day + 1, int(c) if day == 0 else 0) for user, c in enumerate(cents) for day in range(repeats[user])]
    columns = [pa.array(column, pa.int64()) for column in zip(*rows, strict=True)]
    table = duck.from_arrow(pa.table(columns, ["user_id", "period", "cents"]))
    binned = spending_of(spending_counts(buying_histories(table, 10)))
    each = exact(repeats.astype(float), cents / 100 / repeats)
    assert len(binned.mean) < len(each.mean)
    assert binned.correlation == pytest.approx(each.correlation, abs=1e-6)
    assert each.correlation is not None
    assert abs(each.correlation) < MAX_CORRELATION
    both = [fit_gamma_gamma(spending) for spending in (binned, each)]
    estimates = [found[1] for found in both if not isinstance(found, NotIdentified)]
    assert len(estimates) == 2
    assert estimates[0].parameters == pytest.approx(estimates[1].parameters, rel=1e-4)
    assert estimates[0].log_likelihood == pytest.approx(estimates[1].log_likelihood, abs=1e-3)


def test_a_correlation_by_hand() -> None:
    """1, 2, 3 purchases of 1, 2, 3: all in line. Two customers alike have none."""
    line = np.array([1.0, 2.0, 3.0])
    assert exact(line, line).correlation == pytest.approx(1)
    assert exact(line[:1], line[:1]).correlation is None
