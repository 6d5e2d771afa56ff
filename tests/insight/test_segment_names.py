"""Segments' names: what they say, that no two are alike, and that they stay for as long as they are true."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.insight.segment_names import (
    ACTIVE,
    AVERAGE,
    CASUAL,
    DORMANT,
    LOYAL,
    SAID,
    VIP,
    WORDS,
    Cluster,
    segment_name,
    segment_names,
    stable_name,
    still_true,
    traits,
)
from app.serve.segments import FEATURES, Means

SHOP_BUYS = 0.02


def means(recency: float, frequency: float, monetary: float, conversion: float = 0.0) -> Means:
    """Of a cluster, as far as names depend on them."""
    others = dict.fromkeys(set(FEATURES) - {"recency", "frequency", "monetary", "conversion_rate"}, 0.0)
    return Means(recency=recency, frequency=frequency, monetary=monetary, conversion_rate=conversion, **others)


@pytest.mark.parametrize(
    ("cluster", "name"),
    [
        # monetary > 500 and frequency > 10 and recency < 30
        (means(29, 11, 501), VIP),
        (means(30, 11, 501), LOYAL),
        (means(29, 10, 501), LOYAL),
        (means(29, 11, 500), LOYAL),
        # else frequency > 5 and recency < 60
        (means(59, 6, 0), LOYAL),
        (means(60, 6, 0), CASUAL),
        (means(59, 5, 0), CASUAL),
        # else recency < 30 and conversion > 0.1
        (means(29, 1, 0, 0.11), ACTIVE),
        (means(30, 1, 0, 0.11), CASUAL),
        (means(29, 1, 0, 0.10), CASUAL),
        (means(29, 6, 0, 0.11), LOYAL),
        # else recency > 60 and frequency < 3
        (means(61, 2, 0), DORMANT),
        (means(60, 2, 0), CASUAL),
        (means(61, 3, 0), CASUAL),
        (means(61, 2, 9999, 0.9), DORMANT),
        (means(31, 1, 0), CASUAL),
    ],
)
def test_names_by_thresholds(cluster: Means, name: str) -> None:
    """Every comparison is strict."""
    assert segment_name(cluster) == name


@pytest.mark.parametrize(
    ("previous", "cluster", "name"),
    [
        (VIP, means(20, 20, 430), VIP),  # 500 less 15 % is 425
        (VIP, means(20, 20, 420), LOYAL),
        (VIP, means(34, 11, 600), VIP),  # 30 and 15 % is 34.5
        (VIP, means(35, 11, 600), LOYAL),
        (LOYAL, means(20, 4.3, 0), LOYAL),  # 5 less 15 % is 4.25
        (LOYAL, means(20, 4.2, 0), CASUAL),
        (LOYAL, means(20, 11, 510), LOYAL),  # a VIP only just
        (LOYAL, means(20, 20, 5000), VIP),  # a VIP beyond doubt
        (ACTIVE, means(20, 5.5, 0, 0.2), ACTIVE),
        (ACTIVE, means(20, 6, 0, 0.2), LOYAL),
        (ACTIVE, means(20, 20, 5000, 0.2), VIP),
        (ACTIVE, means(20, 1, 0, 0.09), ACTIVE),
        (ACTIVE, means(20, 1, 0, 0.08), CASUAL),
        (DORMANT, means(52, 3.4, 0), DORMANT),
        (DORMANT, means(50, 2, 0), CASUAL),
        (CASUAL, means(65, 2, 0), CASUAL),
        (CASUAL, means(90, 2, 0), DORMANT),
        (CASUAL, means(25, 1, 0, 0.11), CASUAL),
        (CASUAL, means(25, 1, 0, 0.12), ACTIVE),
    ],
)
def test_a_name_stays_until_the_means_are_clearly_past_a_threshold(previous: str, cluster: Means, name: str) -> None:
    assert stable_name(cluster, previous) == name


@pytest.mark.parametrize("previous", [VIP, LOYAL, ACTIVE, DORMANT, CASUAL])
def test_names_do_not_flip_back_and_forth(previous: str) -> None:
    wild = random.Random(1)
    for _ in range(2000):
        cluster = means(wild.uniform(0, 90), wild.uniform(0, 15), wild.uniform(0, 1000), wild.uniform(0, 0.2))
        name = stable_name(cluster, previous)
        assert stable_name(cluster, name) == name


def cluster(of: Means | None = None, **apart: float) -> Cluster:
    """Some features of its centroid; the others are at the average."""
    return Cluster([apart.get(name, 0.0) for name in FEATURES], of, SHOP_BUYS)


CALM = means(40, 2, 10, SHOP_BUYS)  # no rule holds


def test_traits_are_what_sets_apart_the_most_telling_first() -> None:
    assert traits(cluster(CALM, frequency=1.0, unique_products=1.2, recency=-0.5)) == ["many products", "seen lately"]
    assert traits(cluster(CALM, frequency=-0.7, price_level=-2.0)) == ["prefers cheap products", "few visits"]
    assert traits(cluster(CALM, monetary=3.0, conversion_rate=2.9)) == ["spends much"]
    assert traits(cluster(CALM, recency=0.2, frequency=0.25)) == ["many visits"]  # faint, but nothing else is said
    assert traits(cluster(CALM, recency=0.09)) == []


def test_who_hardly_buys_is_said_to() -> None:
    """Though it is far from nobody's average, where hardly anybody buys."""
    visits = {"frequency": 1.0, "conversion_rate": -0.3, "price_level": 0.5}
    assert traits(cluster(means(40, 2, 0, 0), **visits)) == ["many visits", "never buys", "prefers dear products"]
    assert traits(cluster(means(40, 2, 3, 0.004), **visits))[1] == "hardly ever buys"
    assert traits(cluster(means(40, 2, 3, 0.006), **visits)) == ["many visits", "prefers dear products", "seldom buys"]
    nobody_buys = Cluster([1.0] * len(FEATURES), means(40, 2, 0, 0), 0.0)
    assert "never buys" not in traits(nobody_buys)


def test_who_buys_without_a_view_is_not_said_to_never_buy() -> None:
    """In a log without prices neither money nor purchases per view tell of them."""
    unseen = cluster(means(40, 2, 0, 0), frequency=1.0, conversion_rate=2.0)
    assert traits(unseen) == ["buys readily", "many visits"]
    assert not still_true("Many visits, never buys", unseen)


def test_who_comes_once_is_said_to() -> None:
    assert traits(cluster(means(40, 1.04, 10, SHOP_BUYS), frequency=-0.7)) == ["one day only"]


def test_every_segment_of_a_run_has_a_name_of_its_own() -> None:
    """Where four of five would be Casual_Browsers."""
    never = means(5, 2, 0, 0)
    found = segment_names(
        [
            cluster(never, frequency=1.0, price_level=1.0),
            cluster(never, frequency=1.1, price_level=-1.0),
            cluster(never, frequency=-0.7),
            cluster(means(5, 12, 800, 0.2), monetary=3.0, price_level=-0.4),
            cluster(means(5, 12, 800, 0.2), monetary=3.1),
            cluster(never),
            cluster(never),
        ],
        [""] * 7,
    )
    assert found == [
        "Prefers dear products, never buys",
        "Many visits, never buys",
        "Few visits, never buys",
        f"Prefers cheap products ({VIP})",
        f"Spends much ({VIP})",
        "Never buys",
        "Never buys (2)",
    ]
    assert segment_names([cluster(CALM)], [""]) == [AVERAGE]
    assert segment_names([cluster(CALM)] * 2, [f"{AVERAGE} (2)", ""]) == [f"{AVERAGE} (2)", AVERAGE]
    assert segment_names([cluster(None, frequency=2.0)], [""]) == ["Many visits"]  # nobody is in it


def beginning(name: str) -> str:
    return re.split(", | \\(", name)[0]


def test_no_two_names_begin_alike() -> None:
    """What is said of several the one bears of which it is most true; the others begin with what is theirs."""
    never = means(5, 2, 0, 0)
    found = segment_names(
        [
            cluster(never, unique_products=1.5, price_level=0.4),
            cluster(never, unique_products=1.2, price_level=-0.5),
            cluster(never, unique_products=0.9, recency=0.5),
        ],
        [""] * 3,
    )
    assert found == [
        "Many products, never buys",
        "Prefers cheap products, never buys",
        "Long not seen, never buys",
    ]


def test_no_two_names_say_the_same_in_another_order() -> None:
    """As on a log without purchases, where what sets the first apart has no word: it leaves no carts behind."""
    clusters = [
        cluster(CALM, cart_abandonment=-1.5, frequency=-0.4, price_level=0.3),
        cluster(CALM, price_level=0.9, frequency=-0.8, cart_abandonment=0.6),
    ]
    assert segment_names(clusters, ["", ""]) == [
        "Few visits, prefers dear products",
        "Prefers dear products, few visits, leaves carts behind",
    ]


def test_a_new_name_does_not_begin_as_one_that_stays() -> None:
    never = means(5, 2, 0, 0)
    clusters = [cluster(never, frequency=0.4), cluster(never, frequency=2.0, price_level=0.5)]
    assert segment_names(clusters, ["Many visits, never buys", ""])[1] == "Prefers dear products, never buys"


def test_namesakes_are_told_apart_by_how_far_they_are_from_the_average() -> None:
    """As among Online Retail's customers, most of whom are called dormant: none of them is so without a word more."""
    long_ago = means(90, 2, 10, SHOP_BUYS)
    faint = cluster(long_ago, frequency=-0.2, recency=-0.1)
    found = segment_names([faint, cluster(long_ago, monetary=-1.0), cluster(long_ago, frequency=-0.9)], [""] * 3)
    names = [f"Near the average ({DORMANT})", f"Spends little ({DORMANT})", f"Few visits ({DORMANT})"]
    assert found == names
    alone = cluster(long_ago, monetary=-1.0)
    assert segment_names([alone], [""]) == segment_names([alone], [DORMANT]) == [DORMANT]
    assert segment_names([alone, cluster(long_ago, frequency=-0.9)], [DORMANT, ""]) == names[1:]
    assert segment_names([alone], names[1:2]) == names[1:2], "it stays though it is alone again"


@pytest.mark.parametrize(
    ("name", "now", "stays"),
    [
        ("Many visits, never buys", cluster(means(5, 2, 0, 0), frequency=0.11, unique_products=2), True),
        ("Many visits, never buys", cluster(means(5, 2, 0, 0), frequency=0.09, unique_products=2), False),
        ("Many visits, hardly ever buys", cluster(means(5, 2, 9, 0.0057), frequency=1), True),  # 1/4 of .02, and 15 %
        ("Many visits, hardly ever buys", cluster(means(5, 2, 9, 0.0058), frequency=1), False),
        ("Many visits, never buys", cluster(means(5, 2, 9, 0.0), frequency=1), False),  # of what nobody looked at
        ("Many visits, never buys", cluster(means(5, 2, 0, 0.001), frequency=1), False),
        ("One day only", cluster(means(40, 1.09, 10, SHOP_BUYS), frequency=-0.7), True),
        ("One day only", cluster(means(40, 1.1, 10, SHOP_BUYS), frequency=-0.7), False),
        ("One day only", cluster(means(40, 1.0, 10, SHOP_BUYS), frequency=-0.09), False),
        ("Few visits", cluster(means(40, 1.0, 10, SHOP_BUYS), frequency=-0.7), True),
        ("Few visits", cluster(CALM, frequency=0.3), False),
        ("Many visits", cluster(means(5, 5.5, 0), frequency=1), True),  # loyal only just
        ("Many visits", cluster(means(5, 6, 0), frequency=1), False),  # loyal beyond doubt
        (LOYAL, cluster(means(20, 4.3, 0)), True),
        (LOYAL, cluster(means(20, 4.2, 0)), False),
        (f"Spends much ({LOYAL}) (2)", cluster(means(20, 6, 0), monetary=1), True),
        (f"Spends much ({LOYAL})", cluster(means(20, 6, 0), monetary=-1), False),
        (f"Spends much ({LOYAL})", cluster(means(70, 6, 0), monetary=1), False),
        (f"Near the average ({DORMANT})", cluster(means(90, 2, 0), frequency=-0.35), True),
        (f"Near the average ({DORMANT})", cluster(means(90, 2, 0), frequency=-0.45), False),
        (
            f"{DORMANT}, few visits",
            cluster(means(90, 2, 0), frequency=-0.9),
            False,
        ),  # as names were before they differed
        (AVERAGE, cluster(CALM, frequency=0.35), True),
        (AVERAGE, cluster(CALM, frequency=0.45), False),
        (f"{CASUAL}_2", cluster(CALM), False),  # as the first edition named it
    ],
)
def test_a_name_stays_for_as_long_as_it_is_true(name: str, now: Cluster, stays: bool) -> None:
    assert still_true(name, now) is stays
    assert (segment_names([now], [name]) == [name]) is stays


def test_the_one_of_which_more_can_be_said_leaves_the_words_to_the_other() -> None:
    """Though what they share is as true of it, and nothing else is as true."""
    several, single = cluster(CALM, conversion_rate=1.0, price_level=0.9), cluster(CALM, conversion_rate=0.9)
    found = segment_names([several, single], ["", ""])
    assert [beginning(name) for name in found] == ["Prefers dear products", "Buys readily"]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(-3, 3), min_size=len(FEATURES), max_size=len(FEATURES)),
            st.none() | st.builds(means, st.floats(0, 90), st.floats(1, 15), st.floats(0, 1000), st.floats(0, 0.2)),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_names_are_distinct_and_the_same_again(drawn: list[tuple[list[float], Means | None]]) -> None:
    clusters = [Cluster(apart, of, SHOP_BUYS) for apart, of in drawn]
    names = segment_names(clusters, [""] * len(clusters))
    assert len(set(names)) == len(names)
    begun = Counter(map(beginning, names))
    for name, one in zip(names, clusters, strict=True):
        begins = beginning(name)
        others = {words[:1].upper() + words[1:] for words in traits(one)} - {begins}
        assert begun[begins] == 1 or begins in (AVERAGE, VIP, LOYAL, ACTIVE, DORMANT) or others <= begun.keys(), (
            "it could have begun otherwise"
        )
    assert segment_names(clusters, names) == names
    turned = segment_names(clusters[::-1], names[::-1])
    assert turned == names[::-1]


def test_every_feature_has_words_that_are_told_apart() -> None:
    assert set(WORDS) == set(FEATURES)
    said = [text for pair in WORDS.values() for text in (pair.above, pair.below) if text]
    assert len(said) == len(set(said))
    assert set(said) <= set(SAID)
    assert not any("," in text for text in said)
