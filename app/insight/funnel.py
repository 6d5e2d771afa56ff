"""The funnel view → cart → purchase, by session, and weekly cohorts of users."""

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def funnel(sessions: DataFrame) -> dict[str, Any]:
    """How many sessions reach each step.

    A step counts when the session has it and all steps before: sessions with a view; of those
    with a cart event; of those with a purchase. Purchases without a cart event are told apart.

    Parameters
    ----------
    sessions
        `session_table`.

    Returns
    -------
    dict
        `funnel` (step, sessions, share of the first step), `buying_sessions` and
        `direct_purchase_share`, the share of buying sessions without a cart event.
    """
    viewed, carted, bought = (F.col(name) > 0 for name in ("views", "carts", "purchases"))
    row = sessions.agg(
        F.count_if(viewed).alias("view"),
        F.count_if(viewed & carted).alias("cart"),
        F.count_if(viewed & carted & bought).alias("purchase"),
        F.count_if(bought).alias("buying"),
        F.count_if(bought & ~carted).alias("direct"),
    ).first()
    assert row is not None
    steps = [
        {"step": name, "sessions": row[name], "share": row[name] / row["view"] if row["view"] else 0.0}
        for name in ("view", "cart", "purchase")
    ]
    direct = row["direct"] / row["buying"] if row["buying"] else 0.0
    return {"funnel": steps, "buying_sessions": row["buying"], "direct_purchase_share": direct}


def weekly_cohorts(sessions: DataFrame) -> list[dict[str, Any]]:
    """Of the users first seen in a week, how many were back in the weeks after.

    Returns
    -------
    list of dict
        cohort (Monday of the first week), week (0, 1, …), users, share of the cohort.
    """
    weeks = sessions.select("user_id", F.date_trunc("week", "start").cast("date").alias("active")).distinct()
    first = weeks.groupBy("user_id").agg(F.min("active").alias("cohort"))
    counts = (
        weeks.join(first, "user_id", how="inner")
        .groupBy(
            F.col("cohort").cast("string").alias("cohort"),
            (F.date_diff("active", "cohort") / 7).cast("int").alias("week"),
        )
        .agg(F.count("*").alias("users"))
        .orderBy("cohort", "week")
        .collect()
    )
    sizes = {row["cohort"]: row["users"] for row in counts if row["week"] == 0}
    return [{**row.asDict(), "share": row["users"] / sizes[row["cohort"]]} for row in counts]
