"""RFM: recency, frequency and money by quintiles, and the ten names that go with them."""

from app.core.duck import Relation, query
from app.insight.customer_results import RfmRow

#: Name by digits of recency and frequency, 5 the best; as in the usual charts.
NAMES = {
    "Hibernating": ("11", "12", "21", "22"),
    "At risk": ("13", "14", "23", "24"),
    "Can't lose": ("15", "25"),
    "About to sleep": ("31", "32"),
    "Need attention": ("33",),
    "Loyal customers": ("34", "35", "44", "45"),
    "Promising": ("41",),
    "New customers": ("51",),
    "Potential loyalists": ("42", "43", "52", "53"),
    "Champions": ("54", "55"),
}
#: From those to keep to those who are gone.
ORDER = (
    "Champions",
    "Loyal customers",
    "Potential loyalists",
    "New customers",
    "Promising",
    "Need attention",
    "About to sleep",
    "Can't lose",
    "At risk",
    "Hibernating",
)
FIFTHS = (1, 2, 3, 4)
MEASURES = ("recency", "frequency", "monetary_cents")
_NAME = "case r || f " + " ".join(
    f"when '{digits}' then '{name.replace(chr(39), chr(39) * 2)}'"
    for name, all_of in NAMES.items()
    for digits in all_of
)


def customer_totals(purchases: Relation, end: str) -> Relation:
    """What RFM looks at.

    Parameters
    ----------
    purchases
        `app.insight.purchases.orders`.
    end
        Day of the last event, like 2010-12-09.

    Returns
    -------
    Relation
        user_id, user_key, recency (days from the last purchase to the end), frequency (purchases), monetary_cents.
    """
    return query(
        f"""
        select user_id, max(user_key) as user_key, date_diff('day', max(ordered_on), date '{end}')::int as recency,
            count(*) as frequency, sum(cents)::bigint as monetary_cents
        from purchases group by user_id
        """,
        purchases=purchases,
    )


def fifths(totals: Relation) -> Relation:
    """Where quintiles end, exactly: measure, fifth (1 … 4), value and user_id of the last customer in it.

    Of those who have spent money, n, in the order of the measure and then of the user id: the k-th ends fifth j
    where k = 1 + (n - 1) j / 5, rounded down, as `pandas.qcut` of ranks cuts.

    Parameters
    ----------
    totals
        `customer_totals` of all parts.
    """
    ends = " union all ".join(
        f"""
        select '{measure}' as measure, fifth, value, user_id from (
            select {measure}::bigint as value, user_id,
                row_number() over (order by {measure}, user_id) as place, count(*) over () as n
            from totals where monetary_cents > 0
        ) join (select unnest({list(FIFTHS)}) as fifth) on place = 1 + (n - 1) * fifth // 5
        """
        for measure in MEASURES
    )
    return query(ends, totals=totals)


def scored(totals: Relation, ends: Relation) -> Relation:
    """Customers with their digits and name: user_id, user_key, recency, frequency, monetary, r, f, m, rfm.

    Customers of equal recency have the same digit; ties of frequency and money are cut by user id. `monetary` is in
    the shop's currency; digits are int, 5 the best. Digits and name are null for those who have not spent money.

    Parameters
    ----------
    totals
        `customer_totals` of a part.
    ends
        `fifths` of all.
    """
    cuts = query(
        """
        select list(value order by fifth) filter (measure = 'recency') as recencies,
            list((value, user_id) order by fifth) filter (measure = 'frequency') as frequencies,
            list((value, user_id) order by fifth) filter (measure = 'monetary_cents') as monies
        from ends
        """,
        ends=ends,
    )
    return query(
        f"""
        select user_id, user_key, recency, frequency, monetary_cents / 100 as monetary, r, f, m, {_NAME} end as rfm
        from totals left join (
            select user_id,
                5 - len(list_filter(recencies, lambda cut: recency > cut))::int as r,
                1 + len(list_filter(frequencies, lambda cut: (frequency, user_id) > cut))::int as f,
                1 + len(list_filter(monies, lambda cut: (monetary_cents, user_id) > cut))::int as m
            from totals, cuts where monetary_cents > 0
        ) using (user_id)
        """,
        totals=totals,
        cuts=cuts,
    )


def rfm_sums(customers: Relation) -> Relation:
    """Of `scored` of a part: rfm, customers, recency (sum of days), purchases, cents."""
    return customers.filter("rfm is not null").aggregate(
        "rfm, count(*) as customers, sum(recency)::bigint as recency, sum(frequency)::bigint as purchases, "
        "sum(round(monetary * 100)::bigint)::bigint as cents"
    )


def rfm_rows(sums: Relation) -> tuple[RfmRow, ...]:
    """Customers by name, in `ORDER`; from `rfm_sums` of all parts."""
    columns = ", ".join(f"sum({name})::bigint" for name in ("customers", "recency", "purchases", "cents"))
    found = {name: row for name, *row in sums.aggregate(f"rfm, {columns}").fetchall()}
    total = sum(row[0] for row in found.values())
    money = sum(row[3] for row in found.values())
    return tuple(
        RfmRow(
            name=name,
            customers=customers,
            share=customers / total,
            revenue=cents / 100,
            revenue_share=cents / money,
            mean_recency_days=recency / customers,
            mean_purchases=purchases / customers,
        )
        for name, (customers, recency, purchases, cents) in ((name, found[name]) for name in ORDER if name in found)
    )
