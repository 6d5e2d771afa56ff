"""A shop whose ids are text, with a catalogue of prices, one product that nobody touched and some not to be had."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.events.catalogue import CATALOGUE_SCHEMA
from app.events.merged import Merge, Merged
from app.features.slices import Slice, make_slice
from app.insight.profiles import find_profiles
from app.insight.segments import Segmented, fit_segments
from app.learn.recommender import fit_recommender
from app.monitor.schema import recommendation_lines
from app.registry.identities import Identities
from app.serve.lists import csv_rows, list_schema, list_table
from app.serve.ragged import NONE
from app.serve.recommender import Recommender
from app.serve.visits import Touches, Visitors
from tests.handmade import Event, moment, stored_events

NAMES = {number: f"P-{number}" for number in range(1, 13)}
SOLD_OUT = (2, 3)
UNTOUCHED = 12


@pytest.fixture(scope="module")
def known(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Slice:
    """Six users, each of whom looks at nine of the products 1 to 11, in sessions of three, and buys one."""
    log: list[Event] = [
        (
            user,
            1 + (user + place) % 11,
            "purchase" if place == 2 else "view",
            f"10-0{1 + user} 10:0{place}",
            {
                "user_session": f"s{user}-{place // 3}",
                "user_key": f"user {user}",
                "product_key": NAMES[1 + (user + place) % 11],
                "category_code": "of.events",
                "price": 2.0,
            },
        )
        for user in range(6)
        for place in range(9)
    ]
    rows = [
        (number, name, f"title {number}", "of.catalogue", "unknown", 10.0 * number, number not in SOLD_OUT)
        for number, name in NAMES.items()
    ]
    catalogue = spark.createDataFrame(rows, CATALOGUE_SCHEMA)
    folder = tmp_path_factory.mktemp("shop")
    catalogue.write.parquet(str(folder / "catalogue"))
    events = stored_events(folder / "events", log)
    return make_slice(spark, events, folder / "catalogue", None, Settings(), folder / "slice")


@pytest.fixture(scope="module")
def segmented(spark: SparkSession, known: Slice, tmp_path_factory: pytest.TempPathFactory) -> Segmented:
    return fit_segments(spark, known.folder / "users", 2, 1, tmp_path_factory.mktemp("segmented") / "segments")


@pytest.fixture(scope="module")
def recommender(known: Slice, segmented: Segmented, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    folder = tmp_path_factory.mktemp("learned")
    settings = Settings(als_factors=2, als_iterations=2, candidates=10, segments=2)
    (folder / "saved").mkdir()
    fit_recommender(known, segmented.users, settings, folder / "scratch").save(folder / "saved")
    return Recommender.load(folder / "saved")


def test_the_catalogue_speaks_before_the_events(known: Slice) -> None:
    rows = {row["product_id"]: row for row in pq.read_table(known.folder / "products").to_pylist()}
    assert (rows[1]["product_key"], rows[1]["title"], rows[1]["category"]) == ("P-1", "title 1", "of")
    assert rows[1]["category_code"] == "of.catalogue"
    assert rows[1]["avg_price"] == 2.0, "what was asked for it, rather than the catalogue's price"
    untouched = rows[UNTOUCHED]
    assert (untouched["avg_price"], untouched["unique_users"], untouched["popularity"]) == (120.0, 0, 0.0)
    assert [number for number, row in sorted(rows.items()) if not row["available"]] == list(SOLD_OUT)


def test_every_user_has_a_segment_and_a_profile(known: Slice, segmented: Segmented, tmp_path: Path) -> None:
    """Untouched products don't disturb profiles."""
    names = segmented.model.names
    found = find_profiles(known, {}, segmented.users, names, tmp_path / "profiles")
    assert sum(row.users for row in found.rows) == 6
    rows = pq.read_table(found.users).to_pylist()
    assert sorted((row["user_id"], row["user_key"]) for row in rows) == [(user, f"user {user}") for user in range(6)]
    numbers = {row["user_id"]: row["segment_id"] for row in pq.read_table(segmented.users).to_pylist()}
    for row in rows:
        assert (row["segment_id"], row["segment"]) == (numbers[row["user_id"]], names[numbers[row["user_id"]]])
    assert Counter(row["profile"] for row in rows) == {row.profile: row.users for row in found.rows if row.users}


def test_the_bundle_knows_that_ids_are_text(recommender: Recommender) -> None:
    assert recommender.parameters.text_ids
    assert recommender.users.keys is not None
    assert sorted(recommender.users.keys.to_pylist()) == [f"user {user}" for user in range(6)]


def test_lists_show_the_shops_own_ids_and_only_what_is_to_be_had(recommender: Recommender, tmp_path: Path) -> None:
    session = Touches.of_lists([[(1, "view", 1.0, 0.0)], [(4, "view", 1.0, 0.0)]])
    who = Visitors.of([3, 77], moment("12-01 00:00").timestamp(), session)
    who = Visitors(who.user_ids, who.session, who.now, pa.array([None, "a stranger"]))
    answer = recommender.recommend(who, 8)
    table = list_table(recommender, who, answer, "v", datetime(2019, 12, 1, tzinfo=UTC))
    assert table.schema == list_schema(text_ids=True)
    rows = table.to_pylist()
    assert {row["user_id"] for row in rows} == {"user 3", "a stranger"}
    assert {row["product_id"] for row in rows} <= set(NAMES.values()) - {NAMES[number] for number in SOLD_OUT}
    assert len([row for row in rows if row["user_id"] == "a stranger"]) == 8, "sold out ones take no one's place"

    assert {row["because_product_id"] for row in rows} & {"P-1", "P-4"}
    lines = recommendation_lines(
        pa.table(
            {
                "time": table["generated_at"],
                "segment": table["source"],
                "generator": table["source"],
                "model_version": table["model_version"],
                "user_id": table["user_id"],
                "product_id": table["product_id"],
                "rank": table["rank"],
            }
        ).to_pandas()
    )
    assert any('user_id="a stranger"' in line for line in lines)
    assert '"a stranger"' in csv_rows(table).decode()


def test_a_list_of_one_for_whom_another_stands_in_bears_its_own_id(recommender: Recommender) -> None:
    """The bundle knows the user who was merged, and not yet the one that both are now."""
    one = Identities(merged=Merged.of([Merge(user=3, into=88, into_key="88", at=1)]))
    who = Visitors.of([88], moment("12-01 00:00").timestamp())
    answer = recommender.recommend(one.introduced(who, recommender.users.ids, frozenset()), 8)
    table = list_table(recommender, who, answer, "v", datetime(2019, 12, 1, tzinfo=UTC))
    assert {row["user_id"] for row in table.to_pylist()} == {"88"}


def test_generators_learned_for_the_asking_answer_from_the_bundle(
    spark: SparkSession, known: Slice, tmp_path: Path
) -> None:
    segments = fit_segments(spark, known.folder / "users", 2, 1, tmp_path / "segments").users
    settings = Settings(candidates=10, segments=2, generators="popularity,session_walk,item_graph")
    (tmp_path / "saved").mkdir()
    fit_recommender(known, segments, settings, tmp_path / "scratch").save(tmp_path / "saved")
    opened = Recommender.load(tmp_path / "saved")
    assert list(opened.generators) == ["popularity", "session_walk", "item_graph"]
    session = Touches.of_lists([[(1, "view", 1.0, 0.0), (4, "view", 1.0, 1.0)]])
    answer = opened.recommend(Visitors.of([77], moment("12-01 00:00").timestamp(), session), 8)
    for name in ("session_walk", "item_graph"):
        items = answer.parts[name].items[0]
        proposed = set(opened.catalogue.product_ids[items[items != NONE]].tolist())
        assert proposed
        assert not proposed & {*SOLD_OUT, UNTOUCHED}
    assert {1, 4} & set(opened.catalogue.product_ids[answer.because[answer.because != NONE]].tolist())
