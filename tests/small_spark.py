"""Spark set for tables of a few rows, as an environment of the processes that start it."""

from pathlib import Path

SMALL_SPARK = {"SPARK_CONF_DIR": str(Path(__file__).with_name("spark"))}
