"""The event archive of a stream: events as they came, under our names, for the next training."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.events.layout import Columns, Layout
from app.events.vocabulary import EXTRA_COLUMNS, RAW_COLUMNS

ARCHIVE_SCHEMA = T.StructType(
    [
        T.StructField("event_time", T.TimestampType()),
        T.StructField("event_type", T.StringType()),
        T.StructField("product_id", T.LongType()),
        T.StructField("category_id", T.LongType()),
        T.StructField("category_code", T.StringType()),
        T.StructField("brand", T.StringType()),
        T.StructField("price", T.DoubleType()),  # as listed
        T.StructField("user_id", T.LongType()),
        T.StructField("user_session", T.StringType()),
        T.StructField("quantity", T.DoubleType()),
        T.StructField("user_key", T.StringType()),
        T.StructField("product_key", T.StringType()),
        T.StructField("event_id", T.StringType()),
        T.StructField("recommendation_id", T.StringType()),
    ]
)

#: How an archive is read back: all its values are ours already.
ARCHIVED = Layout(
    columns=Columns(**{name: name for name in (*RAW_COLUMNS, *EXTRA_COLUMNS) if name in ARCHIVE_SCHEMA.names})
)


def with_keys(rows: DataFrame) -> DataFrame:
    """Rows of an archive with the shop's own ids, where there are any, in place of their numbers."""
    keys = {"product_id": "product_key", "user_id": "user_key"}
    return rows.withColumns({id: F.coalesce(key, F.col(id).cast("string")) for id, key in keys.items()})
