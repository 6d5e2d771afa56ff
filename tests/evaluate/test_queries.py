"""The split in time: no query knows its own future, which a random split leaks."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.duck import Connection, connect, read, write
from app.core.parts import part_files
from app.evaluate.queries import Bounds, StoredQueries, session_queries, user_queries, write_queries
from app.evaluate.targets import ANY, BITS
from app.events.vocabulary import KINDS, TOUCHES
from app.features.slices import Slice
from tests.handmade import Event, by_key, events_relation, moment, relation, stored_events

VIEWED, CARTED, BOUGHT = (ANY | BITS[name] for name in ("view", "cart", "purchase"))
NEW_VIEWED = VIEWED | BITS["new"]
SESSIONS = 60
MAX_EVENTS = 50


def log() -> list[Event]:
    """Sessions of six products in turn, a minute apart, with a purchase of the second and a second look at the first;
    one of a single product, one of a single event, one that only looks at the same product twice."""
    events: list[Event] = []
    for user in range(SESSIONS):
        session = {"user_session": f"s{user}"}
        events += [(user, product, "view", f"10-02 10:{product:02}", session) for product in range(1, 7)]
        events += [(user, 2, "purchase", "10-02 10:02:30", session), (user, 1, "cart", "10-02 10:05:30", session)]
    events += [(900, 1, "view", f"10-02 11:0{minute}", {"user_session": "one product"}) for minute in range(3)]
    events += [(901, 1, "view", "10-02 11:00", {"user_session": "one event"})]
    events += [
        (902, number, "view", f"10-02 {12 + number // 60}:{number % 60:02}", {"user_session": "long"})
        for number in range(300)
    ]
    return events


#: the order in which the products of a session are touched, with what is done
STEPS = [(1, 1), (2, 1), (2, 5), (3, 1), (4, 1), (5, 1), (1, 3), (6, 1)]


@pytest.fixture(scope="module")
def queries(duck: Connection) -> dict[Any, dict[str, Any]]:
    known = relation(duck, [(user, "VIP") for user in range(30)], "user_id bigint, segment varchar")
    new = relation(duck, [(6,), (7,)], "product_id bigint")
    found = session_queries(events_relation(duck, log()), known, new, max_events=MAX_EVENTS, max_products=40)
    return by_key(found, "user_id")


def regular(queries: dict[Any, dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Queries of the like sessions, with the number of events before the cut, told from the time of asking."""
    seconds = [60, 120, 150, 180, 240, 300, 330, 360]
    start = int(moment("10-02 10:00").timestamp())
    rows = [queries[user] for user in range(SESSIONS) if user in queries]
    return [(seconds.index(row["asked_at"] - start) + 1, row) for row in rows]


def test_a_query_holds_just_the_events_before_its_cut(queries: dict[Any, dict[str, Any]]) -> None:
    found = regular(queries)
    assert len(found) > SESSIONS / 2
    for cut, row in found:
        touched: dict[int, float] = {}
        for product, rating in STEPS[:cut]:
            touched[product] = touched.pop(product, 0) + rating
        assert row["product_ids"] == list(touched), "once each, by last touch, oldest first"
        assert row["weights"] == [min(rating, 10) for rating in touched.values()]
        assert [KINDS[kind] == "purchase" for kind in row["kinds"]] == [
            product == 2 and cut >= 3 for product in touched
        ]
        assert row["times"] == sorted(row["times"])


def test_relevant_is_the_rest_without_the_product_on_screen(queries: dict[Any, dict[str, Any]]) -> None:
    for cut, row in regular(queries):
        rest = {product for product, _ in STEPS[cut:]} - {STEPS[cut - 1][0]}
        assert set(row["relevant"]) == rest
        assert len(row["relevant"]) == len(rest)
        assert row["product_ids"][-1] not in row["relevant"]


def test_targets_say_what_was_done_after_the_cut(queries: dict[Any, dict[str, Any]]) -> None:
    """2 is viewed and then bought, 1 viewed and later put into the cart; 6 is new."""
    for cut, row in regular(queries):
        targets = dict(zip(row["relevant"], row["targets"], strict=True))
        assert targets.get(2, BOUGHT) == (BOUGHT | VIEWED if cut < 2 else BOUGHT)
        assert targets.get(1, CARTED) == CARTED
        assert targets.get(6, NEW_VIEWED) == NEW_VIEWED
        assert all(targets.get(product, VIEWED) == VIEWED for product in (3, 4, 5))


def test_cuts_are_spread_over_the_session(queries: dict[Any, dict[str, Any]]) -> None:
    assert len({cut for cut, _ in regular(queries)}) >= 5


def test_sessions_without_a_next_product_ask_nothing(queries: dict[Any, dict[str, Any]]) -> None:
    assert not {900, 901} & set(queries)


def test_a_long_session_is_bounded(queries: dict[Any, dict[str, Any]]) -> None:
    row = queries[902]
    cut = row["product_ids"][-1] + 1
    assert row["product_ids"] == list(range(max(0, cut - min(40, MAX_EVENTS)), cut))
    assert sorted(row["relevant"]) == list(range(cut, 300))


def test_segment_is_that_before_the_cut_or_none(queries: dict[Any, dict[str, Any]]) -> None:
    assert {row["segment"] for user, row in queries.items() if user < 30} == {"VIP"}
    assert {row["segment"] for user, row in queries.items() if user >= 30} == {None}


def test_user_queries_ask_for_all_of_a_user_with_nothing_given(duck: Connection) -> None:
    known = relation(duck, [(900, "VIP")], "user_id bigint, segment varchar")
    new = relation(duck, [(6,)], "product_id bigint")
    rows = by_key(user_queries(events_relation(duck, log()), known, new), "user_id")
    assert len(rows) == SESSIONS + 3
    assert rows[0]["relevant"] == [1, 2, 3, 4, 5, 6]
    assert rows[0]["targets"] == [CARTED | VIEWED, BOUGHT | VIEWED, VIEWED, VIEWED, VIEWED, NEW_VIEWED]
    assert [rows[0][name] for name in TOUCHES] == [[], [], [], []]
    assert rows[0]["asked_at"] == int(moment("10-02 10:01").timestamp())
    assert (rows[900]["segment"], rows[901]["segment"]) == ("VIP", None)


def test_halves_of_a_slice_share_no_query(spark: SparkSession, tmp_path: Path) -> None:
    """What is learned from is asked before a moment, what is tested from it on: each query once."""
    moments = [100, 200, 200, 300]
    for task in ("session", "user"):
        (tmp_path / task).mkdir()
        table = {"query": [1, 2, 3, 4], "asked_at": moments, "task": [task] * 4}
        pq.write_table(pa.table(table), tmp_path / task / "part-00000.parquet")
    stored = StoredQueries(spark, tmp_path, 10)
    assert stored.count("user") == 4
    assert (stored.count("user", until=200), stored.count("user", since=200)) == (1, 3)
    later = stored.sample(since=200).to_pylist()
    assert {(row["task"], row["query"]) for row in later} == {
        (task, query) for task in ("session", "user") for query in (2, 3, 4)
    }


QUERY_NAMES = pa.schema([("task", pa.string()), ("query", pa.int64())])


def test_sampling_keeps_about_the_limit_and_always_the_same(spark: SparkSession, tmp_path: Path) -> None:
    log: list[Event] = [(user, 1, "view", f"10-0{day} 10:00") for user in range(2000) for day in (1, 2)]
    cut, bounds = moment("10-02 00:00"), Bounds(queries=500, events=10, products=5)
    found = []
    for name, events in (("one", log), ("other", log[::-1])):
        table = stored_events(tmp_path / name, events)
        with connect(tmp_path / "spill") as connection:
            (tmp_path / f"{name} segments").mkdir()
            for number, file in enumerate(part_files(table)):
                users = read(connection, file).select("user_id, 0 as segment_id").distinct()
                write(users, tmp_path / f"{name} segments" / f"part-{number:05d}.parquet")
        segments = tmp_path / f"{name} segments"
        with connect(tmp_path / "spill") as connection:
            (tmp_path / name / "products").mkdir(parents=True)
            products = relation(connection, [(1, moment("10-01 10:00"))], "product_id bigint, first_seen timestamp")
            write(products, tmp_path / name / "products" / "part-00000.parquet")
        whole = Slice(spark, moment("10-03 00:00"), table, None, tmp_path / name)
        stored = write_queries(whole, cut, None, segments, ["it's VIP"], bounds, tmp_path / f"{name} queries")
        queries = stored.sample().to_pylist()
        asked = stored.ask(lambda queries: queries.select(["task", "query"]), QUERY_NAMES).to_pylist()
        names = [(row["task"], row["query"]) for row in queries]
        assert sorted((row["task"], row["query"]) for row in asked) == sorted(names)
        assert {row["segment"] for row in queries} == {"it's VIP"}
        found.append({(row["task"], row["user_id"]) for row in queries})
    assert found[0] == found[1]
    assert 420 <= len(found[0]) <= 580
