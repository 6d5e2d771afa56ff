"""Results on disk: read back as they were, kept by version, refused in one line where they can't be read."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import InputError
from app.core.folders import Output
from app.results.files import read_run, write_run
from app.results.run import SCHEMA_VERSION, RunResult
from tests.finished_run import finished_run


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(tmp_path)


def version(number: int) -> RunResult:
    return finished_run().model_copy(update={"version": f"20191101_08000{number}"})


def test_a_run_is_read_as_it_was_written(output: Output) -> None:
    write_run(output, finished_run(), keep=5)
    assert read_run(output.run) == finished_run()
    assert read_run(output.runs / "20191101_081500.json") == finished_run()
    assert json.loads(output.run.read_text())["schema_version"] == SCHEMA_VERSION
    assert {path.name for path in output.root.rglob("*")} == {"run.json", "runs", "20191101_081500.json"}


def test_parts_that_were_not_made_are_read_as_none(output: Output) -> None:
    explored = finished_run().model_copy(update={"quality": None, "gate": None, "segments": None, "pairs": None})
    write_run(output, explored, keep=5)
    assert read_run(output.run) == explored


def test_a_figure_that_is_no_number_is_none(output: Output) -> None:
    """JSON knows no NaN: a result with one could be written and never read again."""
    segments = finished_run().segments
    assert segments is not None
    lost = type(segments)(silhouette=float("nan"), rows=segments.rows)
    write_run(output, finished_run().model_copy(update={"segments": lost}), keep=5)
    assert "NaN" not in output.run.read_text()
    found = read_run(output.run).segments
    assert found is not None
    assert found.silhouette is None


def test_the_latest_runs_are_kept(output: Output) -> None:
    for number in range(5):
        write_run(output, version(number), keep=2)
    assert sorted(path.stem for path in output.runs.iterdir()) == ["20191101_080003", "20191101_080004"]
    assert read_run(output.run).version == "20191101_080004"


def test_a_writer_that_dies_leaves_the_run_before(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(output, version(1), keep=5)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            write_run(output, version(2), keep=5)
    assert read_run(output.run).version == "20191101_080001"
    write_run(output, version(2), keep=5)  # what the dead one left is in nobody's way
    assert sorted(path.name for path in output.runs.iterdir()) == ["20191101_080001.json", "20191101_080002.json"]


def written(**changes: Any) -> str:
    return json.dumps(json.loads(finished_run().model_dump_json()) | changes)


#: As the first edition wrote it, cut down to a few keys.
FIRST_EDITION = json.dumps(
    {
        "version": "20191101_080000",
        "created": "2019-11-01T08:00:00+00:00",
        "timezone": "UTC",
        "synthetic": True,
        "exploration": {"rows": {"read": 8000, "kept": 7995, "duplicates": 5, "rejected": 0}, "rejected": {}},
    }
)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", r"is damaged \(Invalid JSON: EOF"),
        (written()[:5_000], r"is damaged \(Invalid JSON: EOF"),
        ("[]", "is damaged"),
        ("null", "is damaged"),
        ("\udcff", r"is damaged \(Invalid JSON"),
        (FIRST_EDITION, "the first edition of Vitrine wrote it; run vitrine train"),
        (written(schema_version=2), "schema version 2, this program reads 3; run vitrine train"),
        (written(schema_version="two"), "is damaged"),
        (written(pairs="many"), r"is damaged \(pairs: Input should be a valid integer"),
        (written(cleaning={"read": 3}), r"is damaged \(cleaning\.kept: Field required\)"),
        (written(colour="blue"), r"is damaged \(colour: Extra inputs are not permitted\)"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(content: str, says: str, output: Output) -> None:
    output.run.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=says) as raised:
        read_run(output.run)
    message = str(raised.value)
    assert message.startswith(f"{output.run}: ")
    assert message.endswith("run vitrine train to write a new one")
    assert "\n" not in message


def test_a_run_that_is_not_there_or_no_file(output: Output) -> None:
    with pytest.raises(InputError, match=r"run\.json: not there; vitrine train makes it"):
        read_run(output.run)
    output.run.mkdir()
    with pytest.raises(InputError, match=r"run\.json: cannot be read \(Is a directory\)"):
        read_run(output.run)


def test_times_are_of_a_zone_where_they_were(output: Output) -> None:
    """The start of a run is told with its zone; event times are UTC without one, as Spark has them."""
    write_run(output, finished_run(), keep=1)
    found = read_run(output.run)
    assert found.created == datetime(2019, 11, 1, 8, 15, tzinfo=UTC)
    assert found.quality is not None
    assert found.quality.test_from.tzinfo is None
