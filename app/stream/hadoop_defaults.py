"""Hadoop's defaults of YARN and MapReduce, which no stream asks for and every micro-batch carries along."""

from pyspark.sql import SparkSession

UNUSED = r"^(yarn|mapreduce)\.(?!fileoutputcommitter\.)"  #: Spark itself sets those of the committer
#: Defaults that come later would bring back what was dropped.
LOAD_DEFAULTS = ("org.apache.hadoop.mapred.JobConf", "org.apache.hadoop.hdfs.HdfsConfiguration")
SPARK_HADOOP = "spark.hadoop."  #: begins the names of what users set


def drop_unused(spark: SparkSession) -> None:
    """Take two thirds out of the settings of Hadoop that Spark hands to the tasks of a micro-batch.

    It does so for the files and, twice, for the state, and compresses each of some 1,150 settings by itself: 11 ms
    each time on a slow core, and 5 without these.
    """
    context, jvm = spark.sparkContext, spark.sparkContext._jvm
    assert jvm is not None
    for name in LOAD_DEFAULTS:
        jvm.java.lang.Class.forName(name)
    configuration = context._jsc.hadoopConfiguration()
    ours = {name.removeprefix(SPARK_HADOOP) for name, _ in context.getConf().getAll()}
    names = jvm.java.lang.String.join("\n", configuration.getValByRegex(UNUSED).keySet())
    for name in {*names.splitlines()} - ours:
        configuration.unset(name)
