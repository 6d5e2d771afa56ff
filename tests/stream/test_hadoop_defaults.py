"""Hadoop's defaults that a stream's micro-batches do without."""

from pathlib import Path

import pytest
from pyspark import SparkConf
from pyspark.sql import SparkSession

from app.stream.hadoop_defaults import UNUSED, drop_unused

COMMITTER = "mapreduce.fileoutputcommitter.algorithm.version"
OURS = "yarn.of.a.user"


def test_defaults_go_and_stay_away(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = spark.sparkContext
    configuration = context._jsc.hadoopConfiguration()
    committer = configuration.get(COMMITTER)
    configuration.set(OURS, "1")
    monkeypatch.setattr(context, "_conf", SparkConf(loadDefaults=False).set(f"spark.hadoop.{OURS}", "1"))
    try:
        drop_unused(spark)
        spark.range(3).write.parquet(str(tmp_path / "rows"))
        assert spark.read.parquet(str(tmp_path / "rows")).count() == 3
        handed_on = spark._jsparkSession.sessionState().newHadoopConf()
        assert {*handed_on.getValByRegex(UNUSED)} == {OURS}
        assert handed_on.size() < 600  # of some 1,150
        assert configuration.get(COMMITTER) == committer is not None
    finally:
        configuration.unset(OURS)
