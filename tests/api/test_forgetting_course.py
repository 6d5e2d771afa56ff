"""The whole course of a forgetting, on real files: what the receipt says, and what is still on the disk."""

import os
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.core.folders import Output
from app.events.archive_names import BatchRange
from app.events.forgotten import FOLDER, ForgottenUsers
from app.registry.registry import Registry
from app.stream.compaction import UNCOUNTED_KEPT
from app.stream.forgetting import write_marker
from app.train.publication import _forget_tables
from tests.api.client import Api, event
from tests.api.conftest import MakeApi
from tests.api.test_forgetting import forget, places, retrained
from tests.knowing import places_of
from tests.stream.test_cutting import fill, reject
from tests.stream.test_forgetting import write_lists
from tests.stream.test_shrinking import Shop

USER, OTHER = 987_654_321, 7
EVERYTHING = {
    "log of posted events",
    "list files of the stream",
    "sessions of the stream",
    "landing folder",
    "damaged files",
    "archive",
    "rejected rows",
    "bundles",
    "tables of trainings",
}


class Course(Shop):
    """Files of a stream, an API and a training that know a user, and what cleans them.

    Spark's state is told by the marker alone, and the bundle by its manifest.
    """

    def __init__(self, api: Api, output: Path):
        super().__init__(output, rows=False)
        self.api, self.output = api, output
        for number, user in enumerate((USER, OTHER)):
            assert api.post("/v1/events", event(number, user=user)).json()["accepted"] == 1
        write_lists(self.folders, 3, [USER, OTHER], datetime(2020, 1, 1, tzinfo=UTC))
        fill(self, BatchRange(3, 3, 1), USER, OTHER)
        self.rejected = reject(self, 3, f"2019,view,1,{USER},s", f"2019,view,1,{OTHER},s")
        (self.folders.damaged / "cut.csv").write_text(f"event_time,user_id\n2019,{USER}")
        lists, cleaned = (
            output / "recommendations" / "20200101_000000",
            output / "processed" / "users_20200101_000000",
        )
        for table in (lists, cleaned):
            table.mkdir(parents=True)
            pq.write_table(pa.table({"user_id": [USER, OTHER]}), table / "part.parquet")
        (output / "merged_recommendations.csv").write_text(f"user_id\n{USER}\n")

    def pending(self) -> set[str]:
        """Places that are not done, by the receipt."""
        receipt = self.api.get(f"/v1/users/{USER}").json()
        pending = {place for place, done in places(receipt).items() if not done}
        assert receipt["done"] is (not pending)
        return pending

    def clean(self) -> None:
        """What the stream's housekeeping does each minute."""
        house = self.house(Mock())
        house.tidy()
        house.clean_lists()

    def train(self, name: str, *, published: bool) -> None:
        """What a training that began just now leaves of what others have left."""
        names = ForgottenUsers(self.output).read().names
        if published:
            retrained(self.output, name, *names)
        Registry(self.output / "models").forget(frozenset(names))
        _forget_tables(Mock(output=Output(self.output), stamp=name), Mock(forgotten=names))
        lists = self.output / "recommendations" / name
        lists.mkdir(parents=True)
        (self.output / "merged_recommendations.csv").write_text(f"user_id\n{OTHER}\n")


def test_the_receipt_says_done_as_the_last_file_of_a_place_has_lost_the_user(
    make_api: MakeApi, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api(remember_hours=24)
    course = Course(api, output)

    def known(*folders: str) -> set[str]:
        return {path for path in places_of(output, USER) if path.startswith(folders)}

    assert len(known("api/events", "landing", "stream", "recommendations", "merged", "processed")) == 10
    moment = datetime.fromisoformat(forget(api, USER)["forgotten_at"]).timestamp()

    def later(seconds: float) -> None:
        monkeypatch.setattr("time.time", lambda: moment + seconds)
        for one in (api.service, api.service._intake):
            monkeypatch.setattr(one, "_now", lambda: moment + seconds)

    assert course.pending() == EVERYTHING
    course.clean()
    assert course.pending() == EVERYTHING, "something of before may be under way"
    assert not known("stream/lists", "stream/merged"), "list files are cleaned at once all the same"
    later(400)
    course.clean()
    assert course.pending() == (left := EVERYTHING - {"list files of the stream", "rejected rows"})
    assert not known("stream/rejected")
    assert pq.read_table(course.rejected)["row"].to_pylist() == [f"2019,view,1,{OTHER},s"]
    assert known("stream/archive"), "what was replaced may just be read by a training"
    later(UNCOUNTED_KEPT + 800)
    course.clean()
    assert course.pending() == (left := left - {"archive"})
    assert not known("stream/archive")
    assert course.accounts.audit() == course.said == []
    for path in (*course.folders.landing.iterdir(), *course.folders.damaged.iterdir()):
        path.unlink()
    write_marker(course.folders, state=2**60)
    assert course.pending() == (left := left - {"landing folder", "damaged files", "sessions of the stream"})
    later(25 * 3600)
    api.post("/v1/events", event(3, user=OTHER))
    for path in course.folders.landing.iterdir():  # whose time the disk's own clock tells
        os.utime(path, (moment + 25 * 3600,) * 2)
    assert api.service._intake is not None
    api.service._intake.tidy()
    assert course.pending() == (left := left - {"log of posted events"})
    assert not known("api")
    course.train("20990101_000000", published=False)
    assert course.pending() == (left := left - {"tables of trainings"}), "the champion knows the user"
    assert places_of(output, USER) == set()
    course.train("20990102_000000", published=True)
    assert course.pending() == {"bundles"}, "the one before may just be answering"
    course.train("20990103_000000", published=True)
    assert course.pending() == set()
    assert {path.name for path in (output / FOLDER).iterdir() if str(USER) in path.name} == set()
