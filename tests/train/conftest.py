"""One training for all tests that look at it, or go on from it; `tests.longest_first` has one worker run these."""

import lzma
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.results.run import RunResult
from tests.train.shop import GOLDEN, Shop


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "shop.synthetic.csv"
    path.write_bytes(lzma.decompress((GOLDEN / "events.csv.xz").read_bytes()))
    return path


@pytest.fixture(scope="session")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(spark, tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def first(shop: Shop, log: Path) -> RunResult:
    """A training as it should be; what it left is kept aside, as `trained` has it."""
    found = shop.train(log, drawn=True)
    shutil.copytree(shop.output, shop.aside)
    return found


@pytest.fixture
def trained(first: RunResult, shop: Shop, tmp_path: Path) -> Shop:
    """A shop of one's own, in which `first` was the only training so far."""
    copy = Shop(shop.spark, tmp_path / "shop", runs=1)
    shutil.copytree(shop.aside, copy.output)
    return copy
