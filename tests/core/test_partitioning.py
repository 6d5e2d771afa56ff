"""Rows go where Spark sends them."""

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from app.core.partitioning import part_of


def test_integers_go_where_spark_sends_them(spark: SparkSession) -> None:
    edges = [0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63 - 1, -(2**63), 42, 547_438_920]
    numbers = np.concatenate([edges, np.random.default_rng(7).integers(-(2**63), 2**63 - 1, 500)])
    frame = spark.createDataFrame([(int(number),) for number in numbers], "number long")
    for parts in (1, 7, 8):
        sent = frame.repartition(parts, "number").select("number", F.spark_partition_id().alias("part")).collect()
        expected = {row.number: row.part for row in sent}
        assert [*part_of(numbers, parts)] == [expected[int(number)] for number in numbers]
