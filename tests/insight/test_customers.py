"""RFM, lifecycle and cohorts, worked out by hand for a few customers."""

from datetime import date, timedelta
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.duck import Connection
from app.insight.cohorts import activity, cohort_counts, cohorts, lifecycle, lifecycle_counts
from app.insight.customer_results import Cohort, LifecycleRow
from app.insight.customers import find_customers
from app.insight.purchases import by_day, orders
from app.insight.rfm import NAMES, ORDER, customer_totals, fifths, rfm_rows, rfm_sums, scored
from tests.handmade import Event, by_key, events_relation, relation, stored_events

#: Of 2019, from Tuesday, 1 October, to Wednesday, 23 October: four calendar weeks, the last one cut off.
EVENTS: list[Event] = [
    (1, 7, "view", "10-01 08:00"),
    (1, 7, "purchase", "10-01 09:00", {"price": 5.0, "order_id": "a", "quantity": 2.0}),
    (1, 8, "purchase", "10-01 09:00", {"price": 1.0, "order_id": "a"}),
    (1, 8, "purchase", "10-01 20:00", {"price": 2.0, "order_id": "b"}),
    (1, 7, "purchase", "10-09 09:00", {"price": 5.0}),
    (1, 8, "purchase", "10-09 23:00", {"price": 5.0}),
    (2, 7, "view", "10-03 09:00"),
    (2, 7, "purchase", "10-15 09:00", {"price": None}),
    (3, 7, "view", "10-08 09:00"),
    (4, 7, "view", "10-02 09:00"),
    (4, 7, "view", "10-23 09:00"),
]
FIRST, LAST = date(2019, 10, 1), date(2019, 10, 23)
WEEKS = [date(2019, 9, 30), date(2019, 10, 7), date(2019, 10, 14), date(2019, 10, 21)]


def test_lines_of_an_order_or_of_a_day_are_one_purchase(duck: Connection) -> None:
    found = orders(events_relation(duck, EVENTS)).order("user_id, ordered_on, cents").fetchall()
    assert [(user, day.isoformat(), cents) for user, _, day, cents in found] == [
        (1, "2019-10-01", 200),
        (1, "2019-10-01", 1100),
        (1, "2019-10-09", 1000),
        (2, "2019-10-15", 0),
    ]


def test_a_table_cleaned_before_orders_were_known_goes_by_days(duck: Connection) -> None:
    events = events_relation(duck, EVENTS).select("* exclude (order_id)")
    assert sorted(cents for *_, cents in orders(events).fetchall()) == [0, 1000, 1300]


def test_days_are_numbered_from_a_monday(duck: Connection) -> None:
    (found,) = by_day(
        relation(duck, [(1, date(1970, 1, 12), 5)], "user_id bigint, ordered_on date, cents bigint")
    ).fetchall()
    assert found == (1, 7, 5)


def test_only_who_spent_has_digits(duck: Connection) -> None:
    totals = customer_totals(orders(events_relation(duck, EVENTS)), "2019-10-23")
    assert sorted(totals.fetchall()) == [(1, None, 14, 3, 2300), (2, None, 8, 1, 0)]
    customers = by_key(scored(totals, fifths(totals)), "user_id")
    assert [customers[1][name] for name in ("monetary", "r", "f", "m", "rfm")] == [23.0, 5, 1, 1, "New customers"]
    assert [customers[2][name] for name in ("monetary", "r", "f", "m", "rfm")] == [0.0, None, None, None, None]
    assert [row.customers for row in rfm_rows(rfm_sums(scored(totals, fifths(totals))))] == [1]


def test_every_pair_of_digits_has_one_name() -> None:
    assert sorted(digits for all_of in NAMES.values() for digits in all_of) == sorted(
        f"{r}{f}" for r, f in product("12345", repeat=2)
    )
    assert set(ORDER) == set(NAMES)


@pytest.mark.parametrize("customers", [2, 3, 5, 6, 9, 10, 11, 333])
def test_quintiles_are_those_of_the_usual_tutorials(duck: Connection, customers: int) -> None:
    """`qcut` of pandas: of recency as it is, of frequency and money by rank, ties by user id."""
    rng = np.random.default_rng(customers)
    table = pd.DataFrame(
        {
            "user_id": rng.permutation(customers),
            "user_key": None,
            "recency": rng.integers(0, 40, customers),
            "frequency": rng.integers(1, 4, customers),
            "monetary_cents": rng.integers(1, 30, customers),
        }
    ).sort_values("user_id")
    totals = duck.from_df(table.astype({"user_key": str}))
    found = scored(totals, fifths(totals)).order("user_id").fetchnumpy()
    ranks = {name: table[name].rank(method="first") for name in ("frequency", "monetary_cents")}
    assert found["f"].tolist() == (pd.qcut(ranks["frequency"], 5, labels=False) + 1).tolist()
    assert found["m"].tolist() == (pd.qcut(ranks["monetary_cents"], 5, labels=False) + 1).tolist()
    edges = np.quantile(table["recency"], [0.2, 0.4, 0.6, 0.8])
    assert found["r"].tolist() == [5 - int((edges < days).sum()) for days in table["recency"]]


def test_names_are_summed_up(duck: Connection) -> None:
    """Of two customers, one long gone with one purchase, and one who bought today, and often."""
    columns = "user_id bigint, user_key varchar, recency int, frequency bigint, monetary_cents bigint"
    totals = relation(duck, [(1, None, 30, 1, 1000), (2, None, 0, 9, 3000)], columns)
    customers = scored(totals, fifths(totals))
    champion, gone = rfm_rows(rfm_sums(customers).union(rfm_sums(customers.filter("false"))))
    assert (gone.name, gone.customers, gone.revenue, gone.mean_recency_days) == ("Hibernating", 1, 10, 30)
    assert (champion.name, champion.share, champion.revenue_share, champion.mean_purchases) == (
        "Champions",
        0.5,
        0.75,
        9,
    )


def test_cohorts_end_with_the_data_and_hold_noughts_before(duck: Connection) -> None:
    """Users 1, 2, 4 begin in the first week, 3 in the second; nobody in the third and fourth."""
    counts = cohort_counts(activity(events_relation(duck, EVENTS)), "week")
    visits = cohorts(counts, "visits", "week", FIRST, LAST)
    assert visits.rows == (
        Cohort(start=WEEKS[0], users=(3, 1, 1, 1)),
        Cohort(start=WEEKS[1], users=(1, 0, 0)),
        Cohort(start=WEEKS[2], users=(0, 0)),
        Cohort(start=WEEKS[3], users=(0,)),
    )
    assert not visits.last_is_whole
    purchases = cohorts(counts, "purchases", "week", FIRST, LAST)
    assert [row.users for row in purchases.rows] == [(1, 1, 0, 0), (0, 0, 0), (1, 0), (0,)]


def test_cohorts_by_month(duck: Connection) -> None:
    events: list[Event] = [(1, 7, "view", "01-31 08:00"), (1, 7, "view", "03-01 08:00"), (2, 7, "view", "02-28 08:00")]
    counts = cohort_counts(activity(events_relation(duck, events)), "month")
    found = cohorts(counts, "visits", "month", date(2019, 1, 31), date(2019, 3, 31))
    assert [row.users for row in found.rows] == [(1, 0, 1), (1, 0), (0,)]
    assert found.last_is_whole


def test_lifecycle_by_week(duck: Connection) -> None:
    """1: there, there, gone. 2: there, gone, back, gone. 3: new in week 2, gone. 4: there, gone, gone, back."""
    counts = lifecycle_counts(activity(events_relation(duck, EVENTS)), LAST)
    found = lifecycle(counts, "visits", FIRST, LAST)
    assert found.weeks == (
        LifecycleRow(week=WEEKS[0], new=3, returning=0, resurrected=0, dormant=0),
        LifecycleRow(week=WEEKS[1], new=1, returning=1, resurrected=0, dormant=2),
        LifecycleRow(week=WEEKS[2], new=0, returning=0, resurrected=1, dormant=2),
        LifecycleRow(week=WEEKS[3], new=0, returning=0, resurrected=1, dormant=1),
    )
    assert not found.last_is_whole


@pytest.mark.parametrize("weekday", range(7))
def test_fourteen_days_have_a_whole_week_besides_the_first(duck: Connection, weekday: int) -> None:
    """On whatever day they begin: the demo's first training has something to show of it."""
    first = date(2019, 9, 30) + timedelta(days=weekday)
    counts = lifecycle_counts(activity(events_relation(duck, EVENTS)), first + timedelta(days=13))
    found = lifecycle(counts, "visits", first, first + timedelta(days=13))
    assert found.weeks[1:] if found.last_is_whole else found.weeks[1:-1]


def test_parts_are_put_together(spark: SparkSession, tmp_path: Path) -> None:
    found = find_customers(spark, stored_events(tmp_path / "events", EVENTS), tmp_path / "customers")
    assert [(row.name, row.customers) for row in found.figures.rfm] == [("New customers", 1)]
    assert found.figures.cohorts[0].rows[0].users == (3, 1, 1, 1)
    assert found.figures.lifecycle[1].weeks[0].new == 1
    table = pq.read_table(found.table).to_pylist()
    assert [(row["user_id"], row["frequency"], row["rfm"], row["p_alive"]) for row in table] == [
        (2, 1, None, None),
        (1, 3, "New customers", None),
    ]
    value = found.figures.value
    assert value is not None
    assert (value.rows[0].name, value.rows[0].customers, value.rows[0].p_alive) == ("All customers", 2, None)
    assert value.bg_nbd.not_identified is not None
    assert (value.holdout.customers, value.holdout.made) == (2, 0)


def test_where_nobody_buys_there_are_visits_alone(spark: SparkSession, tmp_path: Path) -> None:
    looked: list[Event] = [(1, 7, "view", "10-01 08:00"), (2, 7, "view", "10-08 08:00"), (1, 7, "cart", "10-08 09:00")]
    found = find_customers(spark, stored_events(tmp_path / "events", looked), tmp_path / "customers").figures
    assert (found.rfm, found.value) == ((), None)
    visits, purchases = found.cohorts
    assert [row.users for row in visits.rows] == [(1, 1), (1,)]
    assert [row.users for row in purchases.rows] == [(0, 0), (0,)]
