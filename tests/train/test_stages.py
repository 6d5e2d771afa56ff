"""The stages before any recommender: what they refuse."""

from pathlib import Path

import pytest

from app.core.errors import InputError
from app.results.run import Cleaning
from app.train.stages import Log, check_span
from tests.handmade import Event, stored_events


def log(folder: Path, *times: str) -> Log:
    events: list[Event] = [(user, 7, "view", time) for user, time in enumerate(times)]
    cleaning = Cleaning(read=2, kept=2, duplicates=0, rejected=0, reasons={}, left_out={})
    return Log("log.csv", False, cleaning, stored_events(folder / "events", events), None, (), 0)


def test_a_log_of_one_second_leaves_nothing_to_test_on(tmp_path: Path) -> None:
    """Segments of nobody are none."""
    with pytest.raises(InputError, match=r"^log\.csv: all events lie in one second \(2019-10-01 09:00:01\)"):
        check_span(log(tmp_path, "10-01 09:00:01", "10-01 09:00:01"))


def test_two_seconds_are_enough(tmp_path: Path) -> None:
    check_span(log(tmp_path, "10-01 09:00:01", "10-01 09:00:03"))
