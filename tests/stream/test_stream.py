"""The stream as a whole, in this process: what comes out for what goes in."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from app.registry.bundle import Bundle
from app.stream.epoch import marked
from app.stream.replay import Pace, replay
from app.stream.window_files import WINDOW_KEY
from tests.arrays import visitors
from tests.stream.lists import latest_lists, read_lists
from tests.stream.shop import (
    ANNA,
    PRODUCTS,
    START,
    Event,
    Running,
    csv_row,
    damage,
    folder_rows,
    listed,
    recommender,
    write_bundle,
)


def test_one_known_and_ninety_nine_unknown_users_all_get_ten_products(live: Running) -> None:
    strangers = list(range(1_000, 1_099))
    live.deliver("crowd.csv", [(0, "view", 100 + user % 30, user, f"s{user}") for user in [ANNA, *strangers]])
    lists = {user: listed(live, user) for user in [ANNA, *strangers]}
    assert {len(set(products)) for products in lists.values()} == {10}
    assert all(100 + user % 30 not in products for user, products in lists.items())  # what is on screen
    assert 103 not in lists[ANNA]  # bought the day before
    assert sum(103 in products for products in lists.values()) > 10  # others may have it


def test_a_product_bought_in_the_session_does_not_come_back(live: Running) -> None:
    user = 2_000
    live.deliver("look.csv", [(10, "view", 100, user, "b"), (11, "view", 102, user, "b")])
    assert 101 in listed(live, user)
    live.deliver("buy.csv", [(12, "cart", 101, user, "b"), (13, "purchase", 101, user, "b")])
    live.deliver("on.csv", [(14, "view", 104, user, "b")])
    assert 101 not in listed(live, user)
    assert 100 in listed(live, user)  # seen but not bought may come back


@pytest.mark.parametrize(("user", "number"), [(ANNA, 1), (3_000, 2)])
def test_stream_and_batch_agree(live: Running, user: int, number: int) -> None:
    """The visit is worked out by hand: by last touch, ratings summed and capped, removals count nothing."""
    session = f"agree{number}"
    live.deliver(f"{session}.csv", [(20, "view", 110, user, session), (21, "cart", 118, user, session)])
    rows: list[Event | str] = [(22, "view", 110, user, session), (23, "remove_from_cart", 118, user, session)]
    live.deliver(f"{session}-more.csv", [*rows, (24, "purchase", 107, user, session), (25, "view", 109, user, session)])
    visit = visitors(
        [user], [[110, 118, 107, 109]], START.timestamp() + 25, [[2, 3, 5, 1]], [[False, False, True, False]]
    )
    answer = Bundle.open(live.folders.models / "a").recommender.recommend(visit, 10)
    assert listed(live, user) == PRODUCTS[answer.lists.items[0]].tolist()
    table = latest_lists(live.folders.lists, marked(live.folders)).to_pylist()
    scores = [row["rec_score"] for row in sorted(table, key=lambda row: row["rank"]) if row["user_id"] == user]
    assert scores == pytest.approx(answer.lists.scores[0].tolist())


def test_a_user_in_two_sessions_at_once_gets_one_list_of_the_latest(live: Running) -> None:
    user = 4_000
    rows = [(31, "view", 120, user, "first"), (33, "view", 101, user, "second"), (32, "view", 121, user, "first")]
    live.deliver("two.csv", rows)
    ((batch, products),) = live.lists(user)
    assert products[0] == 102  # what goes with product 101, the latest event
    table = read_lists(live.folders.lists, marked(live.folders)).to_pylist()
    keys = Counter((row["batch"], row["user_id"], row["rank"]) for row in table)
    assert max(keys.values()) == 1
    assert (batch, user, 10) in keys


def test_rows_that_cannot_be_events_are_kept_apart(live: Running) -> None:
    user, good = 5_000, (40, "view", 105, 5_000, "r")
    short = "2019-10-01 12:00:40 UTC,view,105"
    bad = [csv_row(good).replace("view", "gaze"), csv_row(good).replace("2019-10-01", "2019-13-01"), short]
    live.deliver("mixed.csv", [good, *bad])
    assert len(live.lists(user)) == 1
    assert [row["product_id"] for row in folder_rows(live.folders.archive) if row["user_id"] == user] == [105]
    rejected = {(row["reason"], row["row"]) for row in folder_rows(live.folders.rejected)}
    assert rejected == {
        ("unknown event_type", bad[0]),
        ("unparsable event_time", bad[1]),
        ("wrong column count or quoting", short),
    }
    assert live.metric("vitrine_stream_rejected_events_total") == 3


def test_both_formats_flow_into_one_session(live: Running, tmp_path: Path) -> None:
    """The archive's own layout, with the fine times that pandas gives, is played into the landing folder."""
    user = 6_000
    live.deliver("session.csv", [(50, "view", 117, user, "f")])
    (row,) = [row for row in folder_rows(live.folders.archive) if row["user_id"] == user]
    later = pd.DataFrame([{**row, "product_id": 118, "event_time": row["event_time"] + timedelta(seconds=1)}])
    assert later.event_time.dt.unit == "ns"
    later.to_parquet(tmp_path / "log.parquet")
    live.delivered += 1
    replay(
        str(tmp_path / "log.parquet"), live.folders.landing, Pace(rate=100, tick_seconds=0.1), state=tmp_path / "state"
    )
    live.drained()
    assert listed(live, user)[0] == 119
    assert 118 not in listed(live, user)  # on screen
    assert 117 in listed(live, user)  # of the same session


def test_a_new_bundle_is_taken_up_and_a_damaged_one_refused(live: Running) -> None:
    user = 7_000
    live.deliver("before.csv", [(60, "view", 100, user, "h")])
    assert 129 not in listed(live, user)
    write_bundle(live.folders.models, "b", recommender(reverse=True, weights={"popularity": 1.0}))
    live.deliver("after.csv", [(61, "view", 115, user, "h")])
    assert listed(live, user)[0] == 129  # b's bestseller of the category
    versions = {
        row["model_version"]
        for row in latest_lists(live.folders.lists, marked(live.folders)).to_pylist()
        if row["user_id"] == user
    }
    assert versions == {"b"}

    bad = write_bundle(live.folders.models, "c", recommender(), publish=False)
    damage(bad)
    (live.folders.models / "CURRENT").write_text("c\nb\na\n")  # published by hand
    live.deliver("refused.csv", [(62, "view", 116, user, "h")])
    live.deliver("again.csv", [(63, "view", 117, user, "h")])
    assert listed(live, user)[0] == 129
    assert live.metric("vitrine_bundle_refused_total") == 1  # said once, not with every micro-batch
    (said,) = [line for line in live.said if "refused" in line]
    assert "b stays in use" in said
    assert "users/history_products.npy is damaged" in said

    write_bundle(live.folders.models, "d", recommender())
    live.deliver("mended.csv", [(64, "view", 100, user, "h")])
    assert 129 not in listed(live, user)


def test_the_archive_holds_what_came_and_the_windows_what_was_distinct(live: Running) -> None:
    """Runs last: over all that this module delivered; 2.50 a purchase."""
    landed = [
        line for path in sorted(live.folders.landing.glob("*.csv")) for line in path.read_text().split("\n")[1:-1]
    ]
    archive = folder_rows(live.folders.archive)
    parquet = len(list(live.folders.landing.glob("*.parquet")))  # of one row each
    assert len(archive) == live.delivered - len(folder_rows(live.folders.rejected))
    assert len(landed) == live.delivered - parquet
    windows = live.counted()
    assert len({tuple(row[name] for name in WINDOW_KEY) for row in windows}) == len(windows)
    assert sum(row["events"] for row in windows) == len(archive)
    purchases = sum(",purchase," in line for line in landed)
    assert sum(row["revenue"] for row in windows) == pytest.approx(2.5 * purchases)
