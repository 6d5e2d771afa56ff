"""Line protocol: equal to the client's own, strict about the schema, fast enough."""

import time
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from influxdb_client import Point

from app.monitor.lines import Field, Measurement, Tag
from app.monitor.schema import EVENTS, RECOMMENDATIONS, STREAM_PROGRESS, recommendation_lines

KINDS = Measurement(
    "odd name,=",
    "",
    "",
    (Tag("b", ""), Tag("a", "")),
    (Field("text", "string", "", ""), Field("number", "float", "", ""), Field("count", "integer", "", "")),
)

# Lone surrogates have no UTF-8 and cannot come out of Spark.
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\, ="\n\t\r'))


def test_a_point_by_hand() -> None:
    line = EVENTS.line(
        time=datetime(2019, 10, 1, 0, 5, tzinfo=UTC),
        event_type="view",
        main_category="home, garden",
        events=12,
        revenue=3.5,
    )
    assert line == r"events,event_type=view,main_category=home\,\ garden events=12i,revenue=3.5 1569888300000000000"


@given(
    tags=st.tuples(TEXT, TEXT),
    text=TEXT,
    number=st.floats(),
    count=st.integers(-(2**63), 2**63 - 1),
    when=st.integers(0, 2**63 - 1),
)
def test_equals_what_the_client_prints(tags: tuple[str, str], text: str, number: float, count: int, when: int) -> None:
    expected = Point("odd name,=").tag("a", tags[0] or "unknown").tag("b", tags[1] or "unknown")
    expected = expected.field("text", text).field("number", number).field("count", count).time(when)
    # The client leaves '=' in a measurement's name as it is; the server takes both.
    ours = KINDS.line(time=when, a=tags[0], b=tags[1], text=text, number=number, count=count)
    assert ours.removeprefix(r"odd\ name\,\=") == expected.to_line_protocol().removeprefix(r"odd\ name\,=")


def test_a_backslash_at_the_end_of_a_tag_does_not_escape_what_follows() -> None:
    line = KINDS.line(time=1, a="ends with \\", b="b", text="t", number=1.0, count=1)
    assert line.startswith(r"odd\ name\,\=,a=ends\ with\ \ ,b=b ")


def test_missing_values() -> None:
    table = pd.DataFrame(
        {
            "time": pd.to_datetime(["2019-10-01", "2019-10-02", "2019-10-03"]),
            "event_type": ["view", None, "cart"],
            "main_category": ["a", "", float("nan")],
            "events": [1, None, None],  # pandas makes these 1.0 and NaN
            "revenue": [float("inf"), 2.0, None],
        }
    )
    assert EVENTS.lines(table) == [
        "events,event_type=view,main_category=a events=1i 1569888000000000000",
        "events,event_type=unknown,main_category=unknown revenue=2 1569974400000000000",
    ]  # the third row has no value left


def test_datetimes_of_any_kind_are_the_same_moment() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    nanoseconds = 1767323045678901000
    kinds: list[Any] = [
        pd.Series([nanoseconds]),
        pd.Series([moment], dtype="datetime64[us, UTC]"),
        pd.Series([moment]).dt.tz_convert("Asia/Tokyo"),
        pd.Series([moment.replace(tzinfo=None)], dtype="datetime64[ns]"),
        [moment],
        [moment.replace(tzinfo=None)],
    ]
    for kind in kinds:
        assert STREAM_PROGRESS.lines({"time": kind, "rows": [1]}) == [f"stream_progress rows=1i {nanoseconds}"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_id": 1}, "unknown columns"),
        ({"events": 1.5}, "not a whole number"),
        ({"revenue": "dear"}, "field revenue"),
        ({"time": None}, "a time must be"),
        ({"time": 1.5e18}, "a time must be"),
    ],
)
def test_refuses_what_the_schema_does_not_know(change: dict[str, object], message: str) -> None:
    values = {"time": 1, "event_type": "view", "main_category": "a", "events": 1, "revenue": 0.0}
    with pytest.raises(ValueError, match=message):
        EVENTS.line(**{**values, **change})


def test_refuses_a_missing_tag_or_time() -> None:
    with pytest.raises(ValueError, match="missing \\['main_category', 'time'\\]"):
        EVENTS.line(event_type="view", events=1)
    with pytest.raises(ValueError, match="a time is missing"):
        STREAM_PROGRESS.lines(
            pd.DataFrame({"time": pd.Series(["2019-10-01", None], dtype="datetime64[ns]"), "rows": [1, 2]})
        )


def recommendations(pairs: list[tuple[int, int]], generated_at: int) -> pd.DataFrame:
    """Rows of (user, rank) that share everything but user, rank and product."""
    return pd.DataFrame(
        {
            "time": pd.Series([generated_at] * len(pairs), dtype="int64"),
            "segment": "0",
            "generator": "als",
            "model_version": "v1",
            "user_id": [user for user, _ in pairs],
            "product_id": [user * 7 + rank for user, rank in pairs],
            "rank": [rank for _, rank in pairs],
            "score": 0.5,
            "price": 9.99,
        }
    )


def identity(line: str) -> tuple[str, str]:
    """What InfluxDB knows a point by: measurement with tags, and time."""
    return line.split(" ")[0], line.rsplit(" ", 1)[1]


PAIRS = st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(1, 100)), unique=True, max_size=40)


@settings(max_examples=25, deadline=None)
@given(
    batches=st.lists(PAIRS, min_size=1, max_size=3),
    lanes=st.integers(1, 4),
    gap=st.integers(1, 5),
    shuffle=st.randoms(),
)
def test_no_two_recommendations_meet_and_a_retry_overwrites(
    batches: list[list[tuple[int, int]]], lanes: int, gap: int, shuffle: object
) -> None:
    """Batches follow each other by a millisecond or more; a user stays in one lane."""

    def run(batches: list[list[tuple[int, int]]]) -> list[str]:
        lines = []
        for number, pairs in enumerate(batches):
            for lane in range(lanes):
                part = [pair for pair in pairs if pair[0] % lanes == lane]
                lines += recommendation_lines(
                    recommendations(part, 1_767_323_045_678_000_000 + number * gap * 1_000_000), lane, lanes
                )
        return lines

    lines = run(batches)
    assert len({identity(line) for line in lines}) == len(lines) == sum(map(len, batches))
    again = [list(pairs) for pairs in batches]
    for pairs in again:
        shuffle.shuffle(pairs)  # type: ignore[attr-defined]
    assert run(again) == lines


def test_recommendations_of_several_batches_in_one_table_are_numbered_apart() -> None:
    second = 1_767_323_045_000_000_000
    table = pd.concat(
        [recommendations([(2, 1), (1, 1)], second + 1_500), recommendations([(1, 1)], second + 2_000_000)]
    )
    times = [int(identity(line)[1]) - second for line in recommendation_lines(table)]
    assert times == [0, 1, 2_000_000]  # generated_at is cut to the millisecond


def test_a_lane_outside_the_lanes_is_an_error() -> None:
    with pytest.raises(ValueError, match="lane 2 of 2"):
        recommendation_lines(recommendations([(1, 1)], 0), 2, 2)


def test_ten_thousand_points_a_second_at_least() -> None:
    table = recommendations([(user, rank) for user in range(2_000) for rank in range(1, 11)], 10**18)
    assert set(table) == {"time", *[t.name for t in RECOMMENDATIONS.tags], *[f.name for f in RECOMMENDATIONS.fields]}
    started = time.process_time()
    lines = recommendation_lines(table)
    rate = len(lines) / (time.process_time() - started)
    print(f"{rate:,.0f} points/s on one core")
    assert rate > 10_000
