"""Points of a training, from its result."""

import re
from datetime import UTC, datetime

import pytest

from app.monitor.training_points import training_lines
from app.monitor.training_schema import BEHAVIOUR, LIFECYCLE, MODEL, MOVES, PROFILES, RFM, SEGMENTS, VALUE
from app.results.run import RunResult
from tests.finished_run import finished_run

AT = datetime(2019, 11, 1, 8, 15, tzinfo=UTC)


def points(result: RunResult) -> list[tuple[str, dict[str, str]]]:
    """Measurement with tags, and fields as they are written, of each line."""
    halves = [line.rsplit(" ", 1) for line in training_lines(result)]
    lines = [(*re.split(r"(?<!\\) ", rest, maxsplit=1), time) for rest, time in halves]  # a name may hold a space
    assert {time for _, _, time in lines} == {str(int(AT.timestamp()) * 10**9)}
    return [(head, dict(field.split("=") for field in fields.split(","))) for head, fields, _ in lines]


def test_one_point_of_the_model_with_every_field() -> None:
    (head, fields), *_ = points(finished_run())
    assert head == "model,model_version=20191101_081500"
    assert set(fields) == {field.name for field in MODEL.fields}
    assert (fields["published"], fields["users"], fields["products"], fields["interactions"]) == (
        "1i",
        "300i",
        "50i",
        "700i",
    )
    assert (fields["ndcg_10"], fields["ndcg_10_low"], fields["ndcg_10_high"]) == ("0.3", "0.29", "0.31")
    assert (fields["popular_ndcg_10"], fields["coverage_10"]) == ("0.05", "0.25")
    assert (fields["silhouette"], fields["training_seconds"]) == ("0.412", "125.4")
    assert fields["stayed_share"] == "0.95"


def test_one_point_a_segment_with_every_field() -> None:
    _, vip, new, *_ = points(finished_run())
    assert [vip[0], new[0]] == [f"segments,model_version=20191101_081500,segment={number}" for number in (0, 1)]
    assert [vip[1]["name"], new[1]["name"]] == ['"VIP_Customers"', '"New_Customers"']
    assert set(vip[1]) == {field.name for field in SEGMENTS.fields}
    assert (vip[1]["users"], vip[1]["monetary"], new[1]["users"], new[1]["monetary"]) == ("30i", "2310.5", "270i", "0")


def of(result: RunResult, measurement: str) -> list[tuple[str, dict[str, str]]]:
    return [point for point in points(result) if point[0].startswith(f"{measurement},")]


def test_one_point_a_movement() -> None:
    moves = of(finished_run(), "moves")
    assert [(head, fields["users"]) for head, fields in moves] == [
        ("moves,model_version=20191101_081500,segment=0,was=0", "20i"),
        ("moves,model_version=20191101_081500,segment=1,was=0", "5i"),
        ("moves,model_version=20191101_081500,segment=1,was=1", "75i"),
    ]
    assert set(moves[1][1]) == {field.name for field in MOVES.fields}
    assert (moves[1][1]["share"], moves[1][1]["name"], moves[1][1]["was_name"]) == (
        "0.2",
        '"New_Customers"',
        '"VIP_Customers"',
    )


def test_a_first_training_has_no_movement() -> None:
    segments = finished_run().segments
    assert segments is not None
    run = finished_run().model_copy(update={"segments": segments.model_copy(update={"movement": None})})
    assert of(run, "moves") == []
    assert "stayed_share" not in of(run, "model")[0][1]


def test_one_point_of_behaviour_with_every_field() -> None:
    ((head, fields),) = of(finished_run(), "behaviour")
    assert head == "behaviour,model_version=20191101_081500"
    assert set(fields) == {field.name for field in BEHAVIOUR.fields}
    assert (fields["sessions_view"], fields["sessions_cart"], fields["sessions_purchase"]) == ("400i", "50i", "30i")
    assert (fields["to_cart"], fields["to_purchase"], fields["all_the_way"]) == ("0.125", "0.6", "0.075")
    assert (fields["carts_left"], fields["carts_left_share"], fields["cart_value_left"]) == ("15i", "0.3", "4321.75")


def test_behaviour_that_a_log_cannot_tell_has_no_field() -> None:
    run = finished_run()
    assert run.behaviour is not None
    assert run.behaviour.funnel is not None
    funnel = run.behaviour.funnel.model_copy(
        update={
            "steps": ("view", "purchase"),
            "total": run.behaviour.funnel.total.model_copy(update={"sessions": (400, 30)}),
        }
    )
    bare = run.model_copy(update={"behaviour": run.behaviour.model_copy(update={"funnel": funnel, "carts": None})})
    ((_, fields),) = of(bare, "behaviour")
    assert fields == {
        "sessions_view": "400i",
        "sessions_purchase": "30i",
        "to_purchase": "0.075",
        "all_the_way": "0.075",
    }
    nothing = run.model_copy(update={"behaviour": run.behaviour.model_copy(update={"funnel": None, "carts": None})})
    assert of(nothing, "behaviour") == []


def test_one_point_a_profile_with_every_field() -> None:
    ((head, fields),) = of(finished_run(), "profiles")
    assert head == "profiles,model_version=20191101_081500,profile=cart_abandoner"
    assert set(fields) == {field.name for field in PROFILES.fields}
    assert fields == {"users": "12i", "share": "0.04", "rule": '"two carts acme"'}
    assert of(finished_run().model_copy(update={"profiles": None}), "profiles") == []


def customers_of(run: RunResult, **changed: object) -> RunResult:
    assert run.customers is not None
    return run.model_copy(update={"customers": run.customers.model_copy(update=changed)})


def test_a_point_for_each_of_the_ten_names_of_rfm() -> None:
    """Also for those that nobody has, so that no line of a chart goes on without them."""
    found = of(finished_run(), "rfm")
    assert len({head for head, _ in found}) == 10
    (head, champions), *_ = found
    assert head == "rfm,model_version=20191101_081500,rfm=Champions"
    assert set(champions) == {field.name for field in RFM.fields}
    assert (champions["customers"], champions["share"], champions["revenue"]) == ("10i", "0.25", "750.25")
    (nobody,) = [fields for head, fields in found if head.endswith(r"rfm=Can't\ lose")]
    assert nobody == {"customers": "0i", "share": "0", "revenue": "0", "revenue_share": "0"}
    assert of(customers_of(finished_run(), rfm=()), "rfm") == [], "nobody has spent money"


def test_lifecycle_is_that_of_the_last_whole_week() -> None:
    """The week of the 21st is not over; that of the 7th is the log's first, in which all are new."""
    run = finished_run()
    found = of(run, "lifecycle")
    assert {fields["week"] for _, fields in found} == {'"2019-10-14"'}
    assert [(head, fields["users"]) for head, fields in found][:4] == [
        (f"lifecycle,activity=visits,model_version=20191101_081500,state={state}", f"{users}i")
        for state, users in (("new", 8), ("returning", 12), ("resurrected", 0), ("dormant", 18))
    ]
    assert set(found[0][1]) == {field.name for field in LIFECYCLE.fields}
    assert run.customers is not None
    visits, _ = run.customers.lifecycle
    over = visits.model_copy(update={"last_is_whole": True})
    assert of(customers_of(run, lifecycle=(over,)), "lifecycle")[0][1]["week"] == '"2019-10-21"'
    for weeks, whole in ((visits.weeks[:2], False), (visits.weeks[:1], True), ((), True)):
        short = visits.model_copy(update={"weeks": weeks, "last_is_whole": whole})
        assert of(customers_of(run, lifecycle=(short,)), "lifecycle") == []


def test_one_point_of_value_a_segment_with_every_field() -> None:
    vip, new = of(finished_run(), "value")
    assert [vip[0], new[0]] == [f"value,model_version=20191101_081500,segment={number}" for number in (0, 1)]
    assert set(vip[1]) == {field.name for field in VALUE.fields}
    assert (vip[1]["name"], new[1]["name"]) == ('"VIP_Customers"', '"New_Customers"')
    assert (new[1]["customers"], new[1]["p_alive"], new[1]["p_alive_low"]) == ("10i", "0.625", "0.5")
    assert (new[1]["value_90"], new[1]["value_90_high"], new[1]["expected_spend"]) == ("350", "400", "17.5")


def test_value_that_is_not_identified_has_no_field() -> None:
    run = finished_run()
    assert run.customers is not None
    assert run.customers.value is not None
    nothing = dict.fromkeys(("p_alive", "purchases_30", "purchases_90", "value_90", "expected_spend"))
    rows = tuple(row.model_copy(update=nothing) for row in run.customers.value.by_segment)
    value = run.customers.value.model_copy(update={"by_segment": rows})
    assert [fields for _, fields in of(customers_of(run, value=value), "value")] == [
        {"name": '"VIP_Customers"', "customers": "30i"},
        {"name": '"New_Customers"', "customers": "10i"},
    ]
    assert of(customers_of(run, value=None), "value") == []


def test_a_model_without_test_queries_has_no_quality() -> None:
    run = finished_run()
    assert run.quality is not None
    untested = run.model_copy(update={"quality": run.quality.model_copy(update={"rows": ()})})
    (_, fields), *_ = points(untested)
    assert not [name for name in fields if "_10" in name]
    assert fields["users"] == "300i"


@pytest.mark.parametrize("part", ["exploration", "segments", "quality", "gate"])
def test_a_run_that_trained_nothing_has_no_points(part: str) -> None:
    with pytest.raises(ValueError, match="trained nothing"):
        training_lines(finished_run().model_copy(update={part: None}))
