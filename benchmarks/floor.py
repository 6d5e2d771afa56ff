"""Spark's own floor under a training: the text read, shuffled by user, written as Parquet, and nothing else.

    python benchmarks/floor.py --events four.synthetic.csv --output floor

In a session as a training has it. Ends with one JSON line: seconds in all and by stage (the start of Java is one).
"""

import argparse
import json

from arguments import file, new_folder
from brief_tables import SCHEMA
from stopwatch import Stopwatch

from app.core.settings import load_settings
from app.core.spark import create_session, end_session, for_throughput, shuffle_partitions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=file, required=True, help="a log in the layout of REES46 (CSV)")
    parser.add_argument("--output", type=new_folder, required=True, help="folder for the table; it must not exist")
    asked = parser.parse_args()
    watch = Stopwatch()
    spark = create_session(load_settings(), "floor", for_throughput())
    watch.lap("start")
    parts = shuffle_partitions(asked.events.stat().st_size, spark.sparkContext.defaultParallelism)
    rows = spark.read.schema(SCHEMA).csv(str(asked.events), header=True)
    rows.repartition(parts, "user_id").write.parquet(str(asked.output))
    watch.lap("read, shuffle, write")
    end_session(spark)
    print(json.dumps({"seconds": watch.seconds, "stages": watch.stages}))


if __name__ == "__main__":
    main()
