"""Posted events: durable before the answer, delivered once, used at once by every replica."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.api.posted import intake as intake_module
from app.api.posted.intake import Intake, log_folder
from app.api.posted.landed import check_layout
from app.core.errors import InputError, VitrineError
from app.core.settings import Settings
from app.events.layout import parse_layout
from app.events.vocabulary import RAW_COLUMNS
from app.stream.folders import POSTED
from tests.api.client import Api, event, ids, landed
from tests.api.conftest import MakeApi
from tests.stream.shop import START, recommender, write_bundle

SHOP_LAYOUT = """
columns: {event_time: when, event_type: what, product_id: sku, user_id: visitor, price: eur, event_id: key,
          recommendation_id: list, quantity: n}
event_types: {addtocart: cart, order: purchase, view: cart, look: view}
time: {format: epoch_milliseconds}
ids: text
leave_out: [{reason: a test, column: origin, is_one_of: [robot]}]
"""


def test_an_event_is_in_the_landing_folder_as_the_stream_reads_it(api: Api, output: Path) -> None:
    whole = event(
        1,
        user="77",
        user_session=" s-1 ",
        event_time="2019-10-01T14:00:00.25+02:00",
        category_id=7,
        category_code="a.x",
        brand="acme",
        price=2.5,
        quantity=2,
        recommendation_id="r-1",
    )
    answer = api.post("/v1/events", whole)
    assert answer.json() == {"accepted": 1, "duplicates": 0, "event_ids": ["e-1"]}
    (path,) = (output / "landing").iterdir()
    assert path.name.startswith(POSTED)
    assert pq.read_schema(path).names == [*RAW_COLUMNS, "event_id", "recommendation_id"]
    assert landed(output / "landing") == [
        {
            "event_time": datetime(2019, 10, 1, 12, 0, 0, 250_000, UTC),
            "event_type": "view",
            "product_id": 100,
            "category_id": 7,
            "category_code": "a.x",
            "brand": "acme",
            "price": 2.5,
            "user_id": 77,
            "user_session": "s-1",
            "event_id": "e-1",
            "recommendation_id": "r-1",
        }
    ]


def test_an_event_is_written_in_the_shops_own_layout(make_api: MakeApi, output: Path, tmp_path: Path) -> None:
    (tmp_path / "layout.yaml").write_text(SHOP_LAYOUT)
    write_bundle(output / "models", "text", recommender(text_ids=True))
    api = make_api(layout=tmp_path / "layout.yaml")
    moment = "2026-01-31T12:00:00.5Z"
    for number, kind in enumerate(("view", "cart", "purchase", "remove_from_cart")):
        assert api.post("/v1/events", event(number, "B2", 12, event_time=moment) | {"event_type": kind}).is_success
    rows = landed(output / "landing")
    assert [row["what"] for row in rows] == ["look", "addtocart", "order", "remove_from_cart"]
    assert rows[0] == {
        "when": 1769860800500,
        "what": "look",
        "sku": "12",
        "visitor": "B2",
        "eur": None,
        "key": "e-0",
        "list": None,
        "n": None,
        "origin": None,
    }


def test_times_are_written_as_the_layout_has_them(make_api: MakeApi, output: Path) -> None:
    (output / "layout.yaml").write_text(
        "columns: {event_time: t, event_type: e, product_id: p, user_id: u}\n"
        "time: {format: d/M/yyyy HH:mm:ss, zone: Europe/Paris}\n"
    )
    api = make_api(layout=output / "layout.yaml")
    assert api.post("/v1/events", event(1, event_time="2026-07-01T22:30:15Z")).is_success
    assert landed(output / "landing")[0]["t"] == "02/07/2026 00:30:15"


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ("columns: {event_time: t, event_type: e, product_id: p, user_id: u, event_id: [t, p]}", "several columns"),
        (
            "columns: {event_time: t, event_type: e, product_id: p, user_id: u}\nevent_types: {view: cart}",
            "no word for view",
        ),
        ("columns: {event_time: t, event_type: e, product_id: p, user_id: u, brand: p}", "column p stands for two"),
        (
            "columns: {event_time: t, event_type: e, product_id: p, user_id: u}\n"
            "time: {format: 'd/M/yyyy HH:mm:ss.SSS'}",
            "have a fraction",
        ),
        (
            "columns: {event_time: t, event_type: e, product_id: p, user_id: u}\n"
            "leave_out: [{reason: no till, column: till, missing: true}]",
            "leaves out rows without till",
        ),
    ],
)
def test_a_layout_that_would_lose_events_is_refused(layout: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_layout(parse_layout(layout, "shop.yaml"))


def test_the_shops_own_parquet_of_other_types_is_refused(make_api: MakeApi, output: Path) -> None:
    (output / "landing").mkdir()
    pq.write_table(pa.table({"event_time": ["2019-10-01 12:00:00 UTC"]}), output / "landing" / "own.parquet")
    with pytest.raises(InputError, match=r"own\.parquet: column event_time is string"):
        make_api()


def test_events_that_come_together_share_a_file(api: Api, output: Path) -> None:
    answers = api.together([("POST", "/v1/events", event(number)) for number in range(50)])
    assert all(answer.json()["accepted"] == 1 for answer in answers)
    assert sorted(row["event_id"] for row in landed(output / "landing")) == sorted(f"e-{n}" for n in range(50))
    assert len(list((output / "landing").iterdir())) <= 10, "what comes while a file is written shares the next"


def test_files_of_a_busy_shop_are_some_time_apart(make_api: MakeApi, output: Path) -> None:
    api = make_api(commit_seconds=0.2)
    for number in range(3):
        assert api.post("/v1/events", event(number)).is_success
    times = sorted(path.stat().st_mtime for path in (output / "landing").iterdir())
    assert len(times) == 3
    assert times[-1] - times[0] > 0.3


def test_an_event_that_is_sent_again_is_taken_once(make_api: MakeApi, output: Path) -> None:
    first, second = make_api(), make_api()
    many = {"events": [event(1), event(2), event(1)]}
    assert first.post("/v1/events", many).json() == {
        "accepted": 2,
        "duplicates": 1,
        "event_ids": ["e-1", "e-2", "e-1"],
    }
    assert second.post("/v1/events", many).json()["accepted"] == 0, "to the other replica"
    assert make_api().post("/v1/events", {"events": [event(2), event(3)]}).json()["accepted"] == 1, "after a restart"
    answers = first.together([("POST", "/v1/events", event(4))] * 5)
    assert sum(answer.json()["accepted"] for answer in answers) == 1, "at the same time"
    assert sorted(row["event_id"] for row in landed(output / "landing")) == ["e-1", "e-2", "e-3", "e-4"]


def test_ids_are_remembered_for_as_long_as_is_set(output: Path) -> None:
    clock, hour = [START.timestamp()], 3600

    def taken(intake: Intake, number: int) -> int:
        accepted = intake_module.AcceptedEvent(
            event_id=f"e-{number}", event_time=START, event_type="view", product_id="100", user_id="7"
        )
        return intake.take([[accepted]])[0].accepted

    intake = Intake(Settings(output=output, remember_hours=24), now=lambda: clock[0])
    for number in range(30):  # one an hour
        assert taken(intake, number) == 1
        assert taken(intake, number) == 0
        clock[0] += hour
        intake.tidy()
    assert [taken(intake, number) for number in range(6, 30)] == [0] * 24, "of the last day"
    assert taken(intake, 0) == 1, "long forgotten"
    assert len(list(log_folder(Settings(output=output)).glob("*.jsonl"))) <= 26
    again = Intake(Settings(output=output, remember_hours=24), now=lambda: clock[0])
    assert taken(again, 100) == 1
    numbers = [int(path.stem.rpartition("-")[2]) for path in (output / "landing").iterdir()]
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "no number is given twice"


def test_a_session_is_used_at_once_by_every_replica(make_api: MakeApi) -> None:
    first, second = make_api(), make_api()
    assert ids(second.get("/v1/users/77/recommendations?count=1")) == [100]
    first.post("/v1/events", event(1, product=120))
    for api in (first, second, make_api()):
        assert ids(api.get("/v1/users/77/recommendations?count=2")) == [121, 122]
    second.post("/v1/events", event(2, product=103) | {"event_type": "purchase"})
    for api in (first, second):
        listed = ids(api.get("/v1/users/77/recommendations?count=29"))
        assert listed[0] == 104
        assert 103 not in listed, "it was bought"
    assert first.metric("vitrine_api_sessions") == 1


WRONG: list[tuple[Any, str]] = [
    ({}, "event_type: Field required"),
    ([], "body"),
    ({"events": []}, "body/events"),
    ({"events": [event(1)] * 1001}, "body/events"),
    (event(1) | {"event_type": "look"}, "body/event_type"),
    (event(1) | {"user_id": None}, "body/user_id"),
    (event(1) | {"user_id": True}, "an id is text, or an integer"),
    (event(1) | {"user_id": 2**63}, "an id is text, or an integer"),
    (event(1) | {"user_id": 1.5}, "an id is text, or an integer"),
    (event(1) | {"user_id": "anna"}, "ids are integers"),
    (event(1) | {"product_id": " null "}, "body/product_id: is no id of this shop"),
    (event(1) | {"product_id": "x" * 257}, "body/product_id"),
    (event(1) | {"event_id": "NaN"}, "event_id: stands for nothing"),
    (event(1) | {"event_time": "2019-10-01T12:00:00"}, "timezone"),
    (event(1) | {"event_time": "yesterday"}, "event_time"),
    (event(1) | {"event_time": "1999-12-31T23:59:59Z"}, "out of range"),
    (event(1) | {"event_time": "2999-01-01T00:00:00Z"}, "out of range"),
    (event(1) | {"price": -1}, "body/price"),
    (event(1) | {"quantity": 0}, "body/quantity"),
    (event(1) | {"quantity": 1_000_001}, "body/quantity"),
    (event(1) | {"colour": "red"}, "body/colour"),
    ({"events": [event(1), event(2) | {"product_id": "p"}]}, "body/events/1/product_id: is no id of this shop"),
]


@pytest.mark.parametrize(("body", "says"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_event_is_named_and_nothing_is_written(body: Any, says: str, api: Api, output: Path) -> None:
    answer = api.post("/v1/events", body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.text
    assert not landed(output / "landing")
    assert not list(log_folder(api.settings).glob("*.jsonl"))


def test_what_a_killed_writer_left_of_a_line_is_cut_off(make_api: MakeApi, output: Path) -> None:
    first = make_api()
    first.post("/v1/events", event(1))
    (log,) = log_folder(first.settings).glob("*.jsonl")
    with log.open("ab") as file:
        file.write(b'{"number": 2, "at": 1, "ev')
    assert first.post("/v1/events", event(2)).json()["accepted"] == 1
    assert make_api().post("/v1/events", event(3)).json()["accepted"] == 1
    assert [json.loads(line)["number"] for line in log.read_text().splitlines()] == [1, 2, 3]
    assert [row["event_id"] for row in landed(output / "landing")] == ["e-1", "e-2", "e-3"]


def test_what_a_killed_writer_did_not_deliver_another_does(
    make_api: MakeApi, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, other = make_api(), make_api()
    killed.post("/v1/events", event(1))
    with monkeypatch.context() as patch:
        patch.setattr(Intake, "_deliver", lambda *_: (_ for _ in ()).throw(OSError("killed here")))
        answer = killed.post("/v1/events", event(2))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
    assert len(landed(output / "landing")) == 1
    assert other.post("/v1/events", event(2)).json()["duplicates"] == 1
    assert [row["event_id"] for row in landed(output / "landing")] == ["e-1", "e-2"]


def test_a_delivered_file_that_the_stream_has_cleaned_is_not_delivered_again(make_api: MakeApi, output: Path) -> None:
    api = make_api()
    api.post("/v1/events", event(1))
    for path in (output / "landing").iterdir():
        path.unlink()
    assert make_api().post("/v1/events", event(1)).json()["duplicates"] == 1
    assert not landed(output / "landing")


def test_a_full_disk_is_an_answer_and_the_next_try_works(
    api: Api, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("app.api.posted.log.os.fsync", full)
        assert api.post("/v1/events", event(1)).status_code == 503
    assert api.post("/v1/events", event(1)).status_code == 200
    assert [row["event_id"] for row in landed(output / "landing")] == ["e-1"]


def test_a_damaged_log_is_said_at_the_start_and_lists_go_on_without_it(make_api: MakeApi) -> None:
    api = make_api()
    api.post("/v1/events", event(1))
    (log,) = log_folder(api.settings).glob("*.jsonl")
    with log.open("ab") as file:
        file.write(b"\0\0\0\n")
    assert ids(api.get("/v1/popular?count=1")) == [100]
    assert api.metric("vitrine_api_log_failures_total") == 1
    assert api.post("/v1/events", event(2)).status_code == 503
    with pytest.raises(VitrineError, match=r"jsonl: is damaged after byte 0; move it away"):
        make_api()
