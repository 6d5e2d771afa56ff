"""What purchases bring in: price × quantity, in whole hundredths so that the order of rows can't matter."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from app.events.vocabulary import PURCHASE


def revenue_cents() -> Column:
    """Revenue of an event in hundredths of the shop's currency; null unless a purchase with a known price.

    An events table without quantities counts one of each.
    """
    amount = F.col("price") * F.coalesce("quantity", F.lit(1.0))
    return F.when(F.col("event_type") == PURCHASE, F.round(amount * 100).cast("long"))


#: The same in SQL.
REVENUE_CENTS = f"case when event_type = '{PURCHASE}' then round(price * coalesce(quantity, 1.0) * 100)::bigint end"
