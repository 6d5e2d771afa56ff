"""Serving needs neither Spark nor Java: a fresh interpreter without both opens a bundle and answers."""

import subprocess
import sys
from pathlib import Path

from tests.stream.shop import recommender, write_bundle

ASK = """
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class NoSpark(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pyspark", "py4j"):
            raise ModuleNotFoundError(f"{name} is not there")

sys.meta_path.insert(0, NoSpark())
from app.registry.bundle import Bundle
from app.serve.visits import Touches, Visitors

opened = Bundle.open(Path(sys.argv[1]))
session = Touches.of_lists([[(100, "view", 1.0, 0.0)], []])
answer = opened.recommender.recommend(Visitors.of([999, 5], 0.0, session), 5)
print(opened.recommender.catalogue.product_ids[answer.lists.items].tolist())
"""


def test_a_bundle_opens_and_answers_without_spark_and_java(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, "a", recommender())
    command = [sys.executable, "-c", ASK, str(bundle)]
    run = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert run.stderr == ""
    lists = eval(run.stdout)
    assert lists[0] == [101, 102, 103, 104, 105], "what goes with 100"
    assert len(set(lists[1])) == 5
    assert 103 not in lists[1], "Anna bought it the day before"
