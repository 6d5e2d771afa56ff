"""What is too late for its session, by hand, and who gets no list for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from app.stream.lateness import HOUR, Lateness
from app.stream.latest import LatestSessions
from tests.stream.test_latest import told

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)  # where windows of six hours meet
MICROS = pa.timestamp("us", tz="UTC")


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("seconds", "late"), [(-1, [True, True, False]), (0, [True, True, False]), (21_600, [True] * 3)]
)
def test_late_is_what_the_watermark_has_passed_the_window_of(seconds: int, late: list[bool]) -> None:
    """Windows end before noon, at noon and six hours later; a second earlier the second is open."""
    times = pa.array([NOON - timedelta(hours=9), NOON - timedelta(seconds=1), NOON], MICROS)
    found = Lateness(micros(NOON + timedelta(seconds=seconds)), 6 * HOUR).late(times)
    assert found.tolist() == ([True, False, False] if seconds < 0 else late)
    assert Lateness(0, 6 * HOUR).late(pa.chunked_array([times])).tolist() == [False] * 3


def test_spark_judges_by_the_watermark_of_the_micro_batch_before(tmp_path: Path) -> None:
    (tmp_path / "offsets").mkdir()
    (tmp_path / "offsets" / "4").write_text('v1\n{"batchWatermarkMs":7,"batchTimestampMs":9}\n{"logOffset":4}')
    assert Lateness.of_batch(tmp_path, 5, 6) == Lateness(7_000, 6 * HOUR)
    assert Lateness.of_batch(tmp_path, 0, 6) == Lateness(0, 6 * HOUR)
    assert Lateness.parse(str(Lateness(7_000, 5))) == Lateness(7_000, 5)


def test_users_whose_latest_event_is_too_late_get_no_list(tmp_path: Path) -> None:
    """User 1 has one before noon alone, user 2 one after it as well, user 3 one after it, in two files."""
    told(tmp_path, [(-1, 1, None), (-2, 2, None), (1, 2, None)], [(2, 3, None), (1, 3, None)])
    assert LatestSessions.on_time(tmp_path, Lateness(0, 6 * HOUR)) == 3
    assert LatestSessions.on_time(tmp_path, Lateness(micros(NOON), 6 * HOUR)) == 2
    assert LatestSessions.on_time(tmp_path / "nothing", Lateness(0, 6 * HOUR)) == 0
