"""The funnel view → cart → purchase, by session, and weekly cohorts of users."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.events.vocabulary import CART, PURCHASE, VIEW
from app.insight.results import CohortCell, Funnel, FunnelStep


def funnel(sessions: DataFrame) -> Funnel:
    """How many sessions reach each step.

    A step counts when the session has it and all steps before: sessions with a view; of those
    with a cart event; of those with a purchase. Purchases without a cart event are told apart.

    Parameters
    ----------
    sessions
        `session_table`.
    """
    viewed, carted, bought = (F.col(name) > 0 for name in ("views", "carts", "purchases"))
    row = sessions.agg(
        F.count_if(viewed).alias(VIEW),
        F.count_if(viewed & carted).alias(CART),
        F.count_if(viewed & carted & bought).alias(PURCHASE),
        F.count_if(bought).alias("buying"),
        F.count_if(bought & ~carted).alias("direct"),
    ).first()
    assert row is not None
    steps = tuple(
        FunnelStep(step=name, sessions=row[name], share=row[name] / row[VIEW] if row[VIEW] else 0.0)
        for name in (VIEW, CART, PURCHASE)
    )
    direct = row["direct"] / row["buying"] if row["buying"] else 0.0
    return Funnel(steps=steps, buying_sessions=row["buying"], direct_purchase_share=direct)


def weekly_cohorts(sessions: DataFrame) -> tuple[CohortCell, ...]:
    """Of the users first seen in a week, how many were back in the weeks after, by cohort and week."""
    weeks = sessions.select("user_id", F.date_trunc("week", "start").cast("date").alias("active")).distinct()
    first = weeks.groupBy("user_id").agg(F.min("active").alias("cohort"))
    counts = (
        weeks.join(first, "user_id", how="inner")
        .groupBy(
            "cohort",
            (F.date_diff("active", "cohort") / 7).cast("int").alias("week"),
        )
        .agg(F.count("*").alias("users"))
        .orderBy("cohort", "week")
        .collect()
    )
    sizes = {row["cohort"]: row["users"] for row in counts if row["week"] == 0}
    return tuple(CohortCell(**row.asDict(), share=row["users"] / sizes[row["cohort"]]) for row in counts)
