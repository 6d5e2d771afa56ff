"""The model of segments on disk."""

import json
from pathlib import Path

from app.serve.segments import FILE, SegmentModel

MODEL = SegmentModel(
    [9.0, 1.0], [0.5, 0.1], [1.0, 2.0], [[0.1, 0.2], [0.3, 0.4]], ["VIP_Customers", "Casual_Browsers"], 0.02, 0.4
)


def test_a_model_is_opened_as_it_was_saved(tmp_path: Path) -> None:
    MODEL.save(tmp_path)
    assert SegmentModel.load(tmp_path) == MODEL


def test_a_table_beside_the_model_is_passed_over(tmp_path: Path) -> None:
    """As bundles of the first edition have it."""
    MODEL.save(tmp_path)
    path = tmp_path / FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"table": [{"users": 3}]}))
    assert SegmentModel.load(tmp_path) == MODEL
