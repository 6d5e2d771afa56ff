"""Serving needs neither Spark nor Java: a fresh interpreter without both opens a bundle and answers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from app.serve.generators.item_graph import ItemGraph
from app.serve.generators.session_walk import SessionWalk
from app.serve.rankers import ReciprocalRank
from app.serve.recommender import Recommender
from tests.stream.shop import PRODUCTS, recommender, write_bundle

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


def asked(bundle: Path) -> list[list[int]]:
    """Lists for a visitor on product 100, and for Anna."""
    command = [sys.executable, "-c", ASK, str(bundle)]
    run = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert run.stderr == ""
    lists: list[list[int]] = eval(run.stdout)
    return lists


def test_a_bundle_opens_and_answers_without_spark_and_java(tmp_path: Path) -> None:
    lists = asked(write_bundle(tmp_path, "a", recommender()))
    assert lists[0] == [101, 102, 103, 104, 105], "what goes with 100"
    assert len(set(lists[1])) == 5
    assert 103 not in lists[1], "Anna bought it the day before"


def only(product: int, other: int) -> csr_matrix:
    """A matrix that leads from one product to another one, and nowhere else."""
    entry = np.searchsorted(PRODUCTS, [[product], [other]])
    return csr_matrix(([1.0], entry), shape=(len(PRODUCTS), len(PRODUCTS)), dtype=np.float32)


def test_so_does_a_bundle_with_the_generators_that_are_learned_on_request(tmp_path: Path) -> None:
    model, no_low_pass = recommender(), np.zeros((len(PRODUCTS), 1), np.float32)
    others = {
        "session_walk": SessionWalk(only(100, 115), decay=2.0),
        "item_graph": ItemGraph(only(100, 117), no_low_pass, no_low_pass),
    }
    ranker = ReciprocalRank({"session_walk": 1.0, "item_graph": 0.9})
    every = Recommender(model.catalogue, model.users, {**model.generators, **others}, ranker, model.parameters)
    assert asked(write_bundle(tmp_path, "a", every))[0][:2] == [115, 117]
