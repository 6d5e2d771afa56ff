"""What makes trainings of a few rows short, as an environment of the processes that tests start."""

from pathlib import Path

#: Spark set for such tables.
SMALL_SPARK = {"SPARK_CONF_DIR": str(Path(__file__).with_name("spark"))}
#: Size proves nothing in most tests: these leave every step of a training.
SMALL_MODELS = {
    "VITRINE_BOOTSTRAP": "20",
    "VITRINE_ALS_ITERATIONS": "3",
    "VITRINE_EVALUATION_QUERIES": "1000",
    "VITRINE_ITEM_GRAPH_FACTORS": "32",
    "VITRINE_SESSION_WALK_NEIGHBOURS": "20",
    "VITRINE_SESSION_WALK_WIDTH": "50",
}
