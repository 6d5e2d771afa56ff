"""Buying histories: what the models of value need to know of each customer, and counts of equal ones.

Of customers, only counts leave a part: for BG/NBD of exactly equal histories, for Gamma-Gamma of repeat buyers whose
purchases are equally many and whose mean spend is within 0.1 %.
"""

from math import log1p

import numpy as np

from app.core.duck import Relation, query
from app.insight.bg_nbd import Histories
from app.insight.gamma_gamma import Spending

SPEND_BIN = 0.001  #: relative width; with mean and mean logarithm kept, the log-likelihood is off by 1e-7 a customer


def buying_histories(purchases: Relation, end: int) -> Relation:
    """One row per customer.

    Parameters
    ----------
    purchases
        user_id, period (bigint, a day or a week by number), cents (bigint): several of one period are one purchase.
    end
        The last period that is looked at, whole.

    Returns
    -------
    Relation
        user_id, frequency (purchases after the first), recency (periods from the first to the last), age (periods
        from the first to the end), repeat_cents (spent after the first purchase).
    """
    return query(
        f"""
        with once as (
            select user_id, period, sum(cents)::bigint as cents from purchases where period <= {end}
            group by user_id, period
        )
        select user_id, count(*) - 1 as frequency, max(period) - min(period) as recency, {end} - min(period) as age,
            (sum(cents) - arg_min(cents, period))::bigint as repeat_cents
        from once group by user_id
        """,
        purchases=purchases,
    )


def later_purchases(purchases: Relation, end: int) -> Relation:
    """What the customers of `buying_histories` bought after the end: user_id, later (purchases; 0 is there too)."""
    return query(
        f"""
        select user_id, count(distinct period) filter (period > {end}) as later from purchases
        group by user_id having min(period) <= {end}
        """,
        purchases=purchases,
    )


def history_counts(histories: Relation) -> Relation:
    """How many customers have the same history: frequency, recency, age, customers."""
    return histories.aggregate("frequency, recency, age, count(*) as customers")


def later_counts(histories: Relation, later: Relation) -> Relation:
    """`history_counts` with what these customers bought afterwards: frequency, recency, age, customers, later."""
    return query(
        """
        select frequency, recency, age, count(*) as customers, sum(later)::bigint as later
        from histories join later using (user_id) group by all
        """,
        histories=histories,
        later=later,
    )


def spending_counts(histories: Relation) -> Relation:
    """Repeat buyers who spent something, similar ones together: purchases, spend_bin, mean, log_mean, customers.

    `mean` is in whole currency, and so is what `log_mean` is the logarithm of.
    """
    return query(
        f"""
        with spent as (
            select frequency as purchases, repeat_cents / 100 / frequency as mean from histories
            where frequency > 0 and repeat_cents > 0
        )
        select purchases, floor(ln(mean) / {log1p(SPEND_BIN)!r}::double)::bigint as spend_bin,
            favg(mean) as mean, favg(ln(mean)) as log_mean, count(*) as customers
        from spent group by purchases, spend_bin
        """,
        histories=histories,
    )


def histories_of(counts: Relation, unit: float) -> Histories:
    """`history_counts` of one or all parts, as arrays; so many periods are one unit of time."""
    rows = counts.aggregate("frequency, recency, age, sum(customers)::bigint as customers")
    frequency, recency, age, customers = _columns(rows.order("frequency, recency, age"))
    return Histories(frequency, recency / unit, age / unit, customers)


def spending_of(counts: Relation) -> Spending:
    """`spending_counts` of one or all parts, as arrays."""
    means = ", ".join(f"fsum({name} * customers) / sum(customers) as {name}" for name in ("mean", "log_mean"))
    rows = counts.aggregate(f"purchases, spend_bin, {means}, sum(customers)::bigint as customers")
    purchases, _, mean, log_mean, customers = _columns(rows.order("purchases, spend_bin"))
    return Spending(purchases, mean, log_mean, customers)


def _columns(rows: Relation) -> list[np.ndarray]:
    found = rows.fetchnumpy()
    return [np.asarray(found[name], np.float64) for name in rows.columns]
