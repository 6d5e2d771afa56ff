"""The best rows of each group."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F


def best_of_each(frame: DataFrame, groups: list[str], order: list[Column | str], n: int) -> DataFrame:
    """The first n rows of each group, in an order that leaves no ties."""
    best_first = Window.partitionBy(*groups).orderBy(*order)
    return frame.withColumn("place", F.row_number().over(best_first)).where(F.col("place") <= n).drop("place")
