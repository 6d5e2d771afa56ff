"""The archive of Spark's classes: used where there is a whole one."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core.class_archive import ARCHIVE, SIZE, java_options


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_sessions_start_from_it(spark: SparkSession) -> None:
    if not java_options():
        pytest.skip(f"no {ARCHIVE}: type make setup")
    gateway = spark.sparkContext._gateway
    assert gateway is not None
    assert str(ARCHIVE) in Path(f"/proc/{gateway.proc.pid}/maps").read_text()


def test_half_of_one_is_left_aside(tmp_path: Path) -> None:
    archive = tmp_path / "spark.jsa"
    assert java_options(archive) == ""
    archive.write_bytes(bytes(100))
    assert java_options(archive) == ""
    archive.with_name(archive.name + SIZE).write_text("100")
    assert str(archive) in java_options(archive)
    archive.write_bytes(bytes(50))
    assert java_options(archive) == ""
