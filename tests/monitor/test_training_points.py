"""Points of a training, from its result."""

from datetime import UTC, datetime

import pytest

from app.monitor.schema import MODEL, SEGMENTS
from app.monitor.training_points import training_lines
from app.results.run import RunResult
from tests.finished_run import finished_run

AT = datetime(2019, 11, 1, 8, 15, tzinfo=UTC)


def points(result: RunResult) -> list[tuple[str, dict[str, str]]]:
    """Measurement with tags, and fields as they are written, of each line."""
    lines = [line.split(" ") for line in training_lines(result)]
    assert {time for _, _, time in lines} == {str(int(AT.timestamp()) * 10**9)}
    return [(head, dict(field.split("=") for field in fields.split(","))) for head, fields, _ in lines]


def test_one_point_of_the_model_with_every_field() -> None:
    (head, fields), *_ = points(finished_run())
    assert head == "model,model_version=20191101_081500"
    assert set(fields) == {field.name for field in MODEL.fields}
    assert (fields["published"], fields["users"], fields["products"], fields["interactions"]) == (
        "1i",
        "300i",
        "50i",
        "700i",
    )
    assert (fields["ndcg_10"], fields["ndcg_10_low"], fields["ndcg_10_high"]) == ("0.3", "0.29", "0.31")
    assert (fields["popular_ndcg_10"], fields["coverage_10"]) == ("0.05", "0.25")
    assert (fields["silhouette"], fields["training_seconds"]) == ("0.412", "125.4")


def test_one_point_a_segment_with_every_field() -> None:
    _, vip, new = points(finished_run())
    assert [vip[0], new[0]] == [f"segments,model_version=20191101_081500,segment={number}" for number in (0, 1)]
    assert [vip[1]["name"], new[1]["name"]] == ['"VIP_Customers"', '"New_Customers"']
    assert set(vip[1]) == {field.name for field in SEGMENTS.fields}
    assert (vip[1]["users"], vip[1]["monetary"], new[1]["users"], new[1]["monetary"]) == ("30i", "2310.5", "270i", "0")


def test_a_model_without_test_queries_has_no_quality() -> None:
    run = finished_run()
    assert run.quality is not None
    untested = run.model_copy(update={"quality": run.quality.model_copy(update={"rows": ()})})
    (_, fields), *_ = points(untested)
    assert not [name for name in fields if "_10" in name]
    assert fields["users"] == "300i"


@pytest.mark.parametrize("part", ["exploration", "segments", "quality", "gate"])
def test_a_run_that_trained_nothing_has_no_points(part: str) -> None:
    with pytest.raises(ValueError, match="trained nothing"):
        training_lines(finished_run().model_copy(update={part: None}))
