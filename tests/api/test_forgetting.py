"""Forgetting a user: a stranger at once, in every replica, until known anew; a receipt that tells the truth."""

import json
import os
import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.api.forgotten_points import RETRY_SECONDS
from app.api.posted.intake import log_folder
from app.core.errors import VitrineError
from app.core.settings import Settings
from app.events.archive_manifest import Manifest, write_manifest
from app.events.forgotten import FOLDER, ForgottenUsers
from app.monitor import nameless
from app.monitor.influx import InfluxConfig
from app.registry.manifest import MANIFEST
from app.stream.folders import StreamFolders
from app.stream.forgetting import MARKER, Marker
from tests.api.client import Api, event, ids
from tests.api.conftest import MakeApi
from tests.stream.shop import ANNA, STRANGER, recommender, write_bundle

KEYS = {"read_key": "a-key-for-reading", "write_key": "a-key-for-writing"}


def listed(api: Api, user: int | str = ANNA) -> list[int]:
    return ids(api.get(f"/v1/users/{user}/recommendations"))


def forget(api: Api, user: int | str = ANNA) -> dict[str, Any]:
    answer = api.ask("DELETE", f"/v1/users/{user}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def places(receipt: dict[str, Any]) -> dict[str, bool]:
    return {place["place"]: place["done"] for place in receipt["places"]}


def retrained(output: Path, name: str, *forgotten: str) -> None:
    """A bundle whose training has obeyed forgettings."""
    folder = write_bundle(output / "models", name, recommender())
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"forgotten": list(forgotten)}))


def test_a_forgotten_user_is_a_stranger_to_every_replica_at_once(make_api: MakeApi) -> None:
    here, there = make_api(), make_api()
    strange = listed(here, STRANGER)
    known = listed(here)
    assert known != strange
    here.post("/v1/events", event(1, user=ANNA, product=120))
    with_session = listed(there)
    assert with_session not in (known, strange)
    receipt = forget(here)
    assert receipt["user_id"] == str(ANNA)
    assert datetime.fromisoformat(receipt["forgotten_at"]).tzinfo is not None
    for api in (here, there, make_api()):
        assert listed(api) == strange
        assert len(api.service._sessions) == 0
    assert listed(here, 2) == listed(there, 2), "others are as they were"


def test_who_comes_back_is_a_new_user(api: Api, make_api: MakeApi) -> None:
    api.post("/v1/events", event(1, user=ANNA, product=100))
    forget(api)
    api.post("/v1/events", event(2, user=ANNA, product=103, event_time="2020-01-01T00:00:00Z"))
    assert listed(api) == listed(api, STRANGER), "an event from before, posted late, counts for nobody"
    api.post("/v1/events", event(3, user=ANNA, product=120))
    api.post("/v1/events", event(4, user=STRANGER, product=120))
    for one in (api, make_api()):
        assert listed(one) == listed(one, STRANGER)
        assert len(one.service._sessions) == 2


def test_a_bundle_that_was_trained_since_knows_the_user_anew(api: Api, output: Path) -> None:
    known = listed(api)
    forget(api)
    name = ForgottenUsers(output).read().name(ANNA)
    assert name is not None
    retrained(output, "b", "another-1")
    api.service.follow_champion()
    assert listed(api) == listed(api, STRANGER), "trained, but not without this user"
    retrained(output, "c", name)
    api.service.follow_champion()
    assert listed(api) == known, "what this bundle knows is from after the forgetting"
    forget(api)
    assert listed(api) == listed(api, STRANGER), "and is forgotten in turn"


def test_a_forgetting_may_be_asked_for_again(api: Api) -> None:
    first = forget(api)
    again = api.get(f"/v1/users/{ANNA}").json()
    assert again == first
    assert forget(api)["forgotten_at"] > first["forgotten_at"]


def test_who_was_not_forgotten_has_no_receipt(api: Api) -> None:
    assert api.get(f"/v1/users/{ANNA}").status_code == 404
    assert api.get(f"/v1/users/{ANNA}/recommendations").status_code == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_no_id_is_refused(api: Api, method: str) -> None:
    for wrong in ("anna", "5.5", "null"):
        assert api.ask(method, f"/v1/users/{wrong}").status_code == 422
    assert not (api.settings.output / FOLDER).exists()


def test_a_user_nobody_knows_can_be_forgotten(api: Api) -> None:
    assert api.ask("DELETE", "/v1/users/31337").status_code == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_the_writing_key_is_asked_for(make_api: MakeApi, method: str) -> None:
    api = make_api(**KEYS)
    path = f"/v1/users/{ANNA}"
    for key, status in ((None, 401), (KEYS["read_key"], 403)):
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        assert api.ask(method, path, headers=headers).status_code == status
    headers = {"Authorization": f"Bearer {KEYS['write_key']}"}
    assert api.ask("DELETE", path, headers=headers).status_code == 200
    assert api.get(path, headers=headers).status_code == 200
    lists = api.get(f"{path}/recommendations", headers={"Authorization": f"Bearer {KEYS['read_key']}"})
    assert lists.status_code == 200


def test_a_disk_that_fails_is_a_503_and_nothing_is_forgotten(api: Api, output: Path) -> None:
    known = listed(api)
    (output / FOLDER).write_text("in the way")
    answer = api.ask("DELETE", f"/v1/users/{ANNA}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert listed(api) == known, "a list that can't be read stops nothing"
    assert (api.metric("vitrine_api_log_failures_total") or 0) > 0
    (output / FOLDER).unlink()
    assert listed(api) == known


# --- The receipt -------------------------------------------------------------------------------------


def test_a_receipt_says_what_is_left_where(api: Api, output: Path) -> None:
    folders = StreamFolders.of(Settings(output=output))
    api.post("/v1/events", event(1, user=ANNA, product=100))
    folders.prepare()
    (folders.lists / "batch-000000001-e000001-000.parquet").touch()
    part = folders.archive / "batch-000000001-e000001"
    part.mkdir()
    write_manifest(part, Manifest(rows=1, windows=[0], written=5.0))
    (output / "processed" / "cleaned_data_20200101_000000").mkdir(parents=True)
    receipt = forget(api)
    assert places(receipt) == {
        "sessions and lists of the API": True,
        "list of merged users": True,
        "attribution": True,
        "log of posted events": False,
        "list files of the stream": False,
        "sessions of the stream": False,
        "landing folder": False,
        "damaged files": True,
        "archive": False,
        "rejected rows": True,
        "bundles": False,
        "tables of trainings": False,
    }
    assert not receipt["done"]
    assert all(place["detail"] for place in receipt["places"])
    # Each place is cleaned in its own way.
    name = ForgottenUsers(output).read().name(ANNA)
    assert name is not None
    moment = int(name.rpartition("-")[2])
    (folders.root / MARKER).write_text(Marker(lists=moment, state=moment).model_dump_json())
    for path in log_folder(api.settings).glob("*.jsonl"):
        path.unlink()
    for path in folders.landing.iterdir():
        os.utime(path, (moment / 1e6 + 3600, moment / 1e6 + 3600))
    write_manifest(part, Manifest(rows=1, windows=[0], written=moment / 1e6 + 3600))
    (output / "processed" / "cleaned_data_20200101_000000").rename(
        output / "processed" / "cleaned_data_20990101_000000"
    )
    retrained(output, "a2", name)
    assert {place for place, done in places(api.get(f"/v1/users/{ANNA}").json()).items() if not done} == {"bundles"}
    os.rename(output / "models" / "a", output / "models" / ".staging-a-gone-1")  # killed while it was deleted
    (output / ".work-20200101_000000").mkdir()  # of a training that was killed
    left = places(api.get(f"/v1/users/{ANNA}").json())
    assert {place for place, done in left.items() if not done} == {"bundles", "tables of trainings"}
    shutil.rmtree(output / "models" / ".staging-a-gone-1")
    (output / ".work-20200101_000000").rmdir()
    receipt = api.get(f"/v1/users/{ANNA}").json()
    assert receipt["done"], receipt
    assert {place["detail"] for place in receipt["places"][2:]} == {"nothing is left"}


class Influx:
    """Takes the place of what looks for points."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.asked: list[tuple[int | str, float]] = []
        self.away = False
        self.refused: int | str | None = None
        monkeypatch.setattr(nameless, "make_nameless", self.make_nameless)

    def make_nameless(self, _: InfluxConfig, user: int | str, until: datetime) -> int:
        self.asked.append((user, until.timestamp()))
        if self.away or user == self.refused:
            raise VitrineError("away")
        return 1


def test_points_of_influxdb_are_cleaned_at_once_and_done_when_none_can_be_on_its_way(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the API does is told by its own clock."""
    influx, api, other = Influx(monkeypatch), make_api(influx_url="http://localhost:1"), make_api(influx_url="http://x")
    receipt = forget(api)
    moment = datetime.fromisoformat(receipt["forgotten_at"]).timestamp()
    influx.away = True
    for _ in range(2):
        api.service.forgotten_points.work()
    assert [text for text in caplog.messages if "tried again" in text] == [
        "points of a forgotten user: away; tried again"
    ]
    influx.away, done = False, [places(receipt)["InfluxDB"]]
    for seconds in (1, 200, 299, 301, 302):
        monkeypatch.setattr(api.service.forgotten_points, "_now", lambda seconds=seconds: moment + seconds)
        api.service.forgotten_points.work()
        done.append(places(other.get(f"/v1/users/{ANNA}").json())["InfluxDB"])
    assert done == [False, False, False, False, True, True]
    assert len(influx.asked) == 4, "twice in vain, at once, and once more"
    assert {user for user, _ in influx.asked} == {ANNA}
    assert all(moment <= until < moment + 0.1 for _, until in influx.asked)
    assert forget(api)["places"][-1]["done"] is False, "a new one begins anew"


def test_one_whose_points_cannot_be_cleaned_is_in_nobodys_way(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    influx, api = Influx(monkeypatch), make_api(influx_url="http://localhost:1")
    influx.refused = ANNA
    forget(api)
    forget(api, STRANGER)
    for _ in range(2):
        api.service.forgotten_points.work()
    assert [user for user, _ in influx.asked] == [ANNA, STRANGER, ANNA]
    assert len([text for text in caplog.messages if "tried again" in text]) == 1


def test_points_are_cleaned_by_whoever_is_asked_for_the_receipt(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was asked to forget may have been killed."""
    influx, api = Influx(monkeypatch), make_api(influx_url="http://localhost:1")
    ForgottenUsers(api.settings.output).forget(ANNA, time.time() - 3600)
    api.service.forgotten_points.work()
    assert influx.asked == []
    api.get(f"/v1/users/{ANNA}")
    api.service.forgotten_points.work()
    now = time.time()
    monkeypatch.setattr(api.service.forgotten_points, "_now", lambda: now + 30)
    api.service.forgotten_points.work()
    assert places(api.get(f"/v1/users/{ANNA}").json())["InfluxDB"] is False, "a stream may just be writing"
    monkeypatch.setattr(api.service.forgotten_points, "_now", lambda: now + RETRY_SECONDS + 1)
    api.service.forgotten_points.work()
    assert places(api.get(f"/v1/users/{ANNA}").json())["InfluxDB"] is True


def test_without_influxdb_the_receipt_does_not_speak_of_it(api: Api) -> None:
    assert "InfluxDB" not in places(forget(api))


def test_what_the_api_writes_from_now_on_has_no_id_of_the_forgotten(api: Api, output: Path) -> None:
    user = 987_654_321
    forget(api, user)
    api.get(f"/v1/users/{user}/recommendations")
    api.service.attribution.write()
    for path in output.rglob("*"):
        assert str(user) not in path.name
        if path.is_file():
            assert str(user).encode() not in path.read_bytes(), path
