"""The list of forgotten users: any number of writers, no id in it, and rows left out as it says."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.files import PART
from app.core.settings import Settings
from app.events.forgotten import FOLDER, Forgotten, ForgottenUsers, hashed
from app.events.forgotten_rows import FORGOTTEN
from app.events.ingest import CleaningReport, ingest, read_cleaned
from tests.events.test_ingest import HEADER, NOW, STAMP, line

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC).timestamp()


def test_a_user_is_forgotten_up_to_the_latest_moment(tmp_path: Path) -> None:
    here, there = ForgottenUsers(tmp_path), ForgottenUsers(tmp_path)
    assert not here.read()
    assert here.read().until(7) is None
    first = here.forget(7, 1_000.5)
    assert first == 1_000_500_000
    assert there.read().until(7) == first
    later = there.forget(7, 2_000.25)
    assert here.read().until(7) == later
    there.forget(7, 1_500.0)  # by a clock that is behind
    assert here.read().until(7) == later
    assert here.read().until(8) is None
    assert here.read().names == (here.read().name(7),)
    assert here.read().among([7, 8]) == {7: later}


def test_no_id_is_in_the_list(tmp_path: Path) -> None:
    ForgottenUsers(tmp_path).forget(123_456_789, 5.0)
    for path in (tmp_path / FOLDER).iterdir():
        assert "123456789" not in path.name
        assert b"123456789" not in path.read_bytes()
    other = ForgottenUsers(tmp_path / "other")
    other.forget(123_456_789, 5.0)
    assert other.read().names != ForgottenUsers(tmp_path).read().names, "each list has a salt of its own"


def test_many_may_write_at_once(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=ForgottenUsers(tmp_path).forget, args=(user, float(user))) for user in range(1, 41)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ForgottenUsers(tmp_path).read()
    assert found.among(range(60)) == {user: user * 1_000_000 for user in range(1, 41)}
    assert not list((tmp_path / FOLDER).glob(f"*{PART}"))


@settings(deadline=None, max_examples=30)
@given(st.text(alphabet="0123456789abcdef", min_size=1), st.integers(-(2**63), 2**63 - 1))
def test_a_hash_is_a_name(salt: str, user: int) -> None:
    forgotten = Forgotten(salt, {hashed(salt, user): 5})
    assert forgotten.until(user) == 5
    assert forgotten.until(user ^ 1) is None


# --- Rows ---------------------------------------------------------------------------------------------


def cleaned(spark: SparkSession, folder: Path, text: str, forgotten: Forgotten) -> CleaningReport:
    (folder / "in.csv").write_text(text)
    return ingest(spark, Settings(), str(folder / "in.csv"), folder / "processed", STAMP, NOW, forgotten)


def test_rows_from_before_are_left_out_and_counted(spark: SparkSession, tmp_path: Path) -> None:
    users = ForgottenUsers(tmp_path)
    users.forget(3, NOON)
    users.forget(-4, NOON)
    text = HEADER + "".join(line(i) for i in range(70))  # ten of each user of 0 to 6, around midnight
    text += line(1, user_id=3, event_time="2019-10-01 12:00:00 UTC")  # at the very moment
    text += line(2, user_id=3, event_time="2019-10-01 12:00:01 UTC")
    text += line(3, user_id=-4) + line(4, user_id=3, event_type="unheard-of") + line(5, user_id=3, event_time="never")
    report = cleaned(spark, tmp_path, text, users.read())
    assert report.left_out == {FORGOTTEN: 14}
    assert (report.read, report.kept, report.rejected) == (75, 61, 0)
    rows = read_cleaned(spark, report.cleaned).where("user_id in (3, -4)").collect()
    assert [(row.user_id, row.product_id) for row in rows] == [(3, 2)]


def test_a_log_of_nobody_else_is_said_to_be_empty(spark: SparkSession, tmp_path: Path) -> None:
    users = ForgottenUsers(tmp_path)
    users.forget(1, NOON)
    with pytest.raises(InputError, match="left out"):
        cleaned(spark, tmp_path, HEADER + line(1), users.read())
