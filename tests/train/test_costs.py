"""What generators cost, by a clock that is set by hand."""

from pathlib import Path

from app.train.costs import Costs


def test_each_has_its_seconds_and_megabytes(tmp_path: Path) -> None:
    times = iter([10.0, 12.5, 20.0, 20.04])
    costs = Costs(lambda: next(times))
    for name, sizes in (("als", (1_500_000, 500_000)), ("walk", (400_000,))):
        with costs.of(name):
            (tmp_path / name).mkdir()
            for number, size in enumerate(sizes):
                (tmp_path / name / str(number)).write_bytes(bytes(size))
    assert costs.note(tmp_path) == "als 2.5 s 2 MB, walk 0.0 s 0 MB"
