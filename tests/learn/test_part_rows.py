"""Rows in parts: sums over all of them, whoever asks, and a part that is written twice."""

import numpy as np
import pytest
from pyspark.sql import SparkSession

from app.core.duck import Relation
from app.core.parts import Part
from app.learn.part_rows import PartRows, publish_part, save_part
from tests.handmade import relation

IDS = np.array([10, 20, 30], np.int64)
PARTS: tuple[list[tuple[list[int], list[float]]], ...] = (
    [([10, 20], [1.0, 2.0]), ([30], [3.0])],
    [],
    [([30, 10], [0.5, 4.0])],
)
WHOLE = np.array([[1, 2, 0], [0, 0, 3], [4, 0, 0.5]])


def rows(part: Part) -> Relation:
    return relation(part.connection, PARTS[part.number], "product_ids bigint[], values double[]")


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> PartRows:
    return PartRows.write(spark, len(PARTS), rows, IDS, tmp_path_factory.mktemp("rows") / "rows")


def test_common_is_the_matrix_times_itself(written: PartRows) -> None:
    assert written.common(np.array([2, 0])).toarray().tolist() == (WHOLE.T @ WHOLE)[[2, 0]].tolist()


def test_sums_by_product(written: PartRows) -> None:
    assert written.squares().tolist() == np.diag(WHOLE.T @ WHOLE).tolist()
    assert written.counts().tolist() == [2, 1, 2]


def test_the_rows_lie_one_part_after_another_and_are_mapped(written: PartRows) -> None:
    assert written.rows().toarray().tolist() == WHOLE.tolist()
    assert not written.rows().data.flags.owndata
    assert written.columns(np.array([2])).toarray().tolist() == [WHOLE[:, 2].tolist()]


def test_a_second_attempt_at_a_part_leaves_the_first(written: PartRows) -> None:
    before = sorted(path.name for path in written.folder.iterdir())
    publish_part(written.folder / "0", lambda aside: save_part(written.rows()[:1], aside))
    assert sorted(path.name for path in written.folder.iterdir()) == before
    assert written.columns(np.array([0])).toarray().tolist() == [[1, 0, 4]]
