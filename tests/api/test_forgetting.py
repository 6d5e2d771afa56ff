"""Forgetting a user: a stranger at once, in every replica, until known anew; a receipt that tells the truth."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.api.posted.intake import log_folder
from app.core.settings import Settings
from app.events.archive_manifest import Manifest, write_manifest
from app.events.forgotten import FOLDER, ForgottenUsers
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
        "list files of the stream": False,
        "sessions of the stream": False,
        "log of posted events": False,
        "landing folder": False,
        "archive": False,
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
    os.rename(output / "models" / "a", output / "models" / ".gone")
    receipt = api.get(f"/v1/users/{ANNA}").json()
    assert receipt["done"], receipt
    assert {place["detail"] for place in receipt["places"][1:]} == {"nothing is left"}


def test_influxdb_is_a_place_where_there_is_one(make_api: MakeApi) -> None:
    api = make_api(influx_url="http://localhost:1")
    assert places(forget(api))["InfluxDB"] is False


def test_what_the_api_writes_from_now_on_has_no_id_of_the_forgotten(api: Api, output: Path) -> None:
    user = 987_654_321
    forget(api, user)
    api.get(f"/v1/users/{user}/recommendations")
    api.service.attribution.write()
    for path in output.rglob("*"):
        assert str(user) not in path.name
        if path.is_file():
            assert str(user).encode() not in path.read_bytes(), path
