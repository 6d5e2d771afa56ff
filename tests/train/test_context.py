"""What all stages of a run share."""

import gc
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core import worker_heap
from app.core.settings import Settings
from app.train.context import Run


@pytest.fixture
def _thawed() -> Iterator[None]:
    worker_heap._settled.cache_clear()  # by a training before this test
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_thawed")
def test_a_run_passes_over_what_is_imported(spark: SparkSession, tmp_path: Path) -> None:
    Run.start(spark, Settings(output=tmp_path), datetime(2020, 1, 1), 1, print)
    assert gc.get_freeze_count() > 1_000
