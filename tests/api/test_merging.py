"""Merging users: one history and one session from then on, in every replica; what can't be is refused, in its way."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.api.forgotten_points import LOCK, PENDING
from app.api.posted.sessions import PostedSessions
from app.core.settings import Settings
from app.events.forgotten import ForgottenUsers
from app.events.ids import number_of
from app.events.merged_users import FOLDER, MergedUsers
from app.registry.manifest import MANIFEST
from app.stream.folders import StreamFolders
from app.stream.forgetting import MARKER, Marker
from tests.api.client import Answer, Api, event, landed
from tests.api.conftest import MakeApi
from tests.api.test_forgetting import KEYS, Influx, forget, listed, places
from tests.api.test_gate import is_problem
from tests.stream.shop import ANNA, STRANGER, recommender, write_bundle

COOKIE, PHONE = 900, 901  #: ids that the bundle does not know


def merge(api: Api, user: int | str, into: int | str, **options: Any) -> Answer:
    return api.post("/v1/users/merge", {"from_user_id": user, "into_user_id": into}, **options)


def merged(api: Api, user: int | str, into: int | str) -> dict[str, Any]:
    answer = merge(api, user, into)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def sessions(api: Api) -> PostedSessions:
    api.get("/v1/popular")  # any list: the log is followed before it
    return api.service._sessions


def test_two_histories_and_sessions_are_one_in_every_replica_at_once(make_api: MakeApi) -> None:
    here, there = make_api(), make_api()
    known = listed(here)
    here.post("/v1/events", event(1, user=COOKIE, product=120))
    alone = listed(here, COOKIE)
    assert alone != listed(here, STRANGER)
    receipt = merged(here, COOKIE, ANNA)
    assert (receipt["from_user_id"], receipt["into_user_id"], receipt["user_id"]) == ("900", "5", "5")
    assert datetime.fromisoformat(receipt["merged_at"]).tzinfo is not None
    one = listed(here)
    assert one not in (known, alone), "Anna's history, with the session that was the cookie's"
    here.post("/v1/events", event(2, user=PHONE, product=120))
    for api in (here, there, make_api()):
        assert listed(api) == one
        answer = api.get(f"/v1/users/{COOKIE}/recommendations").json()
        assert [int(product["product_id"]) for product in answer["products"]] == one
        assert answer["user_id"] == "5", "whose list it is"
        assert len(sessions(api)) == 2
    assert {row["user_id"] for row in landed(here.settings.output / "landing")} == {COOKIE, PHONE}, "as they came"
    # What either does from now on is Anna's.
    here.post("/v1/events", event(3, user=COOKIE, product=103))
    there.post("/v1/events", event(4, user=ANNA, product=125))
    both = listed(here)
    assert both != one
    for api in (here, there, make_api()):
        assert listed(api, COOKIE) == listed(api) == both
        assert [seen.product for seen in sessions(api).current(ANNA, 30)] == [120, 103, 125]


def test_the_known_history_of_the_merged_user_is_the_others(api: Api) -> None:
    known, strange = listed(api), listed(api, COOKIE)
    assert known != strange
    merged(api, ANNA, COOKIE)
    assert listed(api, COOKIE) == listed(api) == known


def test_chains_go_to_their_end(api: Api) -> None:
    known = listed(api)
    assert merged(api, COOKIE, PHONE)["user_id"] == str(PHONE)
    receipt = merged(api, PHONE, ANNA)
    assert receipt["user_id"] == str(ANNA)
    again = merged(api, COOKIE, PHONE)
    assert again == {**receipt, "from_user_id": str(COOKIE), "into_user_id": str(PHONE)}
    assert merged(api, 902, COOKIE)["user_id"] == str(ANNA), "into one who is Anna"
    for user in (COOKIE, PHONE, 902):
        assert listed(api, user) == known


def test_asked_for_again_nothing_changes(api: Api, make_api: MakeApi) -> None:
    first = merged(api, COOKIE, ANNA)
    for other in (api, make_api()):
        assert merged(other, COOKIE, ANNA) == first
        assert merged(other, str(COOKIE), f"{ANNA}.0") == {**first, "into_user_id": f"{ANNA}.0"}, "the same ids"
    assert len([*(api.settings.output / FOLDER).glob("*.json")]) == 1


def test_what_goes_against_an_earlier_merge_is_a_conflict(api: Api) -> None:
    merged(api, COOKIE, PHONE)
    merged(api, PHONE, ANNA)
    for user, into in ((ANNA, COOKIE), (ANNA, PHONE), (PHONE, COOKIE)):
        assert f"user '{into}' was merged into '{user}' already" in is_problem(merge(api, user, into), 409)
    for user in (COOKIE, PHONE):  # Anna was not asked for
        assert f"user '{user}' was merged into '{ANNA}' already" in is_problem(merge(api, user, STRANGER), 409)
    assert "the same user" in is_problem(merge(api, COOKIE, COOKIE), 422)
    assert "the same user" in is_problem(merge(api, COOKIE, f"{COOKIE}.0"), 422)
    assert len([*(api.settings.output / FOLDER).glob("*.json")]) == 2


def test_replicas_close_no_ring_together(make_api: MakeApi) -> None:
    here, there = make_api(), make_api()
    answers = [merge(here, 1, 2).status_code, merge(there, 2, 3).status_code, merge(here, 3, 1).status_code]
    assert answers == [200, 200, 409]
    asked = [("POST", "/v1/users/merge", {"from_user_id": 10 + n, "into_user_id": 10 + (n + 1) % 9}) for n in range(9)]
    assert sorted(answer.status_code for answer in here.together(asked)) == [200] * 8 + [409]


def test_who_was_forgotten_is_merged_with_nobody(api: Api) -> None:
    forget(api, COOKIE)
    for user, into in ((COOKIE, ANNA), (ANNA, COOKIE)):
        assert "was forgotten" in is_problem(merge(api, user, into), 409)
    assert not [*(api.settings.output / FOLDER).glob("*.json")]


@pytest.mark.parametrize("asked", [COOKIE, PHONE, ANNA])
def test_forgetting_one_forgets_all_who_are_one(make_api: MakeApi, asked: int) -> None:
    here, there = make_api(), make_api()
    strange = listed(here, STRANGER)
    merged(here, COOKIE, PHONE)
    merged(here, PHONE, ANNA)
    merged(here, 10, 11)
    here.post("/v1/events", {"events": [event(1, user=COOKIE, product=120), event(2, user=ANNA, product=125)]})
    assert listed(there) != strange
    forget(there, asked)
    for api in (here, there, make_api()):
        assert [listed(api, user) for user in (COOKIE, PHONE, ANNA)] == [strange] * 3
        assert len(sessions(api)) == 0
        assert {api.get(f"/v1/users/{user}").status_code for user in (COOKIE, PHONE, ANNA)} == {200}
    assert MergedUsers(here.settings.output).read().survivors == {10: 11}, "nothing tells who was one"
    # Who comes back is new, and by that id alone.
    here.post("/v1/events", event(3, user=COOKIE, product=120))
    assert listed(there, COOKIE) != strange
    assert listed(there) == strange
    assert merge(here, COOKIE, ANNA).status_code == 409


@pytest.mark.parametrize("text_ids", [False, True])
def test_all_who_are_one_are_taken_out_of_points(
    make_api: MakeApi, output: Path, monkeypatch: pytest.MonkeyPatch, text_ids: bool
) -> None:
    """By their ids as points have them, whichever id was asked for; the receipt waits for all of them."""
    influx = Influx(monkeypatch)
    chosen: dict[str, Any] = {"influx_url": "http://localhost:1"}
    if text_ids:
        chosen["layout"] = output / "shop.yaml"
        chosen["layout"].write_text(
            "columns: {event_time: t, product_id: p, user_id: u}\nevent_type: view\nids: text\n"
        )
        write_bundle(output / "models", "t", recommender(text_ids=True))
    api = make_api(**chosen)
    names: list[Any] = ["cookie", "phone", "anna"] if text_ids else [COOKIE, PHONE, ANNA]
    merged(api, names[0], names[1])
    merged(api, names[1], names[2])
    forget(api, names[1])
    points = api.service.forgotten_points
    points.work()
    assert sorted(user for user, _ in influx.asked) == sorted(names)
    now = api.service._now() + 400
    monkeypatch.setattr(points, "_now", lambda: now)
    influx.refused = names[0]
    points.work()
    assert {places(api.get(f"/v1/users/{name}").json())["InfluxDB"] for name in names} == {False}, "one is not done"
    influx.refused = None
    points.work()
    assert {places(api.get(f"/v1/users/{name}").json())["InfluxDB"] for name in names} == {True}
    assert [path.name for path in (output / "api" / PENDING).iterdir()] == [LOCK], "no id is kept any longer"


def test_who_was_forgotten_together_is_taken_out_of_points_by_any_replica(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was asked to forget may have been killed, and nobody asks for receipts of all ids."""
    influx, (here, there) = Influx(monkeypatch), (make_api(influx_url="http://localhost:1") for _ in range(2))
    merged(here, COOKIE, PHONE)
    merged(here, PHONE, ANNA)
    forget(here, PHONE)
    there.service.forgotten_points.work()
    assert sorted(user for user, _ in influx.asked) == [ANNA, COOKIE, PHONE]
    here.service.forgotten_points.work()
    assert len(influx.asked) == 3, "once is enough"
    now = there.service._now() + 400
    monkeypatch.setattr(there.service.forgotten_points, "_now", lambda: now)
    there.service.forgotten_points.work()
    assert places(here.get(f"/v1/users/{PHONE}").json())["InfluxDB"] is True


def test_ids_are_kept_before_nothing_tells_them(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a server that is killed before the merges are dropped."""
    influx, api = Influx(monkeypatch), make_api(influx_url="http://localhost:1")
    merged(api, COOKIE, ANNA)
    with monkeypatch.context() as killed:
        killed.setattr(MergedUsers, "remove", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        assert api.ask("DELETE", f"/v1/users/{ANNA}").status_code == 503
    api.service.forgotten_points.work()
    assert sorted(user for user, _ in influx.asked) == [ANNA, COOKIE]
    assert places(forget(api))["list of merged users"] is True


def test_what_a_killed_server_left_tied_is_in_the_receipt(api: Api, output: Path) -> None:
    merged(api, COOKIE, ANNA)
    for user in (COOKIE, ANNA):
        ForgottenUsers(output).forget(user, 1e10)
    assert places(api.get(f"/v1/users/{COOKIE}").json())["list of merged users"] is False
    assert places(forget(api, COOKIE))["list of merged users"] is True


def test_ids_may_be_of_text(make_api: MakeApi, output: Path) -> None:
    layout = output / "shop.yaml"
    layout.write_text("columns: {event_time: t, product_id: p, user_id: u}\nevent_type: view\nids: text\n")
    write_bundle(output / "models", "t", recommender(text_ids=True))
    api = make_api(layout=layout)
    api.post("/v1/events", event(1, user="cookie/8f", product=120))
    assert merged(api, " cookie/8f ", " anna")["user_id"] == "anna"
    answer = api.get("/v1/users/cookie%2F8f/recommendations").json()
    assert answer["user_id"] == "anna"
    assert answer == {
        **api.get("/v1/users/anna/recommendations").json(),
        "recommendation_id": answer["recommendation_id"],
    }
    anna = number_of("anna", text_ids=True)
    assert anna is not None
    assert [seen.product for seen in sessions(api).current(anna, 30)] == [120]
    assert merge(api, "null", "anna").status_code == 422


def test_a_merged_user_is_told_by_the_variant_of_the_other(make_api: MakeApi, output: Path) -> None:
    write_bundle(output / "models", "b", recommender(reverse=True), publish=False)
    api = make_api(challenger="b", challenger_share=0.5)
    variants = {user: api.get(f"/v1/users/{user}/recommendations").json()["variant"] for user in range(20)}
    one, other = (next(user for user, of in variants.items() if of == name) for name in ("champion", "challenger"))
    merged(api, one, other)
    assert api.get(f"/v1/users/{one}/recommendations").json()["variant"] == "challenger"


# --- Requests and receipts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"from_user_id": 1},
        {"from_user_id": 1, "into_user_id": None},
        {"from_user_id": 1, "into_user_id": ""},
        {"from_user_id": 1, "into_user_id": 2, "when": "now"},
        {"from_user_id": 1, "into_user_id": "anna"},
        {"from_user_id": "5.5", "into_user_id": 2},
        [1, 2],
    ],
)
def test_what_can_be_no_merge_is_refused(api: Api, body: Any) -> None:
    is_problem(api.post("/v1/users/merge", body), 422)
    assert not (api.settings.output / FOLDER).exists()


def test_the_writing_key_is_asked_for(make_api: MakeApi) -> None:
    api = make_api(**KEYS)
    for key, status in ((None, 401), (KEYS["read_key"], 403), (KEYS["write_key"], 200)):
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        assert merge(api, COOKIE, ANNA, headers=headers).status_code == status


def test_a_disk_that_fails_is_a_503_and_nothing_is_merged(api: Api, output: Path) -> None:
    known = listed(api)
    (output / FOLDER).write_text("in the way")
    answer = merge(api, COOKIE, ANNA)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert listed(api) == known, "a list that can't be read stops nothing"
    (output / FOLDER).unlink()
    assert listed(api, COOKIE) != known
    assert merged(api, COOKIE, ANNA)
    assert listed(api, COOKIE) == known


def test_a_receipt_says_who_has_yet_to_learn_of_it(api: Api, output: Path) -> None:
    folders = StreamFolders.of(Settings(output=output))
    folders.prepare()
    receipt = merged(api, COOKIE, ANNA)
    assert {place["place"]: place["done"] for place in receipt["places"]} == {
        "sessions and lists of the API": True,
        "lists of the stream": True,
        "sessions of the stream": False,
        "bundle in use": False,
    }
    assert not receipt["done"]
    moment = MergedUsers(output).read().latest
    (folders.root / MARKER).write_text(Marker(state=moment).model_dump_json())
    folder = write_bundle(output / "models", "b", recommender())
    manifest = json.loads((folder / MANIFEST).read_text())
    for until, done in ((moment - 1, False), (moment, True)):
        (folder / MANIFEST).write_text(json.dumps(manifest | {"merged_until": until}))
        assert merged(api, COOKIE, ANNA)["done"] is done
    merged(api, PHONE, ANNA)
    receipt = merged(api, COOKIE, PHONE)  # the two are one already, and since the later merge alone
    assert not receipt["done"]
