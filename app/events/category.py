"""The category used in charts and lists."""

from pyspark.sql import Column
from pyspark.sql import functions as F


def main_category() -> Column:
    """The first part of `category_code`."""
    return F.split_part("category_code", F.lit("."), F.lit(1)).alias("main_category")
