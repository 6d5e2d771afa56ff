"""What lists led to: each event once, with the place it came from, whichever replica answered and took it."""

import asyncio
import threading
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.api.attribution import answered as answered_module
from app.api.attribution import counter as counter_module
from app.api.attribution.answered import Answered, AnsweredLists, Because, find, follow, prune
from app.api.attribution.attribution import Attribution
from app.api.attribution.counter import Counter, Folders
from app.api.attribution.counts import FILE, Counts, Step
from app.api.posted.intake import log_folder
from app.api.posted.log import EventLog
from app.core.errors import VitrineError
from app.core.settings import Settings
from tests.api.client import Api, event
from tests.api.conftest import MakeApi

LATER = 60.0  #: seconds, by which every event has settled


def led_to(output: Path, table: str, **chosen: Any) -> dict[str, float]:
    """Sums of a table over all windows, of the rows chosen."""
    counts = Counts(Folders.of(Settings(output=output)).counts)
    rows = [row for row in counts.since(table, 0) if chosen.items() <= row.items()]
    counts.close()
    names = {name for row in rows for name, value in row.items() if isinstance(value, float)}
    return {name: sum(float(row[name]) for row in rows) for name in sorted(names)}


def outcomes(output: Path) -> dict[tuple[str, str], float]:
    """Events by type and outcome, of all windows."""
    counts = Counts(Folders.of(Settings(output=output)).counts)
    found: defaultdict[tuple[str, str], float] = defaultdict(float)
    for row in counts.since("events", 0):
        found[str(row["event_type"]), str(row["outcome"])] += float(row["events"])
    counts.close()
    return dict(found)


def count(api: Api) -> None:
    """As the server does every few seconds, once all that was posted has settled."""
    api.service.attribution.write()
    now = api.service._now
    api.service.attribution._counter._now = lambda: now() + LATER
    asyncio.run(api.service.attribution.count())


def answer(api: Api, **ask: Any) -> tuple[str, list[str]]:
    """Id and products of a list."""
    body = api.post("/v1/recommendations", ask).json()
    return body["recommendation_id"], [product["product_id"] for product in body["products"]]


def post(api: Api, number: int, recommendation_id: str, **others: Any) -> None:
    assert api.post("/v1/events", event(number, recommendation_id=recommendation_id, **others)).is_success


def test_a_click_a_cart_and_a_purchase_are_those_of_their_place(api: Api, output: Path) -> None:
    seen = [{"event_type": "view", "product_id": 120}]
    recommendation_id, products = answer(api, session=seen, count=4)
    assert products == ["121", "122", "123", "124"]
    answer(api, session=[], count=3)
    post(api, 1, recommendation_id, product=122)
    post(api, 2, recommendation_id, product=122)  # the same place once more
    post(api, 3, recommendation_id, product=122, event_type="cart")
    post(api, 4, recommendation_id, product=124, event_type="purchase", price=2.5, quantity=2)
    post(api, 5, recommendation_id, product=100)
    post(api, 6, "5f1c0ab2c3d4e5f60718293a", product=122)
    post(api, 7, recommendation_id, product=122, event_type="remove_from_cart")
    count(api)
    assert led_to(output, "places", source="covisitation", reason="session") == {
        "shown": 4, "clicked": 1, "carted": 1, "bought": 1, "revenue": 5,
    }  # fmt: skip
    assert led_to(output, "places", source="popularity", reason="shop") == {
        "shown": 3, "clicked": 0, "carted": 0, "bought": 0, "revenue": 0,
    }  # fmt: skip
    assert led_to(output, "lists", variant="champion", model_version="a", experiment="") == {
        "answered": 2, "clicked": 1, "carted": 1, "bought": 1, "revenue": 5,
    }  # fmt: skip
    assert outcomes(output) == {
        ("view", "attributed"): 2,
        ("view", "not_in_list"): 1,
        ("view", "unknown_list"): 1,
        ("cart", "attributed"): 1,
        ("purchase", "attributed"): 1,
        ("remove_from_cart", "attributed"): 1,
    }
    labels = {"variant": "champion", "source": "covisitation", "reason": "session"}
    assert api.metric("vitrine_api_places_total", **labels) == 4
    assert api.metric("vitrine_api_touched_places_total", what="clicked", **labels) == 1
    assert api.metric("vitrine_api_attributed_events_total", event_type="view", outcome="not_in_list") == 1


def test_an_event_is_counted_once_whoever_takes_it_and_whoever_counts(make_api: MakeApi, output: Path) -> None:
    first, second = make_api(), make_api()
    lists = [answer(api, count=2) for api in (first, second)]
    for api in (first, second, second, first):  # each event is sent to both replicas, twice
        for number, (recommendation_id, products) in enumerate(lists):
            post(api, number, recommendation_id, product=products[0], event_type="purchase", price=1)
    for api in (second, first):
        api.service.attribution.write()
    count(first)
    count(second)  # the first has the counting
    first.service.attribution.close()
    count(second)
    expected = {"answered": 2, "clicked": 0, "carted": 0, "bought": 2, "revenue": 2}
    assert led_to(output, "lists") == expected
    third = make_api()
    post(third, 9, lists[0][0], product=lists[0][1][1], event_type="purchase", price=1)
    count(second)
    assert led_to(output, "lists") == expected | {"revenue": 3}
    assert led_to(output, "places")["bought"] == 3


def test_an_event_waits_until_its_list_is_written_down(api: Api, output: Path) -> None:
    recommendation_id, products = answer(api, count=2)
    post(api, 1, recommendation_id, product=products[0])
    asyncio.run(api.service.attribution.count())
    assert outcomes(output) == {}
    count(api)
    assert outcomes(output) == {("view", "attributed"): 1}


def test_what_came_too_late_is_not_attributed(make_api: MakeApi, output: Path) -> None:
    api = make_api(attribution_hours=0.01)
    recommendation_id, products = answer(api, count=2)
    api.service.attribution.write()
    posted_at = api.service._now() + 40
    api.service._intake._now = lambda: posted_at  # type: ignore[union-attr]
    post(api, 1, recommendation_id, product=products[0])
    count(api)
    assert outcomes(output) == {("view", "unknown_list"): 1}


def test_a_step_that_fails_is_done_again(api: Api, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommendation_id, products = answer(api, count=2)
    post(api, 1, recommendation_id, product=products[0])
    take = Counts.take

    def failing(self: Counts, step: Step, reached: dict[str, int]) -> None:
        raise VitrineError("the disk is full")

    monkeypatch.setattr(Counts, "take", failing)
    count(api)
    assert api.metric("vitrine_api_list_failures_total") == 1
    monkeypatch.setattr(Counts, "take", take)
    for _ in range(2):
        count(api)
    assert led_to(output, "places")["clicked"] == 1
    assert led_to(output, "lists")["answered"] == 1


def test_a_damaged_database_is_one_line_and_lists_go_on(
    make_api: MakeApi, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Folders.of(Settings(output=output)).counts
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"no database" * 500)
    api = make_api()
    for _ in range(2):
        count(api)
    (line,) = [record.message for record in caplog.records]
    assert "move it away" in line
    assert answer(api, count=1)[1] == ["100"]
    (folder / FILE).unlink()
    count(api)
    assert led_to(output, "lists")["answered"] == 1


# --- Lists as they are written down ------------------------------------------------------------------


def a_list(at: float, *products: str) -> Answered:
    causes = (Because(source="als", reason="history"), Because(source="content", reason="session"))
    because = tuple(place % 2 for place in range(len(products)))
    return Answered(
        at=at, model_version="é", variant="champion", experiment="", products=products, causes=causes, because=because
    )


def test_a_list_is_found_by_its_id_in_any_process(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    lists = [a_list(now + number * 1800, *map(str, range(number))) for number in range(6)]  # over three hours
    ids = []
    writers = [AnsweredLists(tmp_path, lambda: now) for _ in range(2)]
    for number, one in enumerate(lists):
        ids.append(writers[number % 2].add(one))
        if number == 3:
            writers[1].write()
    for writer in writers:
        writer.write()
        writer.write()
    assert len(set(ids)) == 6
    assert all(len(one) == 24 for one in ids)
    assert [find(tmp_path, one) for one in ids] == lists
    read = [one for lines in follow(tmp_path, {}, 10**6) for one in lines.lists()]
    assert sorted(read, key=lambda one: one.at) == lists


@pytest.mark.parametrize(
    "wrong", ["", "r-1", "5f1c0ab2c3d4e5f60718293a", "../../x", "{}0000000005", "{}00000000ff", "{}000000000"]
)
def test_an_id_that_is_none_of_ours_finds_nothing(tmp_path: Path, wrong: str) -> None:
    writer = AnsweredLists(tmp_path)
    head = writer.add(a_list(1.0, "1"))[:14]
    writer.write()
    assert find(tmp_path, wrong.format(head)) is None


def test_reading_goes_on_where_it_was_and_leaves_a_cut_line(tmp_path: Path) -> None:
    writer = AnsweredLists(tmp_path, lambda: 0.0)
    first = a_list(1.0, "1")
    writer.add(first)
    writer.write()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    second = a_list(2.0, "2")
    path.write_bytes(whole + second.line()[:-9])
    (lines,) = follow(tmp_path, {}, 10**6)
    assert list(lines.lists()) == [first]
    assert list(follow(tmp_path, {lines.name: lines.end}, 10**6)) == []
    path.write_bytes(whole + second.line())
    (rest,) = follow(tmp_path, {lines.name: lines.end}, 10**6)
    assert list(rest.lists()) == [second]


def test_some_is_read_at_a_time(tmp_path: Path) -> None:
    writer = AnsweredLists(tmp_path, lambda: 0.0)
    for number in range(20):
        writer.add(a_list(float(number), "1"))
    writer.write()
    ends: dict[str, int] = {}
    read: list[float] = []
    rounds = 0
    while found := list(follow(tmp_path, ends, 300)):
        rounds += 1
        for lines in found:
            read += [one.at for one in lines.lists()]
            ends[lines.name] = lines.end
    assert read == list(range(20))
    assert rounds > 5


def test_a_disk_that_fails_costs_what_waited_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = AnsweredLists(tmp_path / "lists", lambda: 0.0)
    kept = writer.add(a_list(1.0, "1"))
    writer.write()
    lost = writer.add(a_list(2.0, "2"))
    (tmp_path / "lists").rename(tmp_path / "away")
    (tmp_path / "lists").write_text("in the way")
    with pytest.raises(OSError, match="exists"):
        writer.write()
    (tmp_path / "lists").unlink()
    (tmp_path / "away").rename(tmp_path / "lists")
    later = writer.add(a_list(3.0, "3"))
    writer.write()
    found = [find(tmp_path / "lists", one) for one in (kept, lost, later)]
    assert [one and one.products for one in found] == [("1",), None, ("3",)]


def test_old_lists_are_deleted(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    writer = AnsweredLists(tmp_path, lambda: now)
    old, young = writer.add(a_list(now - 90_000, "1")), writer.add(a_list(now, "2"))
    writer.write()
    kept = prune(tmp_path, now - 86_400)
    assert kept == {path.name for path in tmp_path.iterdir()}
    assert find(tmp_path, old) is None
    assert find(tmp_path, young) is not None
    assert answered_module.HOUR == 3600


def test_what_need_not_be_known_any_more_is_forgotten(tmp_path: Path) -> None:
    settings = Settings(output=tmp_path, attribution_hours=1)
    now = [1_800_000_000.0]
    lists = AnsweredLists(Folders.of(settings).lists, lambda: now[0])
    lists.add(a_list(now[0], "1"))
    lists.write()
    counter = Counter(settings, lambda: now[0])
    assert counter.begin()
    counting = counter.unread()
    for lines in counting.unread:
        counter.show(lines, counting)
    counter.finish(counting)
    assert counter.counts is not None
    assert len(counter.counts.reached()) == 1
    now[0] += 3 * 3600
    counter.prune()
    assert counter.counts.reached() == {}
    assert [row["answered"] for row in counter.counts.since("lists", 0)] == [1]
    now[0] += 40 * 86_400
    counter.prune()
    assert counter.counts.since("lists", 0) == []
    counter.close()


def test_another_process_counts_once_the_first_is_gone(tmp_path: Path) -> None:
    settings = Settings(output=tmp_path)
    first, second = Counter(settings, lambda: 0.0), Counter(settings, lambda: 0.0)
    assert (first.begin(), first.begin(), second.begin()) == (True, True, False)
    first.close()
    assert (second.begin(), first.begin()) == (True, False)
    second.close()


def test_a_replica_that_stands_still_keeps_no_other_from_counting(tmp_path: Path) -> None:
    """It holds the lock of the log of posted events, which is there to be read."""
    settings = Settings(output=tmp_path)
    EventLog(log_folder(settings))
    counter, begun = Counter(settings, lambda: 0.0), list[bool]()
    thread = threading.Thread(target=lambda: begun.append(counter.begin()), daemon=True)
    with EventLog(log_folder(settings)).alone():
        thread.start()
        thread.join(5)
        assert begun == [True]
    counter.close()


def test_a_count_that_is_broken_off_is_done_again_and_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.api.metrics import ApiMetrics

    settings = Settings(output=tmp_path)
    lists = AnsweredLists(Folders.of(settings).lists, lambda: 0.0)
    each = len(a_list(0.0, "1").line())
    number = 3 * answered_module.PORTION // each
    for _ in range(number):
        lists.add(a_list(0.0, "1"))
    lists.write()

    async def breaks_off(attribution: Attribution) -> None:
        shown = asyncio.Event()
        monkeypatch.setattr(attribution._counter, "show", lambda *_: shown.set())
        counting = asyncio.create_task(attribution.count())
        await shown.wait()  # the first portion, and two more to come
        counting.cancel()
        await asyncio.wait([counting])
        attribution.close()
        assert counting.cancelled()

    asyncio.run(breaks_off(Attribution(settings, ApiMetrics(), lambda: 0.0)))
    assert led_to(tmp_path, "lists") == {}
    attribution = Attribution(settings, ApiMetrics(), lambda: 0.0)
    asyncio.run(attribution.count())
    asyncio.run(attribution.count())
    attribution.close()
    assert led_to(tmp_path, "lists")["answered"] == number


def test_one_that_is_behind_goes_on_at_once_and_deletes_nothing_that_is_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.api.metrics import ApiMetrics

    monkeypatch.setattr(counter_module, "MOST_BYTES", 1_000)
    settings, now = Settings(output=tmp_path, attribution_hours=1), 1_800_000_000.0
    old, young = (AnsweredLists(Folders.of(settings).lists, partial(float, at)) for at in (now - 9 * 3600, now))
    for number in range(20):
        old.add(a_list(now - 9 * 3600, str(number)))
        young.add(a_list(now, str(number)))
    old.write()
    young.write()
    attribution = Attribution(settings, ApiMetrics(), lambda: now)
    asyncio.run(attribution.count())
    attribution.close()
    assert led_to(tmp_path, "lists")["answered"] == 40
    assert len([*Folders.of(settings).lists.iterdir()]) == 1, "what was counted and is old is deleted"


def test_it_says_nothing_where_nothing_happens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from app.api.metrics import ApiMetrics

    attribution = Attribution(Settings(output=tmp_path), ApiMetrics(), lambda: 0.0)
    attribution.write()
    asyncio.run(attribution.count())
    attribution.close()
    assert caplog.records == []
